/* The adapter to PostgreSQL, the source of truth: implements port/truth.h. All of it runs on the loop's thread. */
#ifndef SAGAD_STORES_POSTGRES_POSTGRES_H
#define SAGAD_STORES_POSTGRES_POSTGRES_H

#include "base/backoff.h"
#include "base/err.h"
#include "base/log.h"
#include "port/truth.h"

#include <stdint.h>
#include <uv.h>

/* claim, init, ping and prune share connections of their own; at most so many of them may be out at once. */
#define POSTGRES_ADMIN_REQUESTS_MAX 16

struct pg_config {
	const char *host;     /* a name, an address, or the directory of a Unix socket ("/run/postgresql") */
	uint16_t port;        /* 5432 */
	const char *user;     /* NULL: libpq's default, as for the next two */
	const char *password; /* NULL: none, or ~/.pgpass */
	const char *dbname;
	const char *search_path;        /* NULL: the server's setting for this user */
	const char *application_prefix; /* 1..16 of [a-z0-9_-]; connections are named PREFIX:INSTANCE:N */
	const char *sslmode;            /* "prefer"; as libpq's, so are the next four. NULL: libpq's default */
	const char *sslrootcert;
	const char *sslcert;
	const char *sslkey;
	const char *sslcrl;
	uint32_t connect_timeout_ms;             /* look-up, TCP, TLS, authentication and set-up together */
	uint32_t statement_timeout_ms;           /* set in each session, so are the next three; 0: none */
	uint32_t lock_timeout_ms;                /* a pivot that waits for somebody's lock ends with TRANSIENT */
	uint32_t idle_in_transaction_timeout_ms; /* 0: none */
	uint32_t transaction_timeout_ms;         /* PostgreSQL 17 and later; bounds a half-sent pivot. 0: none */
	uint32_t n_pivot_connections;            /* 1..64: pivots out at once */
	uint32_t n_read_connections;             /* 1..64: reads, settles, pays and pages of debts out at once */
	uint32_t max_batch;                      /* 1..1000 sagas in one request */
	size_t max_batch_bytes;                  /* of one pivot; libpq keeps about twice as much a connection */
	struct backoff backoff;                  /* between tries to connect */
};

/* Sensible values for all but the texts; host 127.0.0.1, port 5432. */
struct pg_config postgres_config_default(void);

/* The sessions' time limits, in proportion to the time (1 to 3600000 ms) that the daemon itself waits for an answer:
 * the server gives up a little later, by itself, on what a dropped connection left behind. */
void postgres_set_timeout(struct pg_config *config, uint64_t timeout_ms);

/* Makes the adapter and lets its connections connect, for ever, whether the server is there or not. `config` and its
 * texts are copied; `loop` and `log` (may be NULL) are kept until closed(). Before the first claim() has succeeded
 * pivots and settles are refused. 0; -EINVAL for a configuration that can't be, -ENOMEM. */
int postgres_create(uv_loop_t *loop, const struct pg_config *config, struct log *log, struct truth **out_truth,
		    struct err *err) WARN_UNUSED;

#endif
