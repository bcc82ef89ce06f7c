/* What the readers of one message share: the line, its parsed form, the path to the value that is being looked at, and
 * temporary memory that goes all at once. Private to src/proto/.
 *
 * The line is copied once and parsed in that copy ("in situ"), so a string's address in the copy is also its place in
 * the line: that is how the very bytes of an embedding are found again, with yyjson's public functions only. */
#ifndef SAGAD_PROTO_READER_H
#define SAGAD_PROTO_READER_H

#include "proto/request.h"

#include <yyjson.h>

/* A path is at most this deep: "entities[3].properties" and then READER_DEPTH_MAX levels of a client's own. */
#define READER_STEPS_MAX 112
#define READER_DEPTH_MAX 100

struct reader_step {
	struct str name; /* absent: an index */
	size_t index;
};

struct reader_block; /* reader.c */

struct reader {
	struct str line;             /* borrowed, without its newline */
	char *scratch;               /* owned: the copy that yyjson rewrites in place */
	yyjson_doc *doc;             /* owned: its texts lie in `scratch` */
	struct reader_block *blocks; /* owned: all temporary memory */
	const struct document_limits *limits;
	struct request_fault *fault;
	struct reader_step steps[READER_STEPS_MAX];
	uint32_t n_steps;
};

/* A member of an object that was asked for by name; both NULL when it isn't there. */
struct member {
	yyjson_val *key;
	yyjson_val *val;
};

/* Parses the line. `line`, `limits` and `fault` are kept until reader_close(). 0, -EINVAL or -ENOMEM (the fault is
 * set); reader_close() is due after a failure, too. */
int reader_open(struct reader *reader, struct str line, const struct document_limits *limits,
		struct request_fault *fault) WARN_UNUSED;
void reader_close(struct reader *reader);

/* Memory until reader_close(), zeroed; NULL when there is none (the fault is set). 0 bytes give an address, too. */
void *reader_alloc(struct reader *reader, size_t n_items, size_t item_bytes);

/* The same without the zeroes. */
void *reader_alloc_raw(struct reader *reader, size_t n_items, size_t item_bytes);

/* The path to the value that is being looked at. `name` is kept until the pop. */
void reader_enter(struct reader *reader, struct str name);
void reader_enter_index(struct reader *reader, size_t index);
void reader_leave(struct reader *reader);

/* Sets the fault with the present path before its text. Returns -EINVAL, or -ENOMEM with reader_no_memory(). */
int reader_fault(struct reader *reader, enum code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int reader_no_memory(struct reader *reader);

/* The same, with `name` or `index` as the path's last step. */
#define reader_fault_in(reader, name, code, ...)                                                                       \
	(reader_enter((reader), str_of(name)), reader_fault((reader), (code), __VA_ARGS__))
#define reader_fault_at(reader, index, code, ...)                                                                      \
	(reader_enter_index((reader), (index)), reader_fault((reader), (code), __VA_ARGS__))

/* Finds the members of an object by their names. An unknown name is refused with the nearest known one, a name that
 * comes twice as well. out_members has n_names places, in the order of `names`. `what` names the object for people:
 * "a chunk". */
int reader_members(struct reader *reader, yyjson_val *object, const char *what, const char *const *names,
		   uint32_t n_names, struct member *out_members) WARN_UNUSED;

/* Reads a text without NUL bytes. null and a missing member leave `out` absent. The bytes lie in the reader. */
int reader_text(struct reader *reader, struct member member, const char *name, size_t max_bytes, const char *limit,
		struct str *out_text) WARN_UNUSED;

/* The same for a text that must be there and must not be empty. */
int reader_needed_text(struct reader *reader, struct member member, const char *name, size_t max_bytes,
		       const char *limit, struct str *out_text) WARN_UNUSED;

/* Reads a whole number in [min, max]. A missing member or null leaves the value as it is; out_is_given may be NULL. */
int reader_number(struct reader *reader, struct member member, const char *name, uint64_t min, uint64_t max,
		  bool *out_is_given, uint64_t *out_number) WARN_UNUSED;

/* Reads true or false, as reader_number(). */
int reader_bool(struct reader *reader, struct member member, const char *name, bool *out_is_given,
		bool *out_bool) WARN_UNUSED;

/* Where a key's text begins in the line. */
size_t reader_key_offset(const struct reader *reader, yyjson_val *key);

/* The place of the first `wanted` after a key's closing quote. The caller knows that there is one. */
size_t reader_find_after_key(const struct reader *reader, yyjson_val *key, char wanted);

/* "a string", "a number", ...: for messages. */
const char *reader_kind(yyjson_val *val);

/* Copies text into a fixed place, cut at a character's border. */
void reader_copy_cut(char *out, size_t out_bytes, struct str text);

#endif
