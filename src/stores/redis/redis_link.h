/* One TCP or Unix-socket connection: a hiredis context, driven by a uv_poll. Private to the adapter.
 *
 * hiredis gives what it is good at: connecting, the output buffer, the parser. Its asynchronous half is left alone: in
 * 0.14 a refused port calls nothing back, and an answer that nobody asked for hits an assert() and takes the process
 * with it. Here such an answer is a reply like any other, and the owner says that none was due. */
#ifndef SAGAD_STORES_REDIS_REDIS_LINK_H
#define SAGAD_STORES_REDIS_REDIS_LINK_H

#include "base/err.h"

#include "stores/redis/redis_tls.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <uv.h>

#define REDIS_LINK_REPLY_MAX_BYTES (1u << 20) /* of one reply; ours have some bytes, INFO some thousand */

struct redis_link;

/* The owner's side. All are called on the loop's thread, from its turns only. Each may drop the link; after a drop
 * none is called. */
struct redis_link_events {
	void (*connected)(void *owner);
	/* A whole reply: a text, number, nil or error, never an array. Borrowed for the call. */
	void (*replied)(void *owner, const redisReply *reply);
	/* The connection is of no use any more; the owner drops it. err says what happened, without the store's name.
	 */
	void (*broken)(void *owner, const struct err *err);
};

/* Begins to connect: to the numeric address and port, or to the Unix socket at `path` when that isn't NULL. Texts are
 * borrowed for the call, `owner` and `tls` (NULL: clear text) until the drop. 0 or negative errno with err. */
int redis_link_open(uv_loop_t *loop, const char *address, uint16_t port, const char *path, const struct redis_tls *tls,
		    const struct redis_link_events *events, void *owner, struct redis_link **out_link,
		    struct err *err) WARN_UNUSED;

/* Adds a command to the output, which the loop sends from its next turn on. Arguments are copied. -ENOMEM. */
int redis_link_add(struct redis_link *link, int argc, const char **argv, const size_t *lens) WARN_UNUSED;

/* Has the kernel taken any byte since the last redis_link_mark()? */
bool redis_link_was_sent(const struct redis_link *link);
void redis_link_mark(struct redis_link *link);

/* Closes the socket at once; the memory goes when the loop has let go of it. Takes NULL. */
void redis_link_drop(struct redis_link *link);

#endif
