/* libmicrohttpd without threads of its own: it watches its sockets with an epoll descriptor, and the loop watches that.
 *
 *     uv_poll on the epoll descriptor ──▶ MHD_run() ──▶ http_on_request() ──▶ owner's answer()
 *     uv_timer: what MHD_get_timeout() asks for, and once a second the connections that took too long */
#include "http_server.h"

#include "base/list.h"
#include "net/http_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS_BYTES  (INET6_ADDRSTRLEN + 10)
#define LISTEN_BACKLOG 64
#define SWEEP_MS       500

/* MHD's connection as seen here: since when it owes a request, or its client owes the reading of an answer. */
struct http_client {
	struct list node;
	int fd;
	uint64_t since_ms;
};

struct http_server {
	uv_loop_t *loop;
	struct http_server_config config;
	struct http_address address;
	char address_text[ADDRESS_BYTES];
	struct MHD_Daemon *mhd;
	uv_poll_t poll;
	uv_timer_t timer;
	struct list clients;
	bool is_idle; /* no client was here after the last run, either */
	uint64_t n_requests;
	unsigned n_handles; /* while it closes */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- answers ---- */

static void header(struct MHD_Response *response, const char *name, const char *value)
{
	(void)MHD_add_response_header(response, name, value); /* out of memory: the header is missing, no more */
}

/* A page of this server runs only what its policy names, loads nothing, is framed by nobody, and is never kept. */
static void headers_add(struct MHD_Response *response, const struct http_answer *answer)
{
	header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	header(response, "Content-Security-Policy",
	       answer->csp != NULL ? answer->csp : "default-src 'none'; frame-ancestors 'none'");
	header(response, "X-Content-Type-Options", "nosniff");
	header(response, "Referrer-Policy", "no-referrer");
	header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

static enum MHD_Result http_send(struct MHD_Connection *connection, struct http_answer *answer, const char *allow)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (answer->body.failed) {
		buf_fini(&answer->body);
		return MHD_NO; /* no memory for an answer: the connection ends */
	}
	response = MHD_create_response_from_buffer(answer->body.len, answer->body.at, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		buf_fini(&answer->body);
		return MHD_NO;
	}
	headers_add(response, answer);
	if (allow != NULL)
		header(response, MHD_HTTP_HEADER_ALLOW, allow);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result http_refuse(struct MHD_Connection *connection, unsigned status, const char *text,
				   const char *allow)
{
	struct http_answer answer = {.status = status, .content_type = "text/plain; charset=utf-8"};

	buf_append_text(&answer.body, text);
	return http_send(connection, &answer, allow);
}

/* ---- requests ---- */

static bool host_is_well(const struct http_server *server, struct MHD_Connection *connection)
{
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	return !server->address.is_loopback || http_host_is_local(str_of(host));
}

static bool has_body(struct MHD_Connection *connection)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH) != NULL ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static enum MHD_Result http_on_request(void *arg, struct MHD_Connection *connection, const char *url,
				       const char *method, const char *version, const char *upload,
				       size_t *upload_bytes, void **request)
{
	struct http_server *server = arg;
	struct http_answer answer = {.status = MHD_HTTP_OK, .content_type = "text/plain; charset=utf-8"};

	(void)version;
	(void)upload;
	(void)upload_bytes;
	/* MHD calls first with the headers alone; whoever answers then refuses to read on, and the connection ends.
	 * That is for requests with a body: nobody here waits for one. */
	if (*request == NULL && !has_body(connection)) {
		*request = server;
		return MHD_YES;
	}
	server->n_requests++;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return http_refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				   "nothing can be changed here: only GET and HEAD\n", "GET, HEAD");
	if (!host_is_well(server, connection))
		return http_refuse(connection, MHD_HTTP_MISDIRECTED_REQUEST,
				   "this server answers by its address or as localhost only\n", NULL);
	server->config.answer(server->config.owner, url, &answer);
	return http_send(connection, &answer, NULL);
}

/* ---- connections and their time ---- */

static uint64_t now_ms(const struct http_server *server)
{
	uv_update_time(server->loop);
	return uv_now(server->loop);
}

static void http_on_connection(void *arg, struct MHD_Connection *connection, void **context,
			       enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = arg;
	struct http_client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		client = calloc(1, sizeof(*client)); /* without: MHD's own idle limit is left */
		if (client == NULL || info == NULL) {
			free(client);
			return;
		}
		client->fd = info->connect_fd;
		client->since_ms = now_ms(server);
		list_append(&server->clients, &client->node);
		*context = client;
	} else if (client != NULL) {
		list_remove(&client->node);
		free(client);
		*context = NULL;
	}
}

/* An answer was read to its end: the client's time begins anew. */
static void http_on_completed(void *arg, struct MHD_Connection *connection, void **request,
			      enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_client *client = info != NULL ? info->socket_context : NULL;

	(void)request;
	if (client != NULL && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		client->since_ms = now_ms(arg);
}

/* MHD's own limit is for silence: a byte now and then passes it for ever. A socket that is shut down is MHD's to close,
 * at its next look. */
static void http_sweep(struct http_server *server)
{
	uint64_t now = now_ms(server);
	struct list *it, *tmp;

	list_each (it, tmp, &server->clients) {
		const struct http_client *client = container_of(it, struct http_client, node);

		if (now - client->since_ms > server->config.max_wait_ms)
			(void)shutdown(client->fd, SHUT_RDWR); /* fails when the client has gone already */
	}
}

/* ---- the loop ---- */

static void http_on_timer(uv_timer_t *timer);

static void http_arm(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	if (MHD_get_timeout(server->mhd, &wait_ms) != MHD_YES || wait_ms > SWEEP_MS)
		wait_ms = SWEEP_MS;
	/* One look more after the last client has gone: at its limit MHD had stopped listening, and it begins again at
	 * the start of a run only. */
	if (list_is_empty(&server->clients) && wait_ms == SWEEP_MS && server->is_idle)
		(void)uv_timer_stop(&server->timer); /* cannot fail */
	else
		MUST(uv_timer_start(&server->timer, http_on_timer, wait_ms, 0) == 0);
	server->is_idle = list_is_empty(&server->clients);
}

static void http_run(struct http_server *server)
{
	if (MHD_run(server->mhd) != MHD_YES)
		log_error(server->config.log, "operations: libmicrohttpd refuses to run");
	http_arm(server);
}

static void http_on_timer(uv_timer_t *timer)
{
	struct http_server *server = container_of(timer, struct http_server, timer);

	http_sweep(server);
	http_run(server);
}

static void http_on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status; /* an epoll descriptor has no errors of its own */
	(void)events;
	http_run(container_of(poll, struct http_server, poll));
}

/* ---- opening ---- */

static void PRINTF_LIKE(2, 0) http_on_log(void *arg, const char *fmt, va_list args)
{
	const struct http_server *server = arg;
	char text[ERR_TEXT_BYTES];

	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose */
	text[strcspn(text, "\r\n")] = '\0';
	log_debug(server->config.log, "operations: %s", text); /* clients that vanish, mostly */
}

static void address_print(struct http_server *server, int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		addr = server->address.addr;
	if (addr.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr;

		(void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)); /* the buffer fits */
		(void)snprintf(server->address_text, ADDRESS_BYTES, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr;

		(void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)); /* the buffer fits */
		(void)snprintf(server->address_text, ADDRESS_BYTES, "%s:%u", host, ntohs(v4->sin_port));
	}
}

static int socket_open(struct http_server *server, int *out_fd, struct err *err)
{
	/* no crash point: a TCP port, which the kernel frees */
	const struct sockaddr *addr = (const struct sockaddr *)&server->address.addr;
	int yes = 1, rc;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(err, -errno, "no socket for %s: %s", server->config.listen, strerror(errno));
	/* Without it a restart would wait for connections of the one before to expire; it lets no two listen at once.
	 */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (addr->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (bind(fd, addr, server->address.len) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
		rc = -errno;
		(void)close(fd); /* nothing was written */
		return err_set(err, rc, "can't listen on %s: %s", server->config.listen, strerror(-rc));
	}
	*out_fd = fd;
	return 0;
}

static int mhd_start(struct http_server *server, int fd, struct err *err)
{
	const struct http_server_config *config = &server->config;
	unsigned idle_s = (unsigned)(config->max_wait_ms / 1000) + 1;

	server->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, http_on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
		http_on_log, (void *)server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)config->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)config->max_header_bytes,
		MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, (void *)server,
		MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, (void *)server, MHD_OPTION_END);
	if (server->mhd == NULL) {
		(void)close(fd); /* nothing was written */
		return err_set(err, -EIO, "libmicrohttpd refuses to listen on %s", config->listen);
	}
	return 0;
}

static int watch(struct http_server *server, struct err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int rc;

	if (info == NULL)
		return err_set(err, -EIO, "this libmicrohttpd was built without epoll");
	rc = uv_poll_init(server->loop, &server->poll, info->epoll_fd);
	if (rc != 0)
		return err_set(err, rc, "no event handle for %s: %s", server->config.listen, uv_strerror(rc));
	MUST(uv_timer_init(server->loop, &server->timer) == 0);
	MUST(uv_poll_start(&server->poll, UV_READABLE, http_on_poll) == 0);
	return 0;
}

int http_server_create(uv_loop_t *loop, const struct http_server_config *config, struct http_server **out_server,
		       struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int rc, fd = -1;

	if (server == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	server->loop = loop;
	server->config = *config;
	list_init(&server->clients);
	rc = http_address_parse(config->listen, &server->address, err);
	if (rc == 0)
		rc = socket_open(server, &fd, err);
	if (rc != 0)
		goto free_server;
	address_print(server, fd);
	rc = mhd_start(server, fd, err);
	if (rc != 0)
		goto free_server;
	rc = watch(server, err);
	if (rc != 0)
		goto stop_mhd;
	server->config.listen = NULL; /* was borrowed */
	*out_server = server;
	return 0;
stop_mhd:
	MHD_stop_daemon(server->mhd);
free_server:
	free(server);
	return rc;
}

const char *http_server_address(const struct http_server *server)
{
	return server->address_text;
}

bool http_server_is_loopback(const struct http_server *server)
{
	return server->address.is_loopback;
}

uint64_t http_server_requests(const struct http_server *server)
{
	return server->n_requests;
}

/* ---- closing ---- */

static void http_on_closed(struct http_server *server)
{
	void (*closed)(void *arg) = server->closed;
	void *arg = server->closed_arg;

	if (--server->n_handles > 0)
		return;
	free(server);
	closed(arg);
}

static void http_poll_closed(uv_handle_t *handle)
{
	http_on_closed(container_of((uv_poll_t *)handle, struct http_server, poll));
}

static void http_timer_closed(uv_handle_t *handle)
{
	http_on_closed(container_of((uv_timer_t *)handle, struct http_server, timer));
}

void http_server_close(struct http_server *server, void (*closed)(void *arg), void *arg)
{
	server->closed = closed;
	server->closed_arg = arg;
	server->n_handles = 2;
	(void)uv_poll_stop(&server->poll); /* cannot fail; before the descriptor goes */
	uv_close((uv_handle_t *)&server->poll, http_poll_closed);
	uv_close((uv_handle_t *)&server->timer, http_timer_closed);
	MHD_stop_daemon(server->mhd);
}
