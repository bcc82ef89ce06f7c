#include "reader.h"

#include "nearest.h"

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NaN and Infinity are let through here, so that the refusal can name the place in the document, not just a byte. Every
 * number that is read is checked, so none gets further. */
#define READER_FLAGS (YYJSON_READ_INSITU | YYJSON_READ_BIGNUM_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN)

#define READER_BLOCK_BYTES 32768

/* Temporary memory is handed out from blocks and goes with them. */
struct reader_block {
	struct reader_block *next;
	size_t used;
	size_t size_bytes;
	max_align_t place[];
};

int reader_no_memory(struct reader *reader)
{
	reader->fault->code = CODE_INTERNAL;
	return err_set(&reader->fault->err, -ENOMEM, "out of memory for a message of %zu bytes; send it again later",
		       reader->line.len);
}

static int reader_not_json(struct reader *reader, const yyjson_read_err *error)
{
	size_t pos = error->pos;

	if (error->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return reader_no_memory(reader);
	if (error->code == YYJSON_READ_ERROR_EMPTY_CONTENT || reader->line.len == 0)
		return reader_fault(reader, CODE_PARSE_ERROR,
				    "the line is empty; send one JSON-RPC 2.0 message a line");
	return reader_fault(reader, CODE_PARSE_ERROR,
			    "not valid JSON at byte %zu of %zu: %s; send one JSON-RPC 2.0 message a line, as UTF-8",
			    pos, reader->line.len, error->msg);
}

int reader_open(struct reader *reader, struct str line, const struct document_limits *limits,
		struct request_fault *fault)
{
	yyjson_read_err error;

	*reader = (struct reader){.line = line, .limits = limits, .fault = fault};
	reader->scratch = malloc(line.len + YYJSON_PADDING_SIZE);
	if (reader->scratch == NULL)
		return reader_no_memory(reader);
	if (line.len > 0)
		memcpy(reader->scratch, line.at, line.len);
	memset(reader->scratch + line.len, 0, YYJSON_PADDING_SIZE);
	reader->doc = yyjson_read_opts(reader->scratch, line.len, READER_FLAGS, NULL, &error);
	return reader->doc != NULL ? 0 : reader_not_json(reader, &error);
}

void reader_close(struct reader *reader)
{
	yyjson_doc_free(reader->doc);
	free(reader->scratch);
	while (reader->blocks != NULL) {
		struct reader_block *next = reader->blocks->next;

		free(reader->blocks);
		reader->blocks = next;
	}
	*reader = (struct reader){0};
}

static int reader_grow(struct reader *reader, size_t n_bytes)
{
	size_t size = n_bytes > READER_BLOCK_BYTES ? n_bytes : READER_BLOCK_BYTES;
	struct reader_block *block = malloc(sizeof(*block) + size);

	if (block == NULL)
		return -ENOMEM;
	block->used = 0;
	block->size_bytes = size;
	block->next = reader->blocks;
	reader->blocks = block;
	return 0;
}

void *reader_alloc_raw(struct reader *reader, size_t n_items, size_t item_bytes)
{
	struct reader_block *block = reader->blocks;
	size_t n_bytes;
	void *made;

	if (__builtin_mul_overflow(n_items, item_bytes, &n_bytes) || n_bytes > SIZE_MAX / 2)
		goto no_memory;
	n_bytes = (n_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (block == NULL || block->size_bytes - block->used < n_bytes) {
		if (reader_grow(reader, n_bytes) != 0)
			goto no_memory;
		block = reader->blocks;
	}
	made = (char *)block->place + block->used;
	block->used += n_bytes;
	return made;
no_memory:
	(void)reader_no_memory(reader); /* the caller returns -ENOMEM itself */
	return NULL;
}

void *reader_alloc(struct reader *reader, size_t n_items, size_t item_bytes)
{
	void *made = reader_alloc_raw(reader, n_items, item_bytes);

	if (made != NULL)
		memset(made, 0, n_items * item_bytes);
	return made;
}

void reader_enter(struct reader *reader, struct str name)
{
	MUST(reader->n_steps < READER_STEPS_MAX && name.at != NULL);
	reader->steps[reader->n_steps++] = (struct reader_step){.name = name};
}

void reader_enter_index(struct reader *reader, size_t index)
{
	MUST(reader->n_steps < READER_STEPS_MAX);
	reader->steps[reader->n_steps++] = (struct reader_step){.index = index};
}

void reader_leave(struct reader *reader)
{
	MUST(reader->n_steps > 0);
	reader->n_steps--;
}

void reader_copy_cut(char *out, size_t out_bytes, struct str text)
{
	size_t len = text.len;

	if (len >= out_bytes) {
		len = out_bytes - 1;
		while (len > 0 && ((unsigned char)text.at[len] & 0xc0) == 0x80)
			len--;
	}
	if (len > 0)
		memcpy(out, text.at, len);
	out[len] = '\0';
}

/* "chunks[3].metadata.author"; cut where the place ends. */
static void reader_path(const struct reader *reader, char *out, size_t out_bytes)
{
	size_t used = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < reader->n_steps && used + 1 < out_bytes; i++) {
		const struct reader_step *step = &reader->steps[i];

		if (step->name.at == NULL) {
			(void)snprintf(out + used, out_bytes - used, "[%zu]", step->index); /* cut on purpose */
		} else {
			if (i > 0)
				out[used++] = '.';
			reader_copy_cut(out + used, out_bytes - used, step->name);
		}
		used += strlen(out + used);
	}
}

int reader_fault(struct reader *reader, enum code code, const char *fmt, ...)
{
	struct request_fault *fault = reader->fault;
	char text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose */
	va_end(args);
	fault->code = code;
	reader_path(reader, fault->path, sizeof(fault->path));
	return err_set(&fault->err, -EINVAL, "%s%s%s", fault->path, fault->path[0] != '\0' ? ": " : "", text);
}

const char *reader_kind(yyjson_val *val)
{
	switch (yyjson_get_type(val)) {
	case YYJSON_TYPE_NULL:
		return "null";
	case YYJSON_TYPE_BOOL:
		return "a boolean";
	case YYJSON_TYPE_RAW:
	case YYJSON_TYPE_NUM:
		return "a number";
	case YYJSON_TYPE_STR:
		return "a string";
	case YYJSON_TYPE_ARR:
		return "an array";
	case YYJSON_TYPE_OBJ:
		return "an object";
	default:
		return "nothing";
	}
}

static struct str reader_str(yyjson_val *val)
{
	return (struct str){yyjson_get_str(val), yyjson_get_len(val)};
}

static int reader_unknown_member(struct reader *reader, struct str key, const char *what, const char *const *names,
				 uint32_t n_names)
{
	const char *nearest = nearest_name(key, names, n_names);

	if (nearest != NULL)
		return reader_fault(reader, CODE_UNKNOWN_FIELD, "%s has no field '%.80s'; did you mean '%s'?", what,
				    key.at, nearest);
	return reader_fault(reader, CODE_UNKNOWN_FIELD, "%s has no field '%.80s'; docs/protocol.md lists the fields",
			    what, key.at);
}

int reader_members(struct reader *reader, yyjson_val *object, const char *what, const char *const *names,
		   uint32_t n_names, struct member *out_members)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	if (!yyjson_is_obj(object))
		return reader_fault(reader, CODE_INVALID_FIELD, "%s must be an object, not %s", what,
				    reader_kind(object));
	memset(out_members, 0, n_names * sizeof(*out_members));
	yyjson_obj_iter_init(object, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		uint32_t i = 0;

		while (i < n_names && !yyjson_equals_strn(key, names[i], strlen(names[i])))
			i++;
		if (i == n_names)
			return reader_unknown_member(reader, reader_str(key), what, names, n_names);
		if (out_members[i].key != NULL)
			return reader_fault_in(reader, names[i], CODE_INVALID_FIELD,
					       "the field is given twice; which one counts is not defined in JSON");
		out_members[i] = (struct member){key, yyjson_obj_iter_get_val(key)};
	}
	return 0;
}

int reader_text(struct reader *reader, struct member member, const char *name, size_t max_bytes, const char *limit,
		struct str *out_text)
{
	struct str text;

	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	if (!yyjson_is_str(member.val))
		return reader_fault_in(reader, name, CODE_INVALID_FIELD, "must be a string, not %s",
				       reader_kind(member.val));
	text = reader_str(member.val);
	if (memchr(text.at, '\0', text.len) != NULL)
		return reader_fault_in(reader, name, CODE_INVALID_FIELD,
				       "holds a NUL character (\\u0000), which PostgreSQL cannot store; remove it");
	if (text.len > max_bytes)
		return reader_fault_in(reader, name, CODE_LIMIT_EXCEEDED, "has %zu bytes; %s is %zu", text.len, limit,
				       max_bytes);
	*out_text = text;
	return 0;
}

int reader_needed_text(struct reader *reader, struct member member, const char *name, size_t max_bytes,
		       const char *limit, struct str *out_text)
{
	struct str text = STR_NONE;
	int rc = reader_text(reader, member, name, max_bytes, limit, &text);

	if (rc != 0)
		return rc;
	if (text.at == NULL)
		return reader_fault_in(reader, name, CODE_MISSING_FIELD, "must be given, a string of 1 to %zu bytes",
				       max_bytes);
	if (text.len == 0)
		return reader_fault_in(reader, name, CODE_INVALID_FIELD, "must not be empty");
	*out_text = text;
	return 0;
}

int reader_number(struct reader *reader, struct member member, const char *name, uint64_t min, uint64_t max,
		  bool *out_is_given, uint64_t *out_number)
{
	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	if (!yyjson_is_uint(member.val) || yyjson_get_uint(member.val) < min || yyjson_get_uint(member.val) > max)
		return reader_fault_in(reader, name, CODE_INVALID_FIELD, "must be a whole number from %llu to %llu%s%s",
				       (unsigned long long)min, (unsigned long long)max,
				       yyjson_is_num(member.val) ? "" : ", not ",
				       yyjson_is_num(member.val) ? "" : reader_kind(member.val));
	*out_number = yyjson_get_uint(member.val);
	if (out_is_given != NULL)
		*out_is_given = true;
	return 0;
}

int reader_bool(struct reader *reader, struct member member, const char *name, bool *out_is_given, bool *out_bool)
{
	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	if (!yyjson_is_bool(member.val))
		return reader_fault_in(reader, name, CODE_INVALID_FIELD, "must be true or false, not %s",
				       reader_kind(member.val));
	*out_bool = yyjson_get_bool(member.val);
	if (out_is_given != NULL)
		*out_is_given = true;
	return 0;
}

size_t reader_key_offset(const struct reader *reader, yyjson_val *key)
{
	return (size_t)(yyjson_get_str(key) - reader->scratch);
}

size_t reader_find_after_key(const struct reader *reader, yyjson_val *key, char wanted)
{
	const char *line = reader->line.at;
	size_t at = reader_key_offset(reader, key);

	/* The key's own quote; an escaped one is not the end. */
	while (line[at] != '"')
		at += line[at] == '\\' ? 2 : 1;
	while (line[at] != wanted)
		at++;
	MUST(at < reader->line.len);
	return at;
}
