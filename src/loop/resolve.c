/* Promises one done() for each start, never from inside it, and that the memory is free to go when done() runs. */
#include "loop/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

static void resolve_finish(struct resolve *resolve, int rc, const char *address, const struct err *err)
{
	resolve->is_busy = false;
	resolve->done(resolve, rc, address, err);
}

static void resolve_finish_cancelled(struct resolve *resolve)
{
	struct err err = {0};
	int rc = err_set(&err, -ECANCELED, "the look-up of host \"%s\" was cancelled", resolve->host);

	resolve_finish(resolve, rc, NULL, &err);
}

/* ---- numeric addresses ---- */

static bool host_is_numeric(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* done() comes out of the close callback, because the caller may free the memory in it. */
static void numeric_on_closed(uv_handle_t *handle)
{
	struct resolve *resolve = container_of(handle, struct resolve, timer);
	struct err none = {0};

	if (resolve->is_cancelled)
		resolve_finish_cancelled(resolve);
	else
		resolve_finish(resolve, 0, resolve->host, &none);
}

static void numeric_on_timer(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, numeric_on_closed);
}

static int numeric_start(struct resolve *resolve, uv_loop_t *loop)
{
	int rc = uv_timer_init(loop, &resolve->timer);

	if (rc != 0)
		return rc;
	return uv_timer_start(&resolve->timer, numeric_on_timer, 0, 0);
}

/* ---- names ---- */

/* libuv numbers getaddrinfo()'s errors from -3000 down (uv/errno.h); everything else it reports is a negative errno. */
static int errno_of_eai(int status)
{
	switch (status) {
	case UV_EAI_AGAIN:
		return -EAGAIN;
	case UV_EAI_MEMORY:
		return -ENOMEM;
	case UV_EAI_CANCELED:
		return -ECANCELED;
	default:
		return status > UV_EAI_ADDRFAMILY ? status : -EHOSTUNREACH;
	}
}

static const struct addrinfo *pick_address(const struct addrinfo *found, uint32_t n_answers)
{
	const struct addrinfo *at;
	uint32_t n_found = 0;

	for (at = found; at != NULL; at = at->ai_next)
		n_found++;
	if (n_found == 0)
		return NULL;
	at = found;
	for (uint32_t skip = n_answers % n_found; skip > 0; skip--)
		at = at->ai_next;
	return at;
}

static void name_on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct resolve *resolve = container_of(req, struct resolve, req);
	const struct addrinfo *at = pick_address(found, resolve->n_answers);
	char address[NI_MAXHOST];
	struct err err = {0};
	int rc = 0;

	if (status != 0)
		rc = err_set(&err, errno_of_eai(status), "host \"%s\" could not be looked up: %s", resolve->host,
			     uv_strerror(status));
	else if (at == NULL ||
		 getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST) != 0)
		rc = err_set(&err, -EHOSTUNREACH, "host \"%s\" has no address that can be used", resolve->host);
	uv_freeaddrinfo(found);
	if (resolve->is_cancelled) {
		resolve_finish_cancelled(resolve);
		return;
	}
	if (rc == 0)
		resolve->n_answers++;
	resolve_finish(resolve, rc, rc == 0 ? address : NULL, &err);
}

static int name_start(struct resolve *resolve, uv_loop_t *loop)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	return uv_getaddrinfo(loop, &resolve->req, name_on_found, resolve->host, NULL, &hints);
}

/* ---- the two calls ---- */

int resolve_start(struct resolve *resolve, uv_loop_t *loop, const char *host)
{
	int rc;

	if (resolve->is_busy)
		return -EBUSY;
	if (host == NULL || host[0] == '\0')
		return -EINVAL;
	if (strlen(host) >= sizeof(resolve->host))
		return -ENAMETOOLONG;
	memmove(resolve->host, host, strlen(host) + 1); /* may be our own text, looked up again */
	resolve->is_cancelled = false;
	rc = host_is_numeric(resolve->host) ? numeric_start(resolve, loop) : name_start(resolve, loop);
	resolve->is_busy = rc == 0;
	return rc;
}

void resolve_cancel(struct resolve *resolve)
{
	if (!resolve->is_busy)
		return;
	resolve->is_cancelled = true;
	if (!host_is_numeric(resolve->host))
		(void)uv_cancel((uv_req_t *)&resolve->req); /* EBUSY: a worker has it; its answer will be dropped */
}
