/* How an answer is built, value by value. Private to src/proto/. */
#ifndef SAGAD_PROTO_REPLY_BUILD_H
#define SAGAD_PROTO_REPLY_BUILD_H

#include "proto/reply.h"

#include <yyjson.h>

/* One answer while it is built. A failed allocation makes a NULL value, which reply_finish() notices. */
struct reply {
	yyjson_mut_doc *doc;
	yyjson_mut_val *root;
	bool is_failed;
};

/* The message with its id. */
void reply_init(struct reply *reply, const char *id_json);

/* Prints the answer and its newline, or marks the buffer when memory ran out. */
void reply_finish(struct reply *reply, struct buf *out);

/* Keys are static texts; bytes outside of UTF-8 in values become '?'. */
yyjson_mut_val *reply_str(struct reply *reply, struct str text);
void reply_note(struct reply *reply, bool is_done);
void reply_add(struct reply *reply, yyjson_mut_val *object, const char *key, yyjson_mut_val *val);
void reply_add_text(struct reply *reply, yyjson_mut_val *object, const char *key, const char *text);
void reply_add_str(struct reply *reply, yyjson_mut_val *object, const char *key, struct str text);
void reply_add_number(struct reply *reply, yyjson_mut_val *object, const char *key, uint64_t number);
void reply_add_bool(struct reply *reply, yyjson_mut_val *object, const char *key, bool value);
void reply_add_uuid(struct reply *reply, yyjson_mut_val *object, const char *key, const struct uuid *uuid);
yyjson_mut_val *reply_add_object(struct reply *reply, yyjson_mut_val *object, const char *key);
yyjson_mut_val *reply_add_array(struct reply *reply, yyjson_mut_val *object, const char *key);
yyjson_mut_val *reply_append_object(struct reply *reply, yyjson_mut_val *array);

/* `error` with what every error's data has; returns data. */
yyjson_mut_val *reply_add_error(struct reply *reply, enum code code, const char *message);

#endif
