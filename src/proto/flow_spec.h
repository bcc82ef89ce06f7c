/* The parameters of saga.run, parsed and checked: steps in a graph.
 *
 *     {"idempotency_key": "order-7", "deadline_ms": 30000, "wait": "ended", "steps": [
 *       {"name": "reserve", "store": "postgresql", "timeout_ms": 3000,
 *        "retry": {"max": 5, "base_ms": 100, "cap_ms": 2000},
 *        "do": {"sql": "UPDATE stock SET n = n - 1 WHERE sku = $1 AND n > 0 RETURNING n", "params": ["a1"]},
 *        "undo": {"sql": "UPDATE stock SET n = n + 1 WHERE sku = $1", "params": ["a1"]}},
 *       {"name": "charge", "service": "payments", "after": ["reserve"], "idempotent": true,
 *        "do": {"method": "POST", "path": "/charges",
 *               "body": {"left": {"$from": "reserve", "pointer": "/rows/0/n"}}},
 *        "undo": {"method": "DELETE", "path": ["charges", {"$from": "charge", "pointer": "/body/id"}]},
 *        "check": {"method": "GET", "path": "/charges/by-key"}}]}
 *
 * A reference is an object {"$from": STEP, "pointer": "/rows/0/id", "default": ...}: it stands where a value may stand,
 * and for a part of a path that is an array. It may name a step that comes before its own in the graph; in an undo its
 * own step too. `default` is taken when there is no such result: the undo of a do that may have run has none.
 *
 * Everything that can be known without running anything is refused here, with the step's name and the field's path. */
#ifndef SAGAD_PROTO_FLOW_SPEC_H
#define SAGAD_PROTO_FLOW_SPEC_H

#include "base/buf.h"
#include "base/str.h"
#include "proto/request.h"

#include <stdbool.h>
#include <stdint.h>

/* What a do or undo object must look like. */
enum flow_place {
	FLOW_AT_POSTGRESQL, /* {"sql", "params"} or {"statements": [{"sql", "params"}]}: one transaction */
	FLOW_AT_REDIS,      /* {"commands": [["SET", "k", "v"], ...]}: one script */
	FLOW_AT_NEO4J,      /* {"statements": [{"statement", "parameters"}]}: one transaction */
	FLOW_AT_QDRANT,     /* {"method", "path", "body"}; the path begins with /collections/ */
	FLOW_AT_SERVICE,    /* {"method", "path", "headers", "body"} */
	FLOW_AT_DOCUMENTS,  /* {"method": "document.put" | "document.delete", "params": {...}}: a document saga */
	FLOW_PLACES
};

enum flow_body { FLOW_BODY_DO, FLOW_BODY_UNDO, FLOW_BODY_CHECK, FLOW_BODIES };

/* Where an object stands in flow_spec.json; n_bytes 0: it wasn't given. */
struct flow_span {
	uint32_t at, n_bytes;
};

#define FLOW_STEP_NAME_BYTES 63 /* without a NUL */

struct flow_spec_step {
	struct str name; /* unique; letters, digits, '_', '-', '.' */
	enum flow_place place;
	struct str target; /* "postgresql", ..., "documents", or the service's name */
	uint64_t after;    /* bit i: step i */
	bool has_undo;
	bool has_check;
	bool is_optional, is_pivot, is_idempotent;
	bool is_referenced; /* a `$from` names it: its result must be kept */
	bool has_retry;
	uint32_t max_tries; /* has_retry; so are the next two. 0: the daemon's */
	uint64_t base_ms, cap_ms;
	uint64_t timeout_ms;                  /* 0: the daemon's */
	struct flow_span bodies[FLOW_BODIES]; /* for flow_spec_render() */
	uint8_t references;                   /* bit i: body i has a `$from` */
	uint8_t path_parts;                   /* bit i: the path of body i is an array */
};

enum flow_wait { FLOW_WAIT_ENDED, FLOW_WAIT_ACCEPTED };

/* One allocation: the texts and `json` lie in it. */
struct flow_spec {
	struct str key;       /* idempotency key; absent: none */
	uint64_t deadline_ms; /* 0: the daemon's */
	enum flow_wait wait;
	uint8_t hash[32]; /* over everything but key, deadline_ms and wait */
	struct str json;  /* what the journal keeps, and what flow_spec_parse() takes again */
	uint32_t n_steps; /* 1..FLOW_SPEC_STEPS_MAX */
	struct flow_spec_step steps[];
};

#define FLOW_SPEC_STEPS_MAX 64

struct flow_limits {
	uint32_t max_steps; /* 1..FLOW_SPEC_STEPS_MAX */
	uint32_t max_depth; /* steps one after the other */
	size_t max_bytes;   /* of the whole */
	uint64_t max_deadline_ms;
	uint64_t max_timeout_ms; /* of one try of a step */
	uint32_t max_tries;      /* that a step may ask for */
	/* Is there such a service? Called while parsing; NULL: there are none. */
	bool (*has_service)(const void *arg, struct str name);
	const void *arg;
	struct document_limits documents;
};

/* 0 and a spec (free()), or -EINVAL (out_fault: code, path like "steps[2].undo.sql", the step's name in its text), or
 * -ENOMEM. `json` is borrowed. */
int flow_spec_parse(struct str json, const struct flow_limits *limits, struct flow_spec **out_spec,
		    struct request_fault *out_fault) WARN_UNUSED;

/* The result of a step for a `$from`: absent when it has none. */
typedef struct str (*flow_result_of)(const void *arg, uint32_t step);

/* Appends the do, undo or check object of a step, which must have one, to `out`: with each reference replaced by what
 * it points at, and a path that was an array as one text, its parts percent-encoded. 0; -EINVAL: a pointer leads
 * nowhere, or to what can't stand there (err names step and pointer); -ENOMEM. */
int flow_spec_render(const struct flow_spec *spec, uint32_t step, enum flow_body body, flow_result_of result_of,
		     const void *arg, struct buf *out, struct err *err) WARN_UNUSED;

#endif
