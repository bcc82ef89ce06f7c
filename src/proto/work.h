/* Open work as saga.list and saga.get show it, whatever it is: a saga under way, an accepted job, what is still to be
 * done at a store. The engine fills the rows in, proto reads what is asked for and prints them. */
#ifndef SAGAD_PROTO_WORK_H
#define SAGAD_PROTO_WORK_H

#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define WORK_LIMIT_DEFAULT 100
#define WORK_LIMIT_MAX     1000
#define WORK_REASON_BYTES  512 /* of saga.resolve, without a NUL */

enum work_kind {
	WORK_DOCUMENT,   /* "document": a document saga under way; its id is the saga's */
	WORK_JOB,        /* "job": an accepted job that waits in the journal; its id is the job's */
	WORK_BACKGROUND, /* "background": what a saga that has ended left to be done at a store; the id is the saga's */
	WORK_STEPS       /* "steps": a saga that a client wrote; the row is its own, or of a step that is in the way */
};

enum work_state {
	WORK_RUNNING,      /* "running" */
	WORK_IN_DOUBT,     /* "in_doubt": PostgreSQL's COMMIT was sent and its answer never came */
	WORK_WAITING,      /* "waiting": an accepted job */
	WORK_OWED,         /* "owed": it is being done, or tried again with backoff */
	WORK_PARKED,       /* "parked": it failed in all its tries; it is tried rarely and waits for an operator */
	WORK_LATE,         /* "late": done, and done once more when no late write can be on its way any more */
	WORK_COMPENSATING, /* "compensating": a saga that a client wrote; its steps are being undone */
	WORK_RESOLVED,     /* "resolved": an operator has declared it settled; from the journal, never of the engine */
	WORK_ENDED,        /* "ended": a saga that a client wrote, committed or compensated; likewise */
	WORK_STATES
};

struct work_row {
	struct uuid id;
	enum work_kind kind;
	enum work_state state;
	const char *op;         /* "put", "delete"; of background work "publish", "remove"; static */
	const char *step;       /* where it stands: "projecting", "backing_off", ...; static */
	struct str document_id; /* borrowed for the call */
	const char *store;      /* that it waits for; NULL: none in particular */
	int64_t since_unix_ms;
	uint32_t n_tries;    /* failed ones there */
	int64_t next_try_ms; /* until then; negative: nothing is planned, a request is out or it waits for others */
	const char *error;   /* the last one, borrowed for the call; "": none */
	const char *reason;  /* RESOLVED: the operator's */
	uint32_t uid;        /* RESOLVED: of the operator's process; STEPS: of the client's */
};

/* The place of a row in the order of a list: by id, and so by age. All zeroes: before the first. */
struct work_place {
	struct uuid id;
	uint32_t part;
};

/* What is asked for. Texts are the request's. */
struct work_filter {
	uint32_t states;  /* bit i: enum work_state i; 0: all but LATE, RESOLVED and ENDED */
	struct str store; /* absent: any */
	uint64_t older_than_ms;
	bool has_id;
	struct uuid id;
	bool has_uid; /* only the sagas that this user wrote, and nothing else */
	uint32_t uid;
	uint32_t limit; /* 1..WORK_LIMIT_MAX */
	struct work_place after;
};

/* saga.retry and saga.resolve: which work. */
struct work_order {
	bool has_id;
	struct uuid id;
	struct str store;  /* absent: any */
	struct str step;   /* of a saga that a client wrote: this step only; absent: any */
	bool is_all;       /* RETRY: everything */
	struct str reason; /* RESOLVE */
};

#define WORK_PAGE_BYTES (UUID_TEXT_BYTES + 12) /* "UUID.PART" with its NUL */

/* The name of the page that begins behind this place. */
void work_page_name(const struct work_place *place, char out[WORK_PAGE_BYTES]);

/* "parked"; never NULL. */
const char *work_state_name(enum work_state state);
const char *work_kind_name(enum work_kind kind);

#endif
