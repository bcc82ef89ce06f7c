/* Documents out of fuzz bytes: valid ones for the most part, with texts, names and numbers as odd as the protocol lets
 * them be. What the client meant is kept beside the document, parsed by nobody of ours, for the round trips. */
#ifndef SAGAD_TESTS_FUZZ_MADE_H
#define SAGAD_TESTS_FUZZ_MADE_H

#include "feed.h"

#include "port/store.h"
#include "proto/document.h"

#include <yyjson.h>

#define MADE_MAX 4

/* One job: what was sent, and what the daemon's parser made of it. */
struct made {
	struct document *document;
	yyjson_doc *params; /* the client's JSON, its numbers raw: the digits as they were written */
	struct uuid saga;   /* unique among those of a batch */
};

struct made_batch {
	struct made jobs[MADE_MAX];
	struct leg_write writes[MADE_MAX];
	struct leg_write *pointers[MADE_MAX]; /* what the codecs take */
	uint32_t n;
};

/* Makes 1..MADE_MAX jobs that the parser takes and a write with that op for each of them; fewer than asked for, perhaps
 * none, where the bytes make what the parser refuses. Documents of a batch have different ids. */
void made_batch_init(struct made_batch *batch, struct feed *feed, enum leg_op op);
void made_batch_fini(struct made_batch *batch);

/* A member of what the client sent; NULL when it isn't there, or null. */
yyjson_val *made_member(const yyjson_val *object, const char *name);

/* Does `found` say what the client's `meant` says? An absent or null `meant` is absent (NULL) or null in `found`, too.
 */
bool made_is_text(yyjson_val *found, yyjson_val *meant);
bool made_is_str(struct str found, yyjson_val *meant);

/* The same JSON: integers digit for digit, other numbers as the same double. Both parsed with raw numbers. */
bool made_is_json(yyjson_val *found, yyjson_val *meant);

/* `text` is the JSON of `meant`; absent when `meant` is. */
bool made_is_json_text(struct str text, yyjson_val *meant);

/* `components` are the numbers of the array `meant`, as float32. */
bool made_is_vector(const float *components, yyjson_val *meant);

#endif
