/* What sagactl's commands share. */
#ifndef SAGAD_SAGACTL_CTL_H
#define SAGAD_SAGACTL_CTL_H

#include "base/buf.h"
#include "sagad/client.h"

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <yyjson.h>

/* Exit codes; --help lists them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_SOME_FAILED = 1, /* load: some documents; status: there is no such document */
	CTL_USAGE = 2,       /* also: a file that can't be read */
	CTL_UNREACHABLE = 3, /* no daemon, or the connection was lost */
	CTL_REFUSED = 4      /* the daemon answered with an error */
};

/* The options that every command has. */
struct ctl {
	const char *socket_path;
	const char *admin_path;
	bool is_json;
	int timeout_ms; /* for one answer; -1: as long as it takes */
};

/* Takes argv from the command's name on, gives an exit code. */
struct ctl_command {
	const char *name;
	const char *summary;
	enum ctl_exit (*run)(struct ctl *ctl, int argc, char **argv);
};

/* The common options' parser, to be put among a command's children; its input is the struct ctl. */
extern const struct argp_child ctl_common[];

enum ctl_exit ctl_put(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_load(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_status(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_delete(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_init(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_stores(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_run(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_sagas(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_stats(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_config(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_reload(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_log_level(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_drain(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_version(struct ctl *ctl, int argc, char **argv);

/* cmd_sagas.c: the steps of a saga as a table; nothing when there are none. */
void ctl_print_steps(yyjson_val *steps);

/* ---- ask.c ---- */

/* A parser for commands that take no argument; its input is the struct ctl. */
error_t ctl_parse_nothing(int key, char *arg, struct argp_state *state);

/* Asks, and hands the result to `show` for people; programs get it as it is. A refusal is printed, and not shown.
 * params may be NULL. */
enum ctl_exit ctl_ask(struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
		      void (*show)(yyjson_val *result));

/* The same; `show` also sees what a refusal carries besides its message (init: what was found in each store). */
enum ctl_exit ctl_ask_told(struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
			   void (*show)(yyjson_val *result));

/* A command that takes no argument and asks one thing. */
struct ctl_question {
	const char *doc; /* argp's: what it does, \v, examples */
	const char *method;
	bool is_job; /* asked on the job socket instead of the administration's */
	void (*show)(yyjson_val *result);
};

enum ctl_exit ctl_ask_plain(struct ctl *ctl, int argc, char **argv, const struct ctl_question *question);

/* A member's text, "" when it has none; the object's. */
const char *ctl_text(yyjson_val *object, const char *name);

/* Prints rows of texts in columns as wide as their widest; cells are row by row. */
void ctl_print_table(const char *const *head, size_t n_columns, const char *const *cells, size_t n_rows);

/* ---- common.c ---- */

/* Prints "sagactl: ..." to standard error. */
void ctl_error(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Connects; NULL: the error is printed. */
struct sagad_client *ctl_connect(const struct ctl *ctl, bool is_admin);

/* One request with its answer, sent again `retries` times when the daemon says that a retry makes sense. params may be
 * NULL. NULL: the error is printed and *out_exit says how to leave. An error answer is an answer. */
struct sagad_reply *ctl_call(const struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
			     unsigned retries, enum ctl_exit *out_exit);

/* Prints an error answer for people, or as JSON, with what to do. */
enum ctl_exit ctl_refused(const struct ctl *ctl, const struct sagad_reply *reply);

/* How long to wait before try number `tries` + 1. */
unsigned ctl_retry_ms(const struct sagad_reply *reply, unsigned tries);

/* Text that is safe on a terminal: control characters become '?'. Printed to `stream`. */
void ctl_print_clean(FILE *stream, const char *text);

/* What to do about an error code; "" when the message says it all. */
const char *ctl_advice(const char *code);

/* Escape sequences for standard output's terminal, "" when there is none or NO_COLOR is set (no-color.org). */
const char *ctl_green(void);
const char *ctl_red(void);
const char *ctl_dim(void);
const char *ctl_plain(void);

/* Reads a whole file, "-" is standard input. 0, or -1 with the error printed. */
int ctl_read_file(const char *path, struct buf *out);

/* Appends `"name":"text"` or `"name":number` to a JSON object's text, with the comma that it needs. */
void ctl_add_text(struct buf *json, const char *name, const char *text);
void ctl_add_number(struct buf *json, const char *name, unsigned long long number);
void ctl_add_raw(struct buf *json, const char *name, const char *value);

/* A decimal number in [min, max] out of an option; leaves with a usage error otherwise. */
unsigned long long ctl_parse_number(const struct argp_state *state, const char *option, const char *text,
				    unsigned long long min, unsigned long long max);

#endif
