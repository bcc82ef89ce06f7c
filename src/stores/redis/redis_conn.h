/* A connection that comes up when it is needed, and one exchange at a time on it: commands out, as many replies back.
 * Private to the adapter. Promises end() exactly once for each start, later, never from inside it.
 *
 *   DOWN ── start ──▶ RESOLVING ──▶ CONNECTING ──▶ GREETING (AUTH, SELECT, PING) ──▶ BUSY ──▶ IDLE ── start ──▶ BUSY
 *   any of them ── failure, deadline, an answer that nobody asked for ──▶ DOWN
 *
 * One exchange at a time makes "the oldest outstanding reply" a single deadline, which later commands can't move. */
#ifndef SAGAD_STORES_REDIS_REDIS_CONN_H
#define SAGAD_STORES_REDIS_REDIS_CONN_H

#include "base/err.h"
#include "base/log.h"
#include "loop/resolve.h"
#include "port/verdict.h"
#include "stores/redis/redis_link.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Where to and as whom. Owned by the adapter, lives longer than its connections. */
struct redis_target {
	char *host;     /* a name or an address; unused with a path */
	char *path;     /* NULL: TCP */
	char *user;     /* NULL: none */
	char *password; /* NULL: none */
	uint32_t db;
	uint16_t port;
	uint32_t connect_timeout_ms;
	struct redis_tls *tls; /* NULL: clear text */
	char endpoint[160];    /* for messages */
};

enum redis_end {
	REDIS_ANSWERED, /* every reply came */
	REDIS_NOT_SENT, /* nothing reached the server; `verdict` says why: OUTAGE, TRANSIENT or MISCONFIGURED */
	REDIS_LOST      /* sent, and not all replies came */
};

/* One exchange. Embed it; kept from the start until end(). */
struct redis_exchange {
	uint64_t deadline_ns; /* in: uv_hrtime() */
	/* in: adds the commands with redis_link_add() and returns their number, or a negative errno. Called once, when
	 * the connection is up. */
	int (*write)(struct redis_exchange *exchange, struct redis_link *link);
	/* in: the reply to command `index`. Borrowed for the call. Starts and drops nothing. */
	void (*reply)(struct redis_exchange *exchange, uint32_t index, const redisReply *reply);
	void (*end)(struct redis_exchange *exchange); /* in: may start the next exchange on the same connection */
	enum redis_end how;                           /* out */
	enum verdict verdict;                         /* out: NOT_SENT */
	struct err err;                               /* out: NOT_SENT, LOST; begins with "redis HOST:PORT: " */
	bool is_cut;                                  /* out: LOST: the server ended the connection */
	uint32_t n_replies;                           /* out: that came */
	uint64_t latency_ns;                          /* out: from the first byte out to the last reply */
};

enum redis_conn_state {
	REDIS_CONN_DOWN,
	REDIS_CONN_RESOLVING,
	REDIS_CONN_CONNECTING,
	REDIS_CONN_GREETING,
	REDIS_CONN_IDLE,
	REDIS_CONN_BUSY
};

struct redis_conn {
	enum redis_conn_state state;
	uv_loop_t *loop;
	struct log *log;
	const struct redis_target *target;
	struct resolve resolve;
	uv_timer_t timer; /* what the exchange waits for now: connection or replies */
	struct redis_link *link;
	struct redis_exchange *exchange; /* NULL in DOWN and IDLE */
	uint32_t n_expected;             /* replies, of the greeting or of the exchange */
	uint32_t n_got;
	uint64_t begun_ns;
	enum verdict failed_verdict; /* a failure that waits to be told, from the next turn */
	struct err failed_err;
	bool is_failing;
	bool is_cut; /* what the link says of its end, while it fails */
	bool is_closing;
	bool is_timer_closed;
	void (*closed)(struct redis_conn *conn);
};

/* Prepares; connects to nothing. `target` and `log` are kept. */
void redis_conn_init(struct redis_conn *conn, uv_loop_t *loop, const struct redis_target *target, struct log *log);

/* Is it free for an exchange? */
bool redis_conn_is_free(const struct redis_conn *conn);

void redis_conn_start(struct redis_conn *conn, struct redis_exchange *exchange);

/* Gives the connection up without an exchange on it: the next start looks the name up again. */
void redis_conn_drop(struct redis_conn *conn);

/* Ends what is out (NOT_SENT or LOST), then calls closed(), later: the memory may go in it. */
void redis_conn_close(struct redis_conn *conn, void (*closed)(struct redis_conn *conn));

#endif
