/* Names to addresses, off the loop: getaddrinfo() blocks, so it runs in libuv's worker threads. */
#ifndef SAGAD_LOOP_RESOLVE_H
#define SAGAD_LOOP_RESOLVE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

/* Embed it, zeroed. One look-up at a time. The memory must live until done(), a cancelled look-up's, too. */
struct resolve {
	union {
		uv_getaddrinfo_t req; /* private: of a name */
		uv_timer_t timer;     /* private: of a numeric address, which needs no worker */
	};
	bool is_busy;
	bool is_cancelled;  /* private */
	uint32_t n_answers; /* private: a name with several addresses hands out the next one at each look-up, so that
			       who looks up again after a failed connect gets round all of them */
	/* Called once for each start, later, on the loop's thread. rc 0: `address` is numeric text ("127.0.0.1",
	 * "::1"), borrowed for the call. Otherwise a negative errno, err says which name. -ECANCELED after
	 * resolve_cancel(). */
	void (*done)(struct resolve *resolve, int rc, const char *address, const struct err *err);
	char host[256]; /* private */
};

/* Looks up a host. A numeric address is answered the same way, without a worker's help. 0 or negative errno: -EBUSY
 * while one runs, -ENAMETOOLONG, -EINVAL for an empty name. */
int resolve_start(struct resolve *resolve, uv_loop_t *loop, const char *host) __attribute__((warn_unused_result));

/* Ends a look-up early; done() still comes, later: at once, except when a worker is in the middle of getaddrinfo(),
 * which nothing can interrupt. Does nothing when none runs. */
void resolve_cancel(struct resolve *resolve);

#endif
