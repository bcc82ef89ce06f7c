/* The log's front: levels, what a line carries beside its text, and a sink that the program sets. This folder does no
 * I/O; where lines go, and in which form, is the sink's. */
#ifndef SAGAD_BASE_LOG_H
#define SAGAD_BASE_LOG_H

#include "must.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/* What a line is about, where operators look for it by more than its text. */
enum log_kind {
	LOG_PLAIN,
	LOG_SAGA_FAILED,  /* a saga ended without its document being kept */
	LOG_SAGA_SLOW,    /* it ended well, late */
	LOG_SAGA_DONE,    /* it ended well; only when asked for */
	LOG_WORK_PARKED,  /* background work that waits for an operator */
	LOG_WORK_DONE,    /* ... and that is done after all */
	LOG_JOB_FAILED,   /* an accepted job that will not be tried again */
	LOG_JOB_REFUSED,  /* a request that never became a saga */
	LOG_STORE_FAILED, /* a store, or the way to it */
	LOG_REPEATS,      /* stands for lines that were counted instead of written */
	LOG_KINDS
};

/* A pair beside the text. */
struct log_field {
	const char *key;  /* static, of [a-z_]; "saga", "document", "store" and "code" mean the same everywhere */
	struct str value; /* borrowed for the call; absent: the pair is left out */
};

struct log_event {
	enum log_level level;
	enum log_kind kind;
	const char *format; /* static: lines of one format differ in what was put into it only */
	const char *text;   /* without control characters */
	const struct log_field *fields;
	size_t n_fields;
};

struct log {
	enum log_level level; /* lines below it are dropped before they are formatted */
	/* Takes one event, borrowed for the call. Called from the loop's thread only. */
	void (*sink)(struct log *log, const struct log_event *event);
};

/* Formats and hands a line to the sink. `log` may be NULL: the line is dropped. Never log document text, embeddings or
 * secrets; ids and counts are fine. */
void log_debug(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_info(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_warn(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_error(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same with fields. */
void log_with(struct log *log, enum log_level level, enum log_kind kind, const struct log_field *fields,
	      size_t n_fields, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* `LOG_FIELDS({"store", name}, {"code", code})`: the two arguments of log_with(). */
#define LOG_FIELDS(...)                                                                                                \
	(const struct log_field[]){__VA_ARGS__},                                                                       \
		sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)

/* Would a line of this level be written? For texts that cost something to make. */
bool log_is_on(const struct log *log, enum log_level level);

const char *log_level_name(enum log_level level);

/* The field's value, or an absent one. */
struct str log_field_of(const struct log_event *event, const char *key);

#endif
