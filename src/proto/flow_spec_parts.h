/* What the readers of a saga's steps share: a draft whose texts are the reader's. Private to src/proto/. */
#ifndef SAGAD_PROTO_FLOW_SPEC_PARTS_H
#define SAGAD_PROTO_FLOW_SPEC_PARTS_H

#include "proto/flow_spec.h"
#include "proto/reader.h"

struct flow_draft_step {
	struct flow_spec_step made;
	struct member after; /* absent: the step before it */
	struct member bodies[FLOW_BODIES];
	uint64_t ancestors; /* all steps that come before it, directly or not */
};

struct flow_draft {
	struct reader *reader;
	const struct flow_limits *limits;
	struct str json; /* the whole, as it came */
	struct flow_draft_step *steps;
	uint32_t n_steps;
};

/* flow_spec_step.c: all members of a step but what is in its bodies and who comes before it. */
int flow_step_read(struct flow_draft *draft, uint32_t step, yyjson_val *object) WARN_UNUSED;

/* flow_spec_graph.c: who comes before whom, without cycles and not too deep; what a pivot asks of the others. */
int flow_graph_read(struct flow_draft *draft) WARN_UNUSED;
int flow_graph_check_pivot(struct flow_draft *draft) WARN_UNUSED;

/* flow_spec_body.c: a do, undo or check, with its references. Needs the graph. */
int flow_body_read(struct flow_draft *draft, uint32_t step, enum flow_body body) WARN_UNUSED;

/* flow_spec_value.c: any JSON value that may hold references: numbers that are none, too deep, what a reference names.
 * Sets the bit in the step's `references`. */
struct flow_place_of {
	struct flow_draft *draft;
	uint32_t step;
	enum flow_body body;
	uint32_t n_references; /* so far */
};
int flow_value_read(struct flow_place_of *place, yyjson_val *val, uint32_t depth) WARN_UNUSED;
bool flow_value_is_reference(yyjson_val *val);
int flow_value_read_reference(struct flow_place_of *place, yyjson_val *val) WARN_UNUSED;

/* flow_spec_http.c: {method, path, headers, body} of a service, or of Qdrant. */
int flow_http_read(struct flow_place_of *place, yyjson_val *object, bool is_qdrant) WARN_UNUSED;

/* What is wrong with a path; NULL: nothing. It must begin with `begin`. */
const char *flow_http_path_fault(struct str path, const char *begin);

#define FLOW_VALUE_DEPTH_MAX 64
#define FLOW_REFERENCES_MAX  64 /* in one body */
#define FLOW_PATH_BYTES      2048
#define FLOW_PATH_PARTS_MAX  32

#endif
