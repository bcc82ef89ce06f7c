/* What every target behind HTTP does alike: a slot for each call that is out, one exchange after the other on it until
 * the call is decided. Embedded by Qdrant's, Neo4j's and the services' targets; each brings what is asked and what an
 * answer means. */
#ifndef SAGAD_STORES_HTTP_HTTP_STEPS_H
#define SAGAD_STORES_HTTP_HTTP_STEPS_H

#include "http.h"
#include "port/target.h"
#include "stores/step/step_turn.h"

struct http_steps;

#define HTTP_STEP_HEADERS_MAX 24

/* A call while it is out. */
struct http_step {
	struct http_req http;
	struct http_steps *owner;
	struct call *call; /* NULL: this slot is free */
	struct list node;  /* among the free slots */
	uint64_t begun_ns;
	uint32_t phase; /* the target's own, 0 at the start; so is the next */
	void *scratch;  /* freed with free() at the end */
	/* The present exchange's; cleared before each. */
	struct buf path, body, header_text;
	const char *headers[HTTP_STEP_HEADERS_MAX]; /* into header_text, with NULs between them */
};

struct http_steps_ops {
	/* Fills in the next exchange (http.method, path, body, headers) by step->phase: true. False: the call is
	 * decided, verdict and err are set. */
	bool (*ask)(struct http_step *step);
	/* The exchange has ended, however. True: the call is decided. False: ask() again. */
	bool (*judge)(struct http_step *step);
};

struct http_steps {
	struct target target;
	const struct http_steps_ops *ops;
	struct http_client *client;
	struct step_turn turn;
	struct http_step *slots; /* target.max_calls of them */
	struct list free;
	struct store_status status;
	size_t max_result_bytes;
	bool is_closing;
	void (*freed)(struct http_steps *steps); /* the target's own memory; also of one that was never opened */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Fills in what is shared; target.ops, name, ops and freed are the caller's. `http` is completed with what all of them
 * need. 0, or -EINVAL, -ENOMEM and err. On failure nothing has to be undone. */
int http_steps_open(struct http_steps *steps, uv_loop_t *loop, struct http_config *http, struct log *log,
		    struct err *err) WARN_UNUSED;

/* Those of struct target_ops. */
void http_steps_submit(struct target *target, struct call *call);
void http_steps_status(const struct target *target, struct store_status *out_status);
void http_steps_close(struct target *target, void (*closed)(void *arg), void *arg);

/* Adds a header line to the exchange. False: no memory, or too many. */
bool http_steps_add_header(struct http_step *step, const char *name, struct str value) WARN_UNUSED;

/* Adds `Idempotency-Key: SAGA/STEP/do` or /undo; a check has its do's. */
void http_steps_add_key(struct http_step *step);

/* The verdict of an exchange that brought no answer: sets the call's. */
void http_steps_fail_lost(struct http_step *step);

static inline struct http_steps *http_steps_of(struct target *target)
{
	return container_of(target, struct http_steps, target);
}

#endif
