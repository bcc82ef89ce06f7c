/* curl's sockets and its one timer on libuv.
 *
 * A poll is found by its descriptor and never by curl's socket pointer: curl may say CURL_POLL_REMOVE after the
 * descriptor was closed and given out again (curl issues 3597 and 14976). The close callback ends the poll first and
 * the descriptor then, so libuv never watches a number that belongs to somebody else. */
#include "http_internal.h"

#include "base/crash_point.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_socket {
	uv_poll_t poll;
	struct http_client *client;
	curl_socket_t fd;
	int watched; /* events; 0: the poll is not started */
	struct list node;
};

static struct http_socket *http_socket_find(struct http_client *client, curl_socket_t fd)
{
	for (struct list *it = client->sockets.next; it != &client->sockets; it = it->next) {
		struct http_socket *sock = container_of(it, struct http_socket, node);
		if (sock->fd == fd)
			return sock;
	}
	return NULL;
}

static void http_socket_closed(uv_handle_t *handle)
{
	struct http_socket *sock = container_of(handle, struct http_socket, poll);
	struct http_client *client = sock->client;

	free(sock);
	http_client_handle_closed(client);
}

static void http_socket_end(struct http_socket *sock)
{
	list_remove(&sock->node);
	(void)uv_poll_stop(&sock->poll); /* it always succeeds */
	uv_close((uv_handle_t *)&sock->poll, http_socket_closed);
}

static struct http_socket *http_socket_begin(struct http_client *client, curl_socket_t fd)
{
	struct http_socket *sock = calloc(1, sizeof(*sock));
	int rc = UV_ENOMEM;

	if (sock != NULL)
		rc = uv_poll_init_socket(client->loop, &sock->poll, fd);
	if (rc != 0) {
		/* The transfer isn't lost silently: its time-out ends it. */
		log_with(client->log, LOG_ERROR_LEVEL, LOG_STORE_FAILED,
			 LOG_FIELDS({"store", str_of(client->config.store)}),
			 "%s %s: a connection can't be watched: %s", client->config.store, client->endpoint,
			 uv_strerror(rc));
		free(sock);
		return NULL;
	}
	sock->client = client;
	sock->fd = fd;
	client->n_handles++;
	list_append(&client->sockets, &sock->node);
	return sock;
}

static void http_socket_ready(uv_poll_t *poll, int status, int events)
{
	struct http_client *client = container_of(poll, struct http_socket, poll)->client;
	curl_socket_t fd = container_of(poll, struct http_socket, poll)->fd;
	int n_running, mask = 0;

	if (events & UV_READABLE)
		mask |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	/* libuv stops the poll on an error and says nothing more: curl has to hear of it (curl issue 14254). */
	if (status < 0) {
		container_of(poll, struct http_socket, poll)->watched = 0;
		mask |= CURL_CSELECT_ERR;
	}
	(void)curl_multi_socket_action(client->multi, fd, mask, &n_running); /* each transfer has its own result */
	CRASH_POINT_IF(!list_is_empty(&client->sent), HTTP_REQUEST_SENT);
	http_client_drain(client);
}

/* curl wants a descriptor watched, or no longer. */
static int http_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *client_arg, void *socket_arg)
{
	struct http_client *client = client_arg;
	struct http_socket *sock = http_socket_find(client, fd);
	int events = 0;

	(void)easy;
	(void)socket_arg;
	if (what == CURL_POLL_REMOVE) {
		if (sock != NULL)
			http_socket_end(sock);
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= UV_WRITABLE;
	if (sock == NULL)
		sock = http_socket_begin(client, fd);
	/* Starting a poll again costs two system calls, also when nothing changes. */
	if (sock == NULL || events == 0 || events == sock->watched)
		return 0;
	sock->watched = events;
	if (uv_poll_start(&sock->poll, events, http_socket_ready) != 0)
		http_socket_end(sock);
	return 0;
}

static void http_timer_fired(uv_timer_t *timer)
{
	struct http_client *client = container_of(timer, struct http_client, curl_timer);
	int n_running;

	(void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running); /* as above */
	CRASH_POINT_IF(!list_is_empty(&client->sent), HTTP_REQUEST_SENT);
	http_client_drain(client);
}

/* curl wants to be called after a while. Zero isn't answered from inside: curl is on the stack. */
static int http_timer_wanted(CURLM *multi, long timeout_ms, void *client_arg)
{
	struct http_client *client = client_arg;

	(void)multi;
	if (timeout_ms < 0)
		return uv_timer_stop(&client->curl_timer);
	return uv_timer_start(&client->curl_timer, http_timer_fired, (uint64_t)timeout_ms, 0);
}

static curl_socket_t http_socket_open(void *client_arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_client *client = client_arg;
	int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	client->n_connections++;
	return fd;
}

static int http_socket_close(void *client_arg, curl_socket_t fd)
{
	struct http_client *client = client_arg;
	struct http_socket *sock = http_socket_find(client, fd);

	if (sock != NULL)
		http_socket_end(sock);
	client->n_connections--;
	return close(fd);
}

void http_socket_attach(struct http_client *client)
{
	list_init(&client->sockets);
	/* These options take no memory and can't fail on a valid handle. */
	(void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, http_socket_wanted);
	(void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	(void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, http_timer_wanted);
	(void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
}

void http_socket_attach_easy(struct http_client *client, CURL *easy)
{
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, http_socket_open);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, http_socket_close);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
}
