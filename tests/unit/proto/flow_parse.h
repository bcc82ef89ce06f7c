/* Sagas that clients write, read and refused: what the tests of flow_spec*.c share. */
#ifndef SAGAD_TEST_PROTO_FLOW_PARSE_H
#define SAGAD_TEST_PROTO_FLOW_PARSE_H

#include "parse.h"

#include "base/buf.h"
#include "proto/flow_spec.h"

#define SQL       "{\"sql\":\"SELECT 1\"}"
#define PG(name)  "{\"name\":\"" name "\",\"store\":\"postgresql\",\"do\":" SQL ",\"undo\":null}"
#define PAY(more) "{\"name\":\"pay\",\"service\":\"payments\",\"undo\":null," more "}"
#define STEPS(x)  "{\"steps\":[" x "]}"

static inline bool has_payments(const void *arg, struct str name)
{
	(void)arg;
	return str_is_equal(name, str_of("payments"));
}

static inline struct flow_limits limits_of(void)
{
	return (struct flow_limits){
		.max_steps = 5,
		.max_depth = 4,
		.max_bytes = 100000,
		.max_deadline_ms = 60000,
		.max_timeout_ms = 5000,
		.max_tries = 10,
		.has_service = has_payments,
		.documents = document_limits_default(),
	};
}

static inline int parse(const char *json, struct flow_spec **out_spec, struct request_fault *out_fault)
{
	struct flow_limits limits = limits_of();
	size_t len = strlen(json);
	char *copy = malloc(len + 1); /* a read beyond the text is a read beyond the allocation */
	int rc;

	assert_non_null(copy);
	memcpy(copy + 1, json, len);
	*out_spec = NULL;
	rc = flow_spec_parse((struct str){copy + 1, len}, &limits, out_spec, out_fault);
	free(copy);
	return rc;
}

static inline struct flow_spec *good(const char *json)
{
	struct request_fault fault;
	struct flow_spec *spec;

	if (parse(json, &spec, &fault) != 0)
		fail_msg("%s: %s", json, fault.err.text);
	return spec;
}

/* Refused at that place, with a text that has both parts. */
static inline void bad(const char *json, enum code code, const char *path, const char *part, const char *step)
{
	struct request_fault fault;
	struct flow_spec *spec;

	if (parse(json, &spec, &fault) != -EINVAL)
		fail_msg("taken: %s", json);
	if (fault.code != code || strcmp(fault.path, path) != 0 || strstr(fault.err.text, part) == NULL ||
	    strstr(fault.err.text, step) == NULL)
		fail_msg("%s\n  gave %s at '%s': %s\n  not  %s at '%s': %s, %s", json, code_name(fault.code),
			 fault.path, fault.err.text, code_name(code), path, step, part);
	assert_null(spec);
}

#endif
