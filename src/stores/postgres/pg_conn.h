/* One connection to PostgreSQL: made, named, set up, watched while idle, made again when it is lost.
 *
 * A connection runs one exchange at a time: a script of statements sent as one pipeline with one sync at its end. It
 * knows nothing of sagas. Loop's thread only; no call here blocks.
 *
 *     DOWN -> RESOLVING -> CONNECTING -> GREETING -> IDLE <-> BUSY
 *       ^________|_____________|____________|_________|________|        anything -> CLOSED
 */
#ifndef SAGAD_STORES_POSTGRES_PG_CONN_H
#define SAGAD_STORES_POSTGRES_PG_CONN_H

#include "pg_pivot_codec.h"
#include "pg_script.h"
#include "pg_sqlstate.h"
#include "postgres.h"

#include "base/rng.h"
#include "loop/resolve.h"

#include <libpq-fe.h>

#define PG_NAME_BYTES 64 /* PostgreSQL cuts application_name at 63 bytes */

enum pg_conn_state {
	PG_CONN_DOWN,       /* waiting for the next try */
	PG_CONN_RESOLVING,  /* the host's name */
	PG_CONN_CONNECTING, /* TCP, TLS, authentication */
	PG_CONN_GREETING,   /* setting up the session, looking at the catalog */
	PG_CONN_IDLE,
	PG_CONN_BUSY, /* reserved, or an exchange runs */
	PG_CONN_CLOSED
};

enum pg_end_kind {
	PG_END_OK,    /* every statement succeeded and the sync came */
	PG_END_ERROR, /* the server refused a statement; those after it were not run; a transaction was rolled back */
	PG_END_LOST   /* the connection died, or was given up, before the sync */
};

/* How an exchange ended. */
struct pg_end {
	enum pg_end_kind kind;
	uint32_t statement;   /* ERROR: which one, from 0 */
	enum verdict verdict; /* ERROR: the class of the code. LOST: DOUBT when the script was handed to libpq whole,
				 OUTAGE before */
	bool is_cut;          /* LOST: the server ended the connection without a word */
	char sqlstate[PG_SQLSTATE_BYTES]; /* "" unless the server named one */
	struct err err;                   /* the server's words, or libpq's */
};

/* What is to be done after a result of an exchange of one's own. */
enum pg_taken {
	PG_TAKEN_MORE,  /* more are due */
	PG_TAKEN_LAST,  /* it was the last one: the exchange has ended */
	PG_TAKEN_BREACH /* no PostgreSQL says this here */
};

/* Embed it; container_of() leads back to your struct. */
struct pg_exchange {
	/* A statement's good result, once for each, in order; the result is borrowed for the call. */
	void (*result)(struct pg_exchange *exchange, uint32_t nth, const PGresult *result);
	/* Exactly once, later; the connection may be used for the next exchange, or released, in it. */
	void (*ended)(struct pg_exchange *exchange, const struct pg_end *end);

	/* Of pg_conn_run_own() only; NULL otherwise. Queues statements and syncs; false: libpq did not take all. */
	bool (*send)(struct pg_exchange *exchange, PGconn *pq);
	/* Every result, errors and PGRES_PIPELINE_SYNC included, borrowed for the call. */
	enum pg_taken (*take)(struct pg_exchange *exchange, const PGresult *result);
	uint64_t max_bytes; /* of all results; more ends the connection. 0: no limit */
};

struct pg_conn;

/* What a connection tells its owner. */
struct pg_conn_events {
	void (*ready)(struct pg_conn *conn); /* it has become IDLE by itself */
	/* It went DOWN; last_error and last_verdict say why. Not called for a close by pg_conn_close(). */
	void (*down)(struct pg_conn *conn);
	void (*closed)(struct pg_conn *conn); /* every handle is closed; the struct's memory may go */
};

/* What all connections of an adapter share; the adapter's, kept until closed(). */
struct pg_shared {
	uv_loop_t *loop;
	struct log *log;
	const struct pg_config *config;
	struct rng *rng;
	char instance[33];             /* hex: this run of the daemon, in the name of each connection */
	uint32_t n_settings;           /* how often the times of a session were changed */
	uint32_t n_names;              /* names given out so far: none comes twice */
	char server[64];               /* the version in the server's own words; "" before the first contact */
	bool is_unsafe;                /* the server runs with fsync off */
	struct pg_embedding embedding; /* as the last greeting found it */
};

struct pg_conn {
	enum pg_conn_state state;
	struct pg_shared *shared;
	const struct pg_conn_events *events;
	char name[PG_NAME_BYTES]; /* application_name of the present connection, or of the last one */
	PGconn *pq;               /* owned; NULL in DOWN, RESOLVING, CLOSED */
	struct pg_watch *watch;   /* owned: the poll on the socket; NULL without one */
	int poll_events;          /* what watch waits for */
	uv_timer_t timer;         /* connect time-out, wait before the next try, a turn of the loop */
	struct resolve resolve;
	char address[64];    /* what the host's name stands for */
	uint32_t n_settings; /* which of the shared settings this session has */
	uint32_t tries;      /* to connect, since the last success */
	uint32_t n_handles;  /* libuv handles and look-ups that closing waits for */
	struct pg_exchange *exchange;
	struct pg_exchange greeting;
	uint32_t n_seen;         /* results of the exchange so far */
	uint32_t n_expected;     /* of them: one for each statement */
	bool is_handed;          /* the script went to libpq whole, its sync included */
	uint64_t n_bytes_before; /* that the socket had received when an exchange of one's own began */
	bool is_broken;          /* libpq took not all of it: the connection must go */
	bool is_transaction;     /* the script begins one: after an error it is rolled back */
	bool is_rolling_back;
	bool is_fatal;     /* the session ends with this error, and what the server did is not known */
	uint64_t ready_ms; /* uv_now() when it became ready */
	struct pg_end end; /* of the exchange, as far as known */
	enum verdict last_verdict;
	struct err last_error; /* empty after a success */
};

/* Fills in an unconnected connection and starts its first try. `shared` and `events` are kept until closed(). */
void pg_conn_init(struct pg_conn *conn, struct pg_shared *shared, const struct pg_conn_events *events);

/* Takes an idle connection for a series of exchanges. False when the server has closed it meanwhile, or the settings of
 * sessions are others now: then it is DOWN and on its way back. */
bool pg_conn_take(struct pg_conn *conn) WARN_UNUSED;

/* Runs a script on a taken connection. `exchange` is kept until ended(); `script` is copied into libpq's buffer. */
void pg_conn_run(struct pg_conn *conn, struct pg_exchange *exchange, const struct pg_script *script);

/* The same with statements, syncs and results that are the exchange's own business: send() is called in it. However it
 * ends, ended() gets PG_END_OK (take() said so) or PG_END_LOST. */
void pg_conn_run_own(struct pg_conn *conn, struct pg_exchange *exchange);

/* Does this error end the session, or come from a pooler between, so that nobody knows what was done behind it? */
bool pg_conn_is_fatal(const PGresult *result, const char *sqlstate);

/* Gives a taken connection back; no exchange may be running. */
void pg_conn_release(struct pg_conn *conn);

/* Gives up a connection: a running exchange ends, in this call, with LOST and `why` (borrowed), and a new connection
 * is made. */
void pg_conn_drop(struct pg_conn *conn, const char *why);

/* Is there a prospect of it being idle before long? False after a failed try, until one has succeeded. */
bool pg_conn_is_hopeful(const struct pg_conn *conn);

/* Ends everything; a running exchange ends with LOST in this call. closed() follows. */
void pg_conn_close(struct pg_conn *conn);

/* ---- inside: pg_connect.c makes connections, pg_conn.c runs exchanges ---- */

void pg_conn_move(struct pg_conn *conn, enum pg_conn_state to);
/* Finishes PQ connection and watch; goes DOWN, ends the exchange with LOST, plans the next try, tells the owner. */
void pg_conn_lose(struct pg_conn *conn, enum verdict verdict, const char *why);
/* A new poll on the socket's present descriptor: libpq changes it while it connects. */
int pg_conn_watch(struct pg_conn *conn, int poll_events) WARN_UNUSED;
void pg_conn_unwatch(struct pg_conn *conn);
void pg_conn_pump(struct pg_conn *conn); /* reads what is there, writes what waits */
/* Runs the timer's work for the present state in so many milliseconds: connect, give up a try, look at a loss. */
void pg_conn_later(struct pg_conn *conn, uint64_t wait_ms);
void pg_conn_close_timer(struct pg_conn *conn);
/* libpq's message without its line ends. */
void pg_conn_message(const PGconn *pq, struct err *out_err);

#endif
