/* Answers, printed: one JSON-RPC 2.0 message and a newline each, appended to a buffer (which remembers if memory ran
 * out). */
#ifndef SAGAD_PROTO_REPLY_H
#define SAGAD_PROTO_REPLY_H

#include "base/buf.h"
#include "proto/outcome.h"
#include "proto/request.h"

/* The answer to a put or a delete. FAILED becomes `error` with data {code, class, retriable, store?, document_id,
 * saga_id?, tries?, retry_after_ms?}, all else `result` {outcome, saga_id, version?, previous?, chunks, owed[],
 * stored}. */
void reply_outcome(struct buf *out, const char *id_json, struct str document_id, const struct outcome *outcome);

/* The answer to a line that could not be parsed or was refused; a notification gets none. */
void reply_fault(struct buf *out, const struct request_fault *fault);

void reply_status(struct buf *out, const char *id_json, struct str document_id, const struct document_status *status);
void reply_job(struct buf *out, const char *id_json, const struct job_status *status);

/* An error without an outcome: forbidden, not ready, ... */
void reply_error(struct buf *out, const char *id_json, enum code code, const char *message);

/* The same with advice on when to try again; 0: none. */
void reply_refusal(struct buf *out, const char *id_json, enum code code, const char *message, uint64_t retry_after_ms);

/* The answer to sagad.hello. */
void reply_hello(struct buf *out, const char *id_json, const char *server_version, const struct document_limits *limits,
		 size_t max_line_bytes);

/* One row of store.list, and of store.init's report. The texts are borrowed for the call. */
struct reply_store {
	const char *name;
	const char *state; /* "up", "down", "unknown"; of init: "created", "ok", "failed" */
	const char *endpoint;
	const char *version;
	double latency_ms; /* negative: unknown */
	uint32_t n_connections;
	uint32_t n_waiting; /* writes that wait for a request */
	uint64_t n_owed;    /* background work that this store owes */
	const char *error;  /* "" when all is well */
	const char *report; /* of init; "" otherwise */
};

/* For store.list and store.init: CODE_NONE gives a `result`, any other an `error` whose data holds the rows too. */
void reply_stores(struct buf *out, const char *id_json, const struct reply_store *rows, uint32_t n_rows,
		  enum code code);

/* A value of the configuration, for sagad.config; the texts are borrowed for the call. */
struct reply_setting {
	const char *section;
	const char *name;
	struct str value;
	struct str origin;
	bool is_reloadable;
};
void reply_settings(struct buf *out, const char *id_json, const struct reply_setting *rows, uint32_t n_rows);

/* Keys of the configuration by "section.key", for sagad.reload; borrowed for the call. */
struct reply_keys {
	const char *const *at;
	uint32_t n;
};
void reply_reload(struct buf *out, const char *id_json, struct reply_keys changed, struct reply_keys needs_restart);

/* An answer with rows of work, built row by row: saga.list and saga.get. */
struct reply_work {
	struct yyjson_mut_doc *doc;
	struct yyjson_mut_val *root, *result, *rows;
	bool is_failed;
};

/* Begins a `result` whose rows stand under `name`; texts passed to any of these are borrowed for the call. */
void reply_work_begin(struct reply_work *work, const char *id_json, const char *name);
void reply_work_row(struct reply_work *work, const struct work_row *row, int64_t now_unix_ms);

/* A row of kind "steps" that has ended. */
struct reply_ended {
	struct uuid id;
	const char *state; /* "committed", "compensated" */
	const char *code;  /* "": none */
	const char *error;
	uint32_t uid;
	int64_t began_unix_ms, ended_unix_ms;
};
void reply_work_ended(struct reply_work *work, const struct reply_ended *row);
/* Further members of the result, or (in != NULL) of the object of that name in it. */
void reply_work_text(struct reply_work *work, const char *in, const char *name, const char *text);
void reply_work_number(struct reply_work *work, const char *in, const char *name, uint64_t number);
/* Prints it. */
void reply_work_end(struct reply_work *work, struct buf *out);

/* The answer to sagad.log_level. */
void reply_log_level(struct buf *out, const char *id_json, const char *level, const char *previous);

/* Named numbers, for sagad.stats. */
struct reply_number {
	const char *name;
	uint64_t value;
};
void reply_numbers(struct buf *out, const char *id_json, const struct reply_number *numbers, uint32_t n_numbers);

/* "waiting", as answers have it. */
const char *reply_job_state_name(enum job_state state);

#endif
