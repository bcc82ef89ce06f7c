/* A server on a Unix stream socket that speaks in lines: it takes clients in, checks who they are, cuts what they send
 * into lines, and sends answers. It knows nothing of what the lines mean.
 *
 * All calls on the loop's thread. The program ignores SIGPIPE. */
#ifndef SAGAD_NET_SERVER_H
#define SAGAD_NET_SERVER_H

#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct server;
struct peer;

#define SERVER_IDS_MAX 32

/* Who may connect, beside root and the daemon's own user, who always may. unix(7): the kernel vouches for uid and gid
 * as of the peer's connect(); its supplementary groups count, too, where the kernel tells them (4.13). */
struct server_access {
	bool is_open; /* whoever the socket's file mode lets in; the lists are not looked at */
	uid_t uids[SERVER_IDS_MAX];
	uint32_t n_uids;
	gid_t gids[SERVER_IDS_MAX];
	uint32_t n_gids;
};

struct server_config {
	const char *name; /* "jobs", "administration": for messages; static */
	const char *path; /* of the socket; borrowed for server_create(); NULL with an inherited `fd` */
	int fd; /* an inherited socket, or with `path` what server_replace() made there; taken on success; -1: make one
		 */
	mode_t mode;      /* of the socket's file, set before anybody can connect */
	gid_t socket_gid; /* its group; (gid_t)-1: the daemon's */
	struct server_access access;
	size_t max_line_bytes;     /* without its newline; a longer line is skipped and reported */
	size_t max_buffered_bytes; /* of unfinished lines of all clients; above, the line that grows is skipped */
	uint32_t max_clients;      /* lowered to what RLIMIT_NOFILE allows beside spare_fds */
	uint32_t spare_fds;        /* descriptors that stores, journal and log need */
	uint32_t max_jobs;         /* of one client in flight: above, its socket is not read */
	size_t max_unsent_bytes;   /* of answers to one client: above, its socket is not read */
	uint64_t stall_ms;         /* a client that reads nothing of its answers for so long, or sends nothing of a line
				      that it began, is dropped; 0: never */
	/* Whole lines with their newline, sent at best to a client that is turned away; static; NULL: nothing. */
	const char *full_line;
	const char *forbidden_line;
	struct log *log; /* borrowed for the server's life; may be NULL */
};

enum server_skip {
	SERVER_SKIP_TOO_LONG, /* the line is longer than max_line_bytes */
	SERVER_SKIP_NO_ROOM   /* max_buffered_bytes is used up; the same line may pass later */
};

/* What happens to a server. Embed it; container_of() leads back. The peer is borrowed for the call: who answers later
 * calls peer_begin(). */
struct server_events {
	/* A line, without its newline, which is followed by a NUL; borrowed for the call. Empty lines don't come. */
	void (*line)(struct server_events *events, struct peer *peer, const char *bytes, size_t len);
	/* A line was skipped, of which so many bytes had come; the connection goes on behind it. */
	void (*skipped)(struct server_events *events, struct peer *peer, size_t n_bytes, enum server_skip why);
};

struct server_counts {
	uint32_t n_clients;
	uint64_t n_accepted; /* since the start; so are the next */
	uint64_t n_forbidden;
	uint64_t n_turned_away; /* max_clients was reached */
	uint64_t n_dropped;     /* stalled */
	uint64_t n_lines;
	uint64_t n_skipped;
	size_t buffered_bytes; /* of unfinished lines */
	size_t unsent_bytes;   /* of answers */
};

/* Makes the socket (bind, mode, then listen) or takes the inherited one, and listens. A socket file on which nobody
 * listens any more is replaced; a live daemon's is not (-EADDRINUSE), nor is a file that is no socket (-EEXIST). A lock
 * file beside it, `path`.lock, decides between two daemons that start at once.
 * `events` is kept until closed(). 0 or a negative errno. */
int server_create(uv_loop_t *loop, const struct server_config *config, struct server_events *events,
		  struct server **out_server, struct err *err) WARN_UNUSED;

/* Makes a listening socket in the place of an older daemon's, which keeps the clients it has. Whoever connects from now
 * on waits until server_create() gets the descriptor. 0 and a descriptor that the caller owns, or a negative errno. */
int server_replace(const struct server_config *config, int *out_fd, struct err *err) WARN_UNUSED;

/* What can change while clients are here: lines, buffers, jobs, waiting, and who may connect from now on. */
void server_reconfigure(struct server *server, const struct server_config *config);

/* While paused no line is delivered and no socket is read; answers go out. */
void server_pause(struct server *server, bool is_paused);

/* Takes no more clients and removes the socket's file; those that are here go on. */
void server_stop_listening(struct server *server);

/* Stops listening and reading; a client whose jobs are answered and whose answers are sent is closed, those that are
 * left after flush_ms as well. Then frees the server and calls closed(arg), later. */
void server_close(struct server *server, uint64_t flush_ms, void (*closed)(void *arg), void *arg);

void server_counts(const struct server *server, struct server_counts *out_counts);

/* ---- peers ---- */

/* Sends bytes (whole lines). They are copied. Does nothing for a client that is gone. */
void peer_reply(struct peer *peer, const char *bytes, size_t len);

/* A job of this client begins: the peer stays valid until its peer_end(), also when the client goes. */
void peer_begin(struct peer *peer);

/* The job's answer, as peer_reply(); len 0: none. The caller's hold on the peer ends. */
void peer_end(struct peer *peer, const char *bytes, size_t len);

/* Is the client gone? Its answers are dropped then. */
bool peer_is_gone(const struct peer *peer);

/* A number of the daemon's own, zero at first, that lives as long as the peer. */
uint64_t *peer_number(struct peer *peer);

uid_t peer_uid(const struct peer *peer);
/* Is its user among these? False for a client that is gone. */
bool peer_is_allowed(const struct peer *peer, const struct server_access *access);

pid_t peer_pid(const struct peer *peer); /* 0: unknown; a pid may have been reused since */

#endif
