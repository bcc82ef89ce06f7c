/* Lines in, requests or refusals out: what the tests of src/proto/ share. */
#ifndef SAGAD_TEST_PROTO_PARSE_H
#define SAGAD_TEST_PROTO_PARSE_H

#include "proto/reply.h"
#include "proto/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PUT(members) "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"document.put\",\"params\":{" members "}}"

/* The bytes are copied to the end of their own allocation, so that a sanitizer sees a read beyond them. */
static inline int parse_bytes(const char *line, size_t len, const struct document_limits *limits,
			      struct request **out_request, struct request_fault *out_fault)
{
	char *copy = malloc(len + 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy + 1, line, len);
	rc = request_parse(copy + 1, len, limits, out_request, out_fault);
	free(copy);
	return rc;
}

static inline struct request *parse_good(const char *line)
{
	struct document_limits limits = document_limits_default();
	struct request *request = NULL;
	struct request_fault fault;

	if (parse_bytes(line, strlen(line), &limits, &request, &fault) != 0)
		fail_msg("%s: %s", line, fault.err.text);
	return request;
}

/* Expects a refusal with that code, at that path, whose text has that part. */
static inline void refuse_bytes(const char *line, size_t len, const struct document_limits *limits, enum code code,
				const char *path, const char *part)
{
	struct request *request = NULL;
	struct request_fault fault;

	if (parse_bytes(line, len, limits, &request, &fault) != -EINVAL)
		fail_msg("taken: %s", line);
	if (fault.code != code || strcmp(fault.path, path) != 0 || strstr(fault.err.text, part) == NULL)
		fail_msg("%s\n  gave %s at '%s': %s\n  not  %s at '%s': %s", line, code_name(fault.code), fault.path,
			 fault.err.text, code_name(code), path, part);
	assert_null(request);
}

static inline void refuse_with(const char *line, const struct document_limits *limits, enum code code, const char *path,
			       const char *part)
{
	refuse_bytes(line, strlen(line), limits, code, path, part);
}

static inline void refuse(const char *line, enum code code, const char *path, const char *part)
{
	struct document_limits limits = document_limits_default();

	refuse_with(line, &limits, code, path, part);
}

#endif
