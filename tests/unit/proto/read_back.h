/* Answers, read again by the library that others read them with. */
#ifndef SAGAD_TEST_PROTO_READ_BACK_H
#define SAGAD_TEST_PROTO_READ_BACK_H

#include "parse.h"

#include <yyjson.h>

/* One line that is JSON-RPC 2.0. Empties the buffer. */
static inline yyjson_doc *read_back(struct buf *out)
{
	yyjson_doc *doc;

	assert_false(out->failed);
	assert_true(out->len > 0 && out->at[out->len - 1] == '\n');
	assert_null(memchr(out->at, '\n', out->len - 1));
	doc = yyjson_read(out->at, out->len, YYJSON_READ_NOFLAG);
	assert_non_null(doc);
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(yyjson_doc_get_root(doc), "/jsonrpc")), "2.0");
	buf_fini(out);
	return doc;
}

static inline const char *text_at(yyjson_doc *doc, const char *pointer)
{
	const char *text = yyjson_get_str(yyjson_doc_ptr_get(doc, pointer));

	return text != NULL ? text : "(none)";
}

static inline int64_t number_at(yyjson_doc *doc, const char *pointer)
{
	yyjson_val *val = yyjson_doc_ptr_get(doc, pointer);

	if (!yyjson_is_int(val))
		fail_msg("no whole number at %s", pointer);
	return yyjson_get_sint(val);
}

static inline bool is_at(yyjson_doc *doc, const char *pointer)
{
	return yyjson_doc_ptr_get(doc, pointer) != NULL;
}

#endif
