/* Answers about a saga that a client wrote: of saga.run, saga.cancel and saga.get. All texts are borrowed for the call.
 */
#ifndef SAGAD_PROTO_REPLY_FLOW_H
#define SAGAD_PROTO_REPLY_FLOW_H

#include "base/buf.h"
#include "base/code.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

enum reply_flow_end {
	REPLY_FLOW_OPEN, /* it runs, or is being compensated */
	REPLY_FLOW_COMMITTED,
	REPLY_FLOW_COMPENSATED
};

struct reply_flow_step {
	struct str name, target;
	bool is_service;
	const char *state; /* "done", "undo_waiting", ... */
	bool is_done;
	bool is_parked;
	uint32_t n_tries;
	int64_t unix_ms;        /* of its state; 0: it has none yet */
	int64_t next_try_ms;    /* negative: nothing is planned */
	struct str result_json; /* absent: none */
	struct str error;       /* absent: none; so is the next */
	struct str reason;
};

struct reply_flow {
	struct uuid id;
	enum reply_flow_end end;
	const char *state; /* "running", "compensating", "committed", "compensated" */
	uint32_t uid;
	struct str key;
	enum code code; /* why it was compensated, or is being; CODE_NONE: all is well */
	struct str failed_step;
	struct str error;
	int64_t began_unix_ms, deadline_unix_ms, ended_unix_ms; /* 0: none */
	bool is_stored;
	const struct reply_flow_step *steps;
	uint32_t n_steps;
};

/* How it ended: `result` {outcome: "committed", saga_id, stored, results: {step: result}}, with `steps` when an
 * optional one wasn't done; or an `error` with data {code, class, retriable, saga_id, stored, step?, store? or
 * service?, tries?, steps[]}. One that is open: `result` {outcome: "accepted", saga_id, state}. */
void reply_flow_outcome(struct buf *out, const char *id_json, const struct reply_flow *flow);

/* How it stands: `result` {saga_id, state, uid, ..., steps[]}. */
void reply_flow_status(struct buf *out, const char *id_json, const struct reply_flow *flow);

#endif
