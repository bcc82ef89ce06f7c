/* How a job ended: the engine fills it in, proto prints it. */
#ifndef SAGAD_PROTO_OUTCOME_H
#define SAGAD_PROTO_OUTCOME_H

#include "base/code.h"
#include "base/err.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define OUTCOME_OWED_MAX 16

enum outcome_kind {
	OUTCOME_COMMITTED, /* in all required stores; `owed` names what is still to be done after the pivot */
	OUTCOME_UNCHANGED, /* the same content is there already; nothing was written */
	OUTCOME_DELETED,
	OUTCOME_ABSENT,   /* a delete of what isn't there: nothing to do */
	OUTCOME_ACCEPTED, /* in the journal; `saga` is the job's id, to ask document.status with */
	OUTCOME_FAILED    /* nothing was kept, or (CODE_IN_DOUBT) it isn't known yet */
};

/* Work after the pivot that is not done yet: "remove" at "qdrant". Static texts. */
struct outcome_owed {
	const char *store;
	const char *op;
};

struct outcome {
	enum outcome_kind kind;
	struct uuid saga; /* of this attempt; of the one that committed when the answer is a stored one */
	bool has_version;
	struct uuid version; /* of the document now */
	bool has_previous;
	struct uuid previous; /* the version that was replaced; of a conflict: the version that is there */
	bool is_stored;       /* the idempotency key was known: this is its stored outcome */
	struct outcome_owed owed[OUTCOME_OWED_MAX];
	uint32_t n_owed;
	uint32_t n_chunks;
	/* FAILED: */
	enum code code;
	const char *store;       /* which store; NULL: none in particular */
	uint32_t n_tries;        /* of that store */
	uint64_t retry_after_ms; /* 0: no advice */
	struct err err;
};

/* What document.status tells. */
enum presence { PRESENCE_ABSENT, PRESENCE_PRESENT, PRESENCE_DELETED };

struct document_status {
	enum presence presence;
	struct uuid version; /* PRESENT, DELETED */
	uint32_t n_chunks;
	int64_t updated_unix_ms;
	uint32_t n_debts;   /* open for this document */
	bool is_in_flight;  /* a saga of this document runs or waits in this daemon */
	const char *state;  /* of that saga: "projecting", "in_doubt", ...; static */
	struct uuid saga;   /* of that saga */
	uint32_t n_waiting; /* behind it */
};

enum job_state { JOB_IS_UNKNOWN, JOB_IS_WAITING, JOB_IS_DONE, JOB_IS_FAILED };

struct job_status {
	enum job_state state;
	struct uuid job;
	struct uuid saga; /* DONE: the saga that did it */
	const char *code; /* FAILED: borrowed */
	const char *reason;
	uint32_t n_attempts;    /* WAITING: so far */
	const char *last_error; /* WAITING: borrowed; NULL: none yet */
};

#endif
