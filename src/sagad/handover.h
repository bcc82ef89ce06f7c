/* The change from an older daemon to this one without a moment in which nobody listens.
 *
 * Sockets of systemd's belong to neither: the older daemon stops accepting when it begins to stop, and clients wait in
 * the socket's queue. Otherwise (`sagad --replace`) this daemon puts sockets of its own in the place of the older one's
 * and asks it to stop. In both cases it then waits for the journal, which the older one gives up last. At the start
 * only, before the loop: it blocks. */
#ifndef SAGAD_SAGAD_HANDOVER_H
#define SAGAD_SAGAD_HANDOVER_H

#include "base/err.h"
#include "base/log.h"
#include "sagad/config.h"

#include <stdbool.h>
#include <stdint.h>

struct handover {
	int jobs_fd;       /* listening in the older daemon's place; -1: none. The server's once it is created */
	int admin_fd;      /* likewise */
	bool may_wait;     /* for the journal */
	bool is_waiting;   /* private, as the next */
	uint64_t until_ns; /* on the monotonic clock */
};

/* Without `is_replacing` only finds out whether waiting makes sense: it does with sockets of systemd's. With it takes
 * the sockets over and asks the older daemon to stop; when there is none the start is an ordinary one. 0;
 * -EADDRINUSE: the daemon that listens can't be asked; or another negative errno. */
int handover_begin(struct handover *handover, const struct config *config, bool is_replacing, struct log *log,
		   struct err *err) WARN_UNUSED;

/* Sleeps a moment, and says whether to look for the journal again. `why` is what the journal said. */
bool handover_wait(struct handover *handover, const struct config *config, struct log *log, const char *why);

#endif
