/* The daemon's two sockets: jobs and administration. */
#ifndef SAGAD_SAGAD_SOCKETS_H
#define SAGAD_SAGAD_SOCKETS_H

#include "base/buf.h"
#include "base/err.h"
#include "net/server.h"
#include "sagad/config.h"
#include "sagad/dispatch.h"
#include "sagad/handover.h"

#include <stdint.h>
#include <uv.h>

struct sockets {
	struct server *jobs;
	struct server *admin;
	const char *jobs_place; /* where it listens, for messages; the configuration's */
	const char *admin_place;
	struct buf full_line; /* what a client is told that is turned away */
	struct buf forbidden_line;
	bool is_inherited; /* the sockets are systemd's */
	uint32_t n_open;   /* while they are closed */
	void (*closed)(struct sockets *sockets);
};

/* Listens on both. Everything is borrowed until closed(). 0; -EADDRINUSE: another daemon
 * listens there; or another negative errno. */
int sockets_open(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		 const struct handover *handover, struct log *log, struct err *err) WARN_UNUSED;

/* Other limits and other users, of `config`, from now on. */
void sockets_reconfigure(struct sockets *sockets, const struct config *config);

/* Before a drain: clients that connect now wait for the next daemon where the sockets are systemd's. Where they are
 * this daemon's own they are still taken in, and told. */
void sockets_leave_to_next(struct sockets *sockets);

/* Takes no more clients and no more lines; answers that are ready are sent for flush_ms at most. Then closed(). */
void sockets_close(struct sockets *sockets, uint64_t flush_ms, void (*closed)(struct sockets *sockets));

#endif
