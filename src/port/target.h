/* The port to what a step of a client's own saga runs on: PostgreSQL, Redis, Neo4j, Qdrant, an HTTP service.
 *
 * Loop's thread. The engine has at most `max_calls` calls out at a time; an adapter keeps no queue, but may put several
 * calls that come in one turn of the loop into one flight (a pipeline), as long as each succeeds or fails by itself.
 *
 * A target with a barrier remembers, in the same transaction as the effect, that do or undo of (saga, step) has run:
 * - a do that comes again changes nothing and is OK, with the first one's result;
 * - an undo without a do before it changes nothing, is OK, and blocks a do that comes later (that do is PERMANENT);
 * - an undo that comes again changes nothing and is OK.
 * The barrier is looked at before anything else: a repeated do is OK even when its statements would fail by now. */
#ifndef SAGAD_PORT_TARGET_H
#define SAGAD_PORT_TARGET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "base/uuid.h"
#include "port/store.h"
#include "port/verdict.h"

#include <stdbool.h>
#include <stdint.h>

#define TARGETS_MAX       32 /* stores and services */
#define TARGET_NAME_BYTES 64 /* of a service, with its NUL */
#define STEP_NAME_BYTES   64 /* with its NUL: letters, digits, '_', '-', '.' */

struct target;

enum call_kind {
	CALL_DO,
	CALL_UNDO,
	CALL_CHECK /* an HTTP service is asked whether the do has run: OK yes, PERMANENT no, else not known */
};

/* One try. Embed it; container_of() leads back. */
struct call {
	enum call_kind kind; /* in; so are the next six */
	struct uuid saga;
	struct str step;      /* its name: with `saga` the barrier's key. Borrowed until done(), as `body_json` */
	struct str body_json; /* the step's `do`, `undo` or `check` object, with earlier results filled in */
	bool keeps_result;    /* somebody will ask for the result: the barrier must keep it for a repeated do */
	uint64_t timeout_ns;  /* from the submit; then VERDICT_DOUBT */
	uint32_t uid;         /* of the client, for messages */

	/* Out. OK: it has run (or, by the barrier, had run, or needn't). PERMANENT: it has certainly changed nothing,
	 * and the same call fails for ever. TRANSIENT, OUTAGE, MISCONFIGURED: it has certainly changed nothing. DOUBT:
	 * nobody knows. */
	enum verdict verdict;
	struct err err;          /* not OK: what the target said, where */
	struct buf result_json;  /* OK: one JSON value, compact; empty: null. The caller frees it after done() */
	bool is_repeated;        /* OK: the barrier knew it */
	uint64_t retry_after_ms; /* TRANSIENT: the target's own wish; 0: none */
	/* Exactly once for each submit, later, never from inside submit(). */
	void (*done)(struct call *call);
	struct list node; /* the adapter's while it is out */
};

struct target_ops {
	void (*submit)(struct target *target, struct call *call);
	/* Fills out_status; sends nothing. */
	void (*status)(const struct target *target, struct store_status *out_status);
	/* As that of a store. */
	int (*renew_secret)(struct target *target, const char *secret);
	/* Ends what is out with VERDICT_DOUBT, frees the adapter, then calls closed(arg). No call after it. */
	void (*close)(struct target *target, void (*closed)(void *arg), void *arg);
};

/* Embedded in each adapter's own struct. */
struct target {
	const struct target_ops *ops;
	const char *name; /* "postgresql", "redis", "neo4j", "qdrant", or the service's; lives as long as the target */
	bool is_service;  /* an HTTP service, named by the configuration */
	bool has_barrier; /* PostgreSQL, Redis, Neo4j. Without one a do is repeatable only when the step says so */
	uint32_t max_calls; /* out at once, 1..1024 */
};

#endif
