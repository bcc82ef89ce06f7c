/* PostgreSQL as what steps of clients' own sagas run on: implements port/target.h, with a barrier.
 *
 * A do or undo object is {"sql": "...", "params": [...]} or {"statements": [{"sql", "params"}, ...]}: one transaction.
 * A parameter that is null, a boolean, a number or a string goes as such, anything else as JSON text; PostgreSQL infers
 * the types. The result is {"rows": [{column: value}], "count": n} of the last statement, with several statements also
 * "results" with each.
 *
 * The barrier is a row of `sagad_barriers` (saga, step), written first and in the same transaction. The row is unique:
 * a try that comes while an earlier one still runs, over a connection that was lost, waits for that one's end. So
 * nothing has to be known of a COMMIT in doubt, and no backend has to be ended: the same call again tells.
 *
 * Its connections are its own, and so may be their user: that one needs SELECT, INSERT and UPDATE on sagad_barriers,
 * which `sagactl init` makes, and whatever the clients' statements need. */
#ifndef SAGAD_STORES_POSTGRES_PG_STEPS_H
#define SAGAD_STORES_POSTGRES_PG_STEPS_H

#include "postgres.h"

#include "port/target.h"

/* Zeroes stand for the defaults, given at each field. */
struct pg_steps_config {
	/* Where, as whom, search_path, TLS, times; connections and batches in it are unused. As postgres_create()
	 * takes it: begin with postgres_config_default(). */
	struct pg_config server;
	uint32_t connections;    /* 4: 1..64 */
	uint32_t pipeline;       /* 16: calls on the way over one connection, 1..256 */
	size_t max_result_bytes; /* 256 KiB: of one call; a longer result becomes null */
};

/* Makes the target and lets its connections connect, whether the server is there or not. Loop's thread. Texts are
 * copied, `log` (may be NULL) is kept until close(). -EINVAL: a value that can't be; err names it. */
int pg_steps_create(uv_loop_t *loop, const struct pg_steps_config *config, struct log *log, struct target **out_target,
		    struct err *err) WARN_UNUSED;

#endif
