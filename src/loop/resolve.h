/* Names to addresses, off the loop: getaddrinfo() blocks, so it runs in libuv's worker threads. */
#ifndef SAGAD_LOOP_RESOLVE_H
#define SAGAD_LOOP_RESOLVE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

/* Embed it. One look-up at a time. */
struct resolve {
	uv_getaddrinfo_t req; /* private */
	bool is_busy;
	/* Called once for each start, later, on the loop's thread. rc 0: `address` is numeric text ("127.0.0.1",
	 * "::1"), borrowed for the call. Otherwise a negative errno, err says which name. -ECANCELED after
	 * resolve_cancel(). */
	void (*done)(struct resolve *resolve, int rc, const char *address, const struct err *err);
	char host[256]; /* private */
};

/* Looks up a host. A numeric address is answered the same way, without a worker's help. 0 or negative errno. */
int resolve_start(struct resolve *resolve, uv_loop_t *loop, const char *host) __attribute__((warn_unused_result));

/* Ends a look-up early; done() still comes. Does nothing when none runs. */
void resolve_cancel(struct resolve *resolve);

#endif
