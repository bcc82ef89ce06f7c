#include "step_codec.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void step_codec_key(const struct call *call, char out_key[STEP_CODEC_KEY_BYTES])
{
	char saga[UUID_TEXT_BYTES];

	uuid_format(&call->saga, saga);
	(void)snprintf(out_key, STEP_CODEC_KEY_BYTES, "%s/%.*s", saga,
		       (int)(call->step.len < STEP_NAME_BYTES ? call->step.len : STEP_NAME_BYTES - 1), call->step.at);
}

void step_codec_begin(struct call *call)
{
	call->verdict = VERDICT_DOUBT;
	err_clear(&call->err);
	call->result_json = (struct buf){0};
	call->is_repeated = false;
	call->retry_after_ms = 0;
	list_init(&call->node);
}

void step_codec_fail(struct call *call, const char *target, enum verdict verdict, const char *fmt, ...)
{
	char text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut when too long */
	va_end(args);
	call->verdict = verdict;
	(void)err_set(&call->err, 0, "%s: step \"%.*s\": %s", target, STR_ARG(call->step), text);
}

yyjson_doc *step_codec_parse(struct call *call, const char *target, yyjson_read_flag flags)
{
	yyjson_read_err fault = {0};
	yyjson_doc *doc;

	if (call->body_json.at == NULL || call->body_json.len == 0) {
		step_codec_fail(call, target, VERDICT_PERMANENT, "it has no object");
		return NULL;
	}
	/* Without the flag for reading in place yyjson doesn't write: the cast is for its signature. */
	doc = yyjson_read_opts((char *)(uintptr_t)call->body_json.at, call->body_json.len, flags, NULL, &fault);
	if (doc == NULL)
		step_codec_fail(call, target,
				fault.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? VERDICT_TRANSIENT
										  : VERDICT_PERMANENT,
				"its object can't be read: %s", fault.msg);
	else if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
		step_codec_fail(call, target, VERDICT_PERMANENT, "it is no object");
		yyjson_doc_free(doc);
		doc = NULL;
	}
	return doc;
}

/* ---- results ---- */

static void step_codec_take(struct call *call, char *json, size_t len, size_t max_bytes)
{
	call->verdict = VERDICT_OK;
	err_clear(&call->err);
	if (json == NULL || len > max_bytes) {
		free(json);
		return;
	}
	call->result_json = (struct buf){.at = json, .len = len, .size_bytes = len + 1}; /* yyjson adds a NUL */
}

void step_codec_done(struct call *call, const yyjson_mut_doc *result, size_t max_bytes)
{
	size_t len = 0;
	char *json = result != NULL ? yyjson_mut_write(result, YYJSON_WRITE_NOFLAG, &len) : NULL;

	step_codec_take(call, json, len, max_bytes);
}

void step_codec_done_text(struct call *call, struct str json, size_t max_bytes)
{
	yyjson_doc *doc = json.at != NULL ? yyjson_read(json.at, json.len, YYJSON_READ_NUMBER_AS_RAW) : NULL;
	size_t len = 0;
	char *compact = doc != NULL ? yyjson_write(doc, YYJSON_WRITE_NOFLAG, &len) : NULL;

	yyjson_doc_free(doc);
	step_codec_take(call, compact, len, max_bytes);
}

/* ---- texts from outside ---- */

/* Bytes of the character that begins here; 0: none does. RFC 3629. */
static size_t step_codec_character(const unsigned char *at, size_t left)
{
	size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
	unsigned char low = 0x80, high = 0xbf;

	if (n <= 1 || n > left)
		return n <= left ? n : 0;
	if (at[0] == 0xe0)
		low = 0xa0; /* no overlong form */
	else if (at[0] == 0xed)
		high = 0x9f; /* no surrogate */
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void step_codec_scrub(char *bytes, size_t n_bytes)
{
	size_t i = 0;

	while (i < n_bytes) {
		size_t n = step_codec_character((const unsigned char *)bytes + i, n_bytes - i);

		if (n == 0)
			bytes[i] = '?';
		i += n != 0 ? n : 1;
	}
}

yyjson_mut_val *step_codec_string(yyjson_mut_doc *doc, struct str text)
{
	yyjson_mut_val *val = yyjson_mut_strncpy(doc, text.at != NULL ? text.at : "", text.len);

	if (val != NULL)
		step_codec_scrub((char *)(uintptr_t)yyjson_mut_get_str(val), text.len); /* the document's own copy */
	return val;
}
