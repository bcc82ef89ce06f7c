/* libsagad: a small blocking client of sagad, for C and C++.
 *
 *     struct sagad_client *client;
 *     struct sagad_reply *reply;
 *     char error[SAGAD_ERROR_BYTES];
 *
 *     if (sagad_connect("/run/sagad/jobs.sock", 5000, &client, error, sizeof(error)) != 0)
 *             errx(1, "%s", error);
 *     if (sagad_call(client, "document.put", json, strlen(json), -1, &reply) != 0)
 *             errx(1, "%s", sagad_client_error(client));
 *     if (sagad_reply_is_error(reply))
 *             warnx("%s: %s", sagad_reply_code(reply), sagad_reply_message(reply));
 *     sagad_reply_free(reply);
 *     sagad_close(client);
 *
 * For speed, submit many requests before waiting (sagad_submit(), sagad_wait_any()): answers come in any order.
 *
 * Threads: a client belongs to one thread at a time; different clients are independent, there is no global state.
 * SIGPIPE: never raised by this library.
 * Functions return 0 or a negative errno; sagad_client_error() then has a text for people. */
#ifndef SAGAD_CLIENT_H
#define SAGAD_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SAGAD_WARN_UNUSED __attribute__((warn_unused_result))
#define SAGAD_PUBLIC      __attribute__((visibility("default")))
#else
#define SAGAD_WARN_UNUSED
#define SAGAD_PUBLIC
#endif

#define SAGAD_ERROR_BYTES 384 /* room for any error text, with its NUL */

struct sagad_client; /* a connection */
struct sagad_reply;  /* an answer */
struct sagad_saga;   /* a saga that is being written */

/* Connects to a daemon's socket.
 * Ownership: *out_client is the caller's, to be closed with sagad_close(). `path` is borrowed.
 * Promise: returns within timeout_ms; a negative timeout_ms waits as long as it takes.
 * Errors: -ECONNREFUSED, -ENOENT (no daemon there), -EACCES, -ENAMETOOLONG, -ETIMEDOUT, -ENOMEM; `error`, which may be
 * NULL, then says what to do. */
SAGAD_PUBLIC int sagad_connect(const char *path, int timeout_ms, struct sagad_client **out_client, char *error,
			       size_t error_bytes) SAGAD_WARN_UNUSED;

/* Closes the connection and frees the client, with the answers that were not taken. Takes NULL.
 * Promise: requests that are out go on in the daemon; their outcomes can be asked for with document.status, or by
 * sending them again with the same idempotency key. */
SAGAD_PUBLIC void sagad_close(struct sagad_client *client);

/* Sends a request, without waiting for its answer.
 * Ownership: `method` and `params` are borrowed for the call. `params` is a JSON object of params_bytes bytes; NULL: no
 * params. Newlines between its tokens become spaces, since a message is one line. It is not parsed here.
 * Promise: answers that arrive meanwhile are kept, so that client and daemon never wait for each other.
 * Errors: -ENOTCONN, -EPIPE, -ECONNRESET: the connection is gone, and it is not known whether this request and those
 * before it were done; -EINVAL: a NUL byte in params; -ENOMEM.
 * *out_id is the request's id on this connection, 1 or more; out_id may be NULL. */
SAGAD_PUBLIC int sagad_submit(struct sagad_client *client, const char *method, const char *params, size_t params_bytes,
			      uint64_t *out_id) SAGAD_WARN_UNUSED;

/* Waits for the answer to one request; other answers are kept for later calls.
 * Ownership: *out_reply is the caller's, to be freed with sagad_reply_free().
 * Errors: -ETIMEDOUT (the request is still out, wait again); -ENOENT: no such request is out; -ENOTCONN, -ECONNRESET:
 * the connection is gone, the outcome is not known; -EPROTO: what came is no answer of sagad's. */
SAGAD_PUBLIC int sagad_wait(struct sagad_client *client, uint64_t id, int timeout_ms,
			    struct sagad_reply **out_reply) SAGAD_WARN_UNUSED;

/* Waits for the next answer to any request, oldest first. As sagad_wait(); -ENOENT: no request is out. */
SAGAD_PUBLIC int sagad_wait_any(struct sagad_client *client, int timeout_ms,
				struct sagad_reply **out_reply) SAGAD_WARN_UNUSED;

/* Sends a request and waits for its answer: sagad_submit() and sagad_wait(). */
SAGAD_PUBLIC int sagad_call(struct sagad_client *client, const char *method, const char *params, size_t params_bytes,
			    int timeout_ms, struct sagad_reply **out_reply) SAGAD_WARN_UNUSED;

/* How many requests were sent whose answers were not taken yet. */
SAGAD_PUBLIC size_t sagad_outstanding(const struct sagad_client *client);

/* What went wrong last, with what to do; "" when nothing has. Borrowed until the next call with this client. */
SAGAD_PUBLIC const char *sagad_client_error(const struct sagad_client *client);

/* The socket, for poll(); -1 when the connection is gone. It stays the client's. */
SAGAD_PUBLIC int sagad_client_fd(const struct sagad_client *client);

/* ---- a saga of your own, step by step ----
 *
 *     struct sagad_saga *saga = sagad_saga_create();
 *
 *     sagad_saga_add_step(saga, "reserve", "postgresql",
 *                         "{\"sql\": \"UPDATE stock SET n = n - 1 WHERE sku = $1\", \"params\": [\"a1\"]}",
 *                         "{\"sql\": \"UPDATE stock SET n = n + 1 WHERE sku = $1\", \"params\": [\"a1\"]}");
 *     sagad_saga_add_service_step(saga, "charge", "payments",
 *                                 "{\"method\": \"POST\", \"path\": \"/charges\", \"body\": {\"amount\": 30}}",
 *                                 "{\"method\": \"DELETE\", \"path\": \"/charges/order-7\"}");
 *     sagad_saga_set_step(saga, "idempotent", "true");
 *     sagad_saga_set_key(saga, "order-7");
 *     if (sagad_saga_run(client, saga, -1, &reply) != 0)
 *             errx(1, "%s", sagad_client_error(client));
 *     sagad_saga_free(saga);
 *
 * What a call can't do is remembered, and sagad_saga_run() tells it: so the calls between need no looking at. What the
 * members mean says docs/protocol.md, saga.run. */

/* An empty saga, to be freed with sagad_saga_free(); NULL: out of memory, which all functions here take, too. */
SAGAD_PUBLIC struct sagad_saga *sagad_saga_create(void);

/* Appends a step on a store: "postgresql", "redis", "neo4j", "qdrant" or "documents". `do_json` and `undo_json` are
 * JSON objects; undo_json may be "null" (what it did may stay), or NULL: left out, as for a pivot and what comes after
 * it. Texts are borrowed for the call. Errors: -EINVAL: no JSON; -ENOMEM. */
SAGAD_PUBLIC int sagad_saga_add_step(struct sagad_saga *saga, const char *name, const char *store, const char *do_json,
				     const char *undo_json);

/* The same on a service that the daemon's configuration names. */
SAGAD_PUBLIC int sagad_saga_add_service_step(struct sagad_saga *saga, const char *name, const char *service,
					     const char *do_json, const char *undo_json);

/* Sets a member of the step that was added last: "after" to "[\"reserve\"]", "pivot" to "true", "timeout_ms" to "500".
 * Errors as above; -EINVAL also when there is no step yet. */
SAGAD_PUBLIC int sagad_saga_set_step(struct sagad_saga *saga, const char *member, const char *json);

/* Sets a member of the saga: "deadline_ms" to "3000", "wait" to "\"accepted\"". */
SAGAD_PUBLIC int sagad_saga_set(struct sagad_saga *saga, const char *member, const char *json);

/* Sets its idempotency key, a text. */
SAGAD_PUBLIC int sagad_saga_set_key(struct sagad_saga *saga, const char *key);

/* Runs it and waits: sagad_call() with saga.run. The saga stays the caller's and may be run again.
 * Errors as sagad_call(); and the first one of the calls that made the saga, with nothing sent. */
SAGAD_PUBLIC int sagad_saga_run(struct sagad_client *client, const struct sagad_saga *saga, int timeout_ms,
				struct sagad_reply **out_reply) SAGAD_WARN_UNUSED;

/* Its parameters as JSON, for sagad_submit(); NULL: it has a fault, or there is no memory. The caller's: free(). */
SAGAD_PUBLIC char *sagad_saga_json(const struct sagad_saga *saga);

/* What went wrong first; "" when nothing has. Borrowed from the saga. */
SAGAD_PUBLIC const char *sagad_saga_error(const struct sagad_saga *saga);

/* Frees it. Takes NULL. */
SAGAD_PUBLIC void sagad_saga_free(struct sagad_saga *saga);

/* ---- an answer; all texts are borrowed from it, end with a NUL, and are never NULL ---- */

/* The id of the request; 0: the daemon could not tell which request it answers (an error then: a line that was too
 * long, or a connection that is turned away). */
SAGAD_PUBLIC uint64_t sagad_reply_id(const struct sagad_reply *reply);

/* 1: an error, 0: a result. */
SAGAD_PUBLIC int sagad_reply_is_error(const struct sagad_reply *reply);

/* The stable code of an error ("conflict", "store_unavailable", ... docs/protocol.md); "" of a result. */
SAGAD_PUBLIC const char *sagad_reply_code(const struct sagad_reply *reply);

/* An error's text for people; "" of a result. */
SAGAD_PUBLIC const char *sagad_reply_message(const struct sagad_reply *reply);

/* 1: the same request may succeed later. */
SAGAD_PUBLIC int sagad_reply_is_retriable(const struct sagad_reply *reply);

/* When the daemon advises to try again; 0: no advice. */
SAGAD_PUBLIC uint64_t sagad_reply_retry_after_ms(const struct sagad_reply *reply);

/* The result as JSON, or an error's data; "null" when there is none. */
SAGAD_PUBLIC const char *sagad_reply_json(const struct sagad_reply *reply);

/* A text out of the top level of that JSON; NULL when it isn't there. */
SAGAD_PUBLIC const char *sagad_reply_text(const struct sagad_reply *reply, const char *name);

/* A whole number out of it; `otherwise` when it isn't there. */
SAGAD_PUBLIC uint64_t sagad_reply_number(const struct sagad_reply *reply, const char *name, uint64_t otherwise);

/* The whole message as it came, without its newline. */
SAGAD_PUBLIC const char *sagad_reply_line(const struct sagad_reply *reply);

/* Frees an answer. Takes NULL. */
SAGAD_PUBLIC void sagad_reply_free(struct sagad_reply *reply);

#ifdef __cplusplus
}
#endif

#endif
