#include "stores/redis/redis_link.h"

#include "base/crash_point.h"

#include "loop/watch_error.h"

#include <errno.h>
#include <hiredis/sds.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct redis_link {
	uv_poll_t poll;
	redisContext *context; /* NULL: dropped; freed in one place, redis_link_drop() */
	const struct redis_link_events *events;
	void *owner;
	redisReplyObjectFunctions functions; /* hiredis' own, arrays refused */
	const struct redis_tls *tls;         /* NULL: clear text */
	struct ssl_st *session;              /* the context's, from the end of the TCP handshake on */
	int watched;                         /* events that the poll waits for; 0: not started */
	int shake_events;                    /* what the TLS handshake waits for; 0: none is under way */
	bool is_connected;                   /* and TLS agreed on */
	bool is_flushed;                     /* nothing is left in the output buffer */
	bool was_sent;
	bool is_inside;   /* in on_poll(): the memory must stay until it returns */
	bool is_released; /* by the loop */
};

/* None of our commands is answered by an array, and hiredis 0.14 allocates whatever count a server announces: 16 GB for
 * eleven bytes. The count's type is int in 0.14 and size_t since 1.0. */
static void *refuse_array_of_int(const redisReadTask *task, int n) __attribute__((unused));
static void *refuse_array_of_int(const redisReadTask *task, int n)
{
	(void)task;
	(void)n;
	return NULL; /* the reader then fails, "Out of memory", and the connection is given up */
}

static void *refuse_array_of_size(const redisReadTask *task, size_t n) __attribute__((unused));
static void *refuse_array_of_size(const redisReadTask *task, size_t n)
{
	(void)task;
	(void)n;
	return NULL;
}

static void link_refuse_arrays(struct redis_link *link)
{
	link->functions = *link->context->reader->fn;
	link->functions.createArray = _Generic(link->functions.createArray, void *(*)(const redisReadTask *, int)
					       : refuse_array_of_int, default
					       : refuse_array_of_size);
	link->context->reader->fn = &link->functions;
}

static void link_release(struct redis_link *link)
{
	if (link->is_released && !link->is_inside)
		free(link);
}

static void link_on_closed(uv_handle_t *handle)
{
	struct redis_link *link = container_of(handle, struct redis_link, poll);

	link->is_released = true;
	link_release(link);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void link_break(struct redis_link *link, const struct err *err)
{
	link->events->broken(link->owner, err);
}

static void link_watch(struct redis_link *link)
{
	/* While connecting only "writable" means anything; afterwards reading never stops, so that a server which
	 * closes an idle connection, or talks without having been asked, is noticed. */
	int events = link->is_connected ? UV_READABLE : UV_WRITABLE;

	if (link->shake_events != 0)
		events = link->shake_events;
	else if (!link->is_flushed)
		events |= UV_WRITABLE;
	/* Each start costs two system calls, also when nothing changes. */
	if (events != link->watched)
		MUST(uv_poll_start(&link->poll, events, on_poll) == 0); /* fails for a closing handle only */
	link->watched = events;
}

/* False: it isn't up yet, or broke. */
static bool link_shake(struct redis_link *link)
{
	struct err err = {0};

	switch (redis_tls_shake(link->session, &err)) {
	case REDIS_TLS_DONE:
		link->shake_events = 0;
		return true;
	case REDIS_TLS_WANTS_READ:
		link->shake_events = UV_READABLE;
		break;
	case REDIS_TLS_WANTS_WRITE:
		link->shake_events = UV_WRITABLE;
		break;
	case REDIS_TLS_FAILED:
		link_break(link, &err);
		return false;
	}
	link_watch(link);
	return false;
}

static bool link_begin_tls(struct redis_link *link)
{
	struct err err = {0};

	if (redis_tls_begin(link->tls, link->context, &link->session, &err) == 0)
		return link_shake(link);
	link_break(link, &err);
	return false;
}

static bool link_is_reached(struct redis_link *link)
{
	socklen_t size = sizeof(int);
	struct err err = {0};
	int fault = 0;

	if (getsockopt(link->context->fd, SOL_SOCKET, SO_ERROR, &fault, &size) != 0)
		fault = errno;
	if (fault != 0) {
		(void)err_set(&err, -fault, "can't be reached: %s", strerror(fault));
		link_break(link, &err);
	}
	return fault == 0;
}

/* True: the owner has been told, and goes on. */
static bool link_finish_connect(struct redis_link *link)
{
	if (link->session != NULL) {
		if (!link_shake(link))
			return false;
	} else if (!link_is_reached(link) || (link->tls != NULL && !link_begin_tls(link))) {
		return false;
	}
	link->is_connected = true;
	link->events->connected(link->owner);
	return link->context != NULL;
}

static const char *link_reason(const struct redis_link *link)
{
	return link->session != NULL ? redis_tls_reason(link->context->errstr) : link->context->errstr;
}

static bool link_write(struct redis_link *link)
{
	struct err err = {0};

	if (link->is_flushed)
		return true;
	if (link->session != NULL)
		redis_tls_enter();
	/* It isn't asked whether all is written: hiredis 0.14 takes a new, empty buffer then, and would look into it
	 * when there was no memory for one. */
	if (redisBufferWrite(link->context, NULL) != REDIS_OK) {
		(void)err_set(&err, -EIO, "the connection broke: %s", link_reason(link));
		link_break(link, &err);
		return false;
	}
	CRASH_POINT(REDIS_REQUEST_SENT);
	link->was_sent = true; /* the socket was writable; that the kernel took nothing can't be told apart */
	if (link->context->obuf == NULL) {
		(void)err_set(&err, -ENOMEM, "out of memory for the next request");
		link_break(link, &err);
		return false;
	}
	link->is_flushed = sdslen(link->context->obuf) == 0;
	return true;
}

/* Hands on every whole reply that has come. */
static bool link_take_replies(struct redis_link *link)
{
	for (;;) {
		redisReply *reply = NULL;
		struct err err = {0};

		if (redisGetReplyFromReader(link->context, (void **)&reply) != REDIS_OK) {
			(void)err_set(&err, -EPROTO, "it sent what is no answer of a Redis: %s", link->context->errstr);
			link_break(link, &err);
			return false;
		}
		if (reply == NULL)
			return true;
		link->events->replied(link->owner, reply);
		freeReplyObject(reply);
		if (link->context == NULL)
			return false;
	}
}

static bool link_read(struct redis_link *link)
{
	const redisReader *reader;
	struct err err = {0};

	if (link->session != NULL)
		redis_tls_enter();
	if (redisBufferRead(link->context) != REDIS_OK) {
		/* Whole replies may stand before the end of the stream. */
		if (link->context->err == REDIS_ERR_EOF || link->context->err == REDIS_ERR_IO)
			(void)err_set(&err, -ECONNRESET, "the connection broke: %s", link_reason(link));
		else
			(void)err_set(&err, -EPROTO, "can't be read: %s", link->context->errstr);
		link_break(link, &err);
		return false;
	}
	if (!link_take_replies(link))
		return false;
	reader = link->context->reader;
	if (reader->len - reader->pos > REDIS_LINK_REPLY_MAX_BYTES) {
		(void)err_set(&err, -EPROTO, "it sent an answer of more than %u bytes", REDIS_LINK_REPLY_MAX_BYTES);
		link_break(link, &err);
		return false;
	}
	return true;
}

static void link_turn(struct redis_link *link, int events)
{
	if (!link->is_connected && !link_finish_connect(link))
		return;
	if ((events & (UV_READABLE | UV_DISCONNECT)) != 0 && !link_read(link))
		return;
	if ((events & UV_WRITABLE) != 0 && !link_write(link))
		return;
	link_watch(link);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct redis_link *link = container_of(poll, struct redis_link, poll);

	link->is_inside = true;
	if (status < 0)
		link->watched = 0; /* libuv has stopped the poll */
	if (status < 0 && link->is_connected) {
		int rc = watch_error(link->context->fd, status);
		struct err err = {0};

		(void)err_set(&err, rc, "the connection broke: %s", uv_strerror(rc));
		link_break(link, &err);
	} else {
		/* An error while connecting is read from the socket, which says more. */
		link_turn(link, status < 0 ? UV_WRITABLE : events);
	}
	link->is_inside = false;
	link_release(link);
}

static redisContext *connect_context(const char *address, uint16_t port, const char *path)
{
	return path != NULL ? redisConnectUnixNonBlock(path) : redisConnectNonBlock(address, port);
}

int redis_link_open(uv_loop_t *loop, const char *address, uint16_t port, const char *path, const struct redis_tls *tls,
		    const struct redis_link_events *events, void *owner, struct redis_link **out_link, struct err *err)
{
	struct redis_link *link = calloc(1, sizeof(*link));
	int rc;

	if (link == NULL)
		return err_set(err, -ENOMEM, "can't be reached: out of memory");
	link->context = connect_context(address, port, path);
	if (link->context == NULL || link->context->err != 0) {
		rc = err_set(err, -ECONNREFUSED, "can't be reached: %s",
			     link->context != NULL ? link->context->errstr : "out of memory");
		goto free_context;
	}
	if (path == NULL)
		(void)redisEnableKeepAlive(link->context); /* a help only: every request has its own deadline */
	link->context->err = 0;
	link_refuse_arrays(link);
	rc = uv_poll_init(loop, &link->poll, link->context->fd);
	if (rc != 0) {
		(void)err_set(err, rc, "can't be reached: %s", uv_strerror(rc));
		goto free_context;
	}
	link->events = events;
	link->owner = owner;
	link->tls = tls;
	link->is_flushed = true;
	link_watch(link);
	*out_link = link;
	return 0;
free_context:
	if (link->context != NULL)
		redisFree(link->context);
	free(link);
	return rc;
}

int redis_link_add(struct redis_link *link, int argc, const char **argv, const size_t *lens)
{
	if (redisAppendCommandArgv(link->context, argc, argv, lens) != REDIS_OK)
		return -ENOMEM;
	link->is_flushed = false;
	link_watch(link);
	return 0;
}

bool redis_link_was_sent(const struct redis_link *link)
{
	return link->was_sent;
}

void redis_link_mark(struct redis_link *link)
{
	link->was_sent = false;
}

void redis_link_drop(struct redis_link *link)
{
	redisContext *context;

	if (link == NULL)
		return;
	context = link->context;
	MUST(context != NULL);
	link->context = NULL;
	MUST(uv_poll_stop(&link->poll) == 0); /* before the descriptor is closed and its number used again */
	redisFree(context);
	uv_close((uv_handle_t *)&link->poll, link_on_closed);
}
