/* What server.c and peer.c share. Private to src/net/. */
#ifndef SAGAD_NET_INTERNAL_H
#define SAGAD_NET_INTERNAL_H

#include "base/buf.h"
#include "base/list.h"
#include "net/listener.h"
#include "net/server.h"

#include <sys/socket.h>

struct server {
	struct server_config config;
	struct server_events *events;
	struct listener listener;
	uv_loop_t *loop;
	uv_pipe_t pipe;  /* listens */
	uv_timer_t tick; /* looks for stalled clients, and ends a close that takes too long */
	uv_idle_t turn;  /* active while a peer waits in `due`: what they need is done at the loop's next turn */
	struct list peers;
	struct list due;
	struct server_counts counts;
	bool is_paused;
	bool is_listening;
	bool has_client_at_door; /* there was no memory for it, and libuv takes no other before this one is in */
	bool is_closing;
	uint64_t close_by_ms; /* loop time */
	uint32_t n_handles;   /* of the server's own that libuv still has */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One client. The handle's close and the last job's end free it, whichever comes later. */
struct peer {
	struct server *server; /* NULL when the client is gone */
	uv_pipe_t pipe;
	uv_write_t write;
	struct list node; /* server->peers */
	struct list due;  /* server->due */
	struct ucred who;
	struct buf in;     /* what was read and not delivered */
	size_t n_searched; /* of `in`, without a newline */
	size_t n_skipped;  /* bytes of the line that is being skipped */
	struct buf out;    /* to send at the loop's next turn */
	struct buf sending;
	uint64_t number; /* peer_number() */
	uint32_t n_jobs;
	uint32_t n_holds; /* jobs, and one for the handle */
	bool is_skipping;
	bool is_reading;
	bool is_eof; /* the client has shut its side down; it may still read */
	bool is_writing;
	bool is_closing;
	size_t last_queue_bytes; /* unsent at the last tick */
	uint64_t last_write_ms;  /* when that last shrank */
	uint64_t last_read_ms;   /* when the client last sent something */
};

/* Takes an accepted connection over; peer_accept() answers for the handle. */
int peer_accept(struct server *server) WARN_UNUSED;

/* Brings a peer up to date: delivers lines, reads or stops reading, sends, closes. */
void peer_turn(struct peer *peer);

/* Asks for peer_turn() at the loop's next turn. */
void peer_is_due(struct peer *peer);

/* Ends the connection now; what is unsent is lost. */
void peer_drop(struct peer *peer);

/* Has the peer's client stalled for longer than the configuration allows? */
bool peer_has_stalled(struct peer *peer, uint64_t now_ms);

/* server.c: a peer has left the list. */
void server_peer_left(struct server *server);

#endif
