/* Documents for tests, made by the protocol's own parser out of a `document.put`'s params, so that a test's document is
 * one that the daemon would take. Header only: include it once in a test program. */
#ifndef SAGAD_TESTS_LIB_DOCUMENTS_H
#define SAGAD_TESTS_LIB_DOCUMENTS_H

#include "base/buf.h"
#include "proto/request.h"

#include <stdio.h>
#include <stdlib.h>

/* The document of these params; ends the program with the parser's words when they are refused. The caller frees it
 * with document_destroy(). */
static inline struct document *documents_make(const char *params_json)
{
	struct document_limits limits = document_limits_default();
	struct request_fault fault;
	struct request *request;
	struct document *document;
	struct buf line = {0};

	limits.dims = 0;
	buf_append_format(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.put\",\"params\":%s}",
			  params_json);
	if (line.failed || request_parse(line.at, line.len, &limits, &request, &fault) != 0) {
		(void)fprintf(stderr, "the test's document is refused: %s: %s\n", fault.path, fault.err.text);
		abort();
	}
	document = request_take_document(request);
	request_destroy(request);
	buf_fini(&line);
	return document;
}

/* A saga id that is greater for a greater number. */
static inline struct uuid documents_saga(uint64_t number)
{
	return uuid_make_v7(1700000000000u + number, 0, number);
}

#endif
