/* put, status, delete: one document. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Options of put and delete, each the text that goes into the request. */
struct document_args {
	struct ctl *ctl;
	const char *what; /* the file, or the document's id */
	const char *key;
	const char *if_version;
	const char *job;
	unsigned long long deadline_ms;
	unsigned long long cache_ttl_s;
	unsigned retries;
	bool is_accepted;
	bool write_unchanged;
};

enum { OPT_KEY = 0x200, OPT_IF_VERSION, OPT_DEADLINE, OPT_ACCEPTED, OPT_WRITE, OPT_TTL, OPT_RETRIES, OPT_JOB };

#define OPTIONS_OF_BOTH                                                                                                \
	{"key", OPT_KEY, "TEXT", 0, "Idempotency key: the same key gives the same outcome again", 1},                  \
		{"if-version",                                                                                         \
		 OPT_IF_VERSION,                                                                                       \
		 "VERSION",                                                                                            \
		 0,                                                                                                    \
		 "Only if this is the document's version; 'none': only if there is no such document",                  \
		 1},                                                                                                   \
		{"deadline-ms", OPT_DEADLINE, "MS", 0, "Give up, and keep nothing, after this time", 1},               \
		{"accepted",                                                                                           \
		 OPT_ACCEPTED,                                                                                         \
		 NULL,                                                                                                 \
		 0,                                                                                                    \
		 "Answer once the job is safe in the journal; ask for its outcome with `status --job`",                \
		 1},                                                                                                   \
	{                                                                                                              \
		"retries", OPT_RETRIES, "N", 0, "Tries more when the daemon says that a retry makes sense (0)", 1      \
	}

static const struct argp_option put_options[] = {
	OPTIONS_OF_BOTH,
	{"write-unchanged", OPT_WRITE, NULL, 0, "Write also when the same content is there already", 1},
	{"cache-ttl", OPT_TTL, "SECONDS", 0, "Life of the entry in Redis", 1},
	{0},
};
static const struct argp_option delete_options[] = {OPTIONS_OF_BOTH, {0}};
static const struct argp_option status_options[] = {
	{"job", OPT_JOB, "JOB", 0, "Ask for an accepted job instead of a document", 1},
	{0},
};

static error_t document_parse(int key, char *arg, struct argp_state *state)
{
	struct document_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->ctl;
		return 0;
	case OPT_KEY:
		args->key = arg;
		return 0;
	case OPT_IF_VERSION:
		args->if_version = arg;
		return 0;
	case OPT_DEADLINE:
		args->deadline_ms = ctl_parse_number(state, "deadline-ms", arg, 1, 86400000);
		return 0;
	case OPT_ACCEPTED:
		args->is_accepted = true;
		return 0;
	case OPT_WRITE:
		args->write_unchanged = true;
		return 0;
	case OPT_TTL:
		args->cache_ttl_s = ctl_parse_number(state, "cache-ttl", arg, 1, 31536000);
		return 0;
	case OPT_RETRIES:
		args->retries = (unsigned)ctl_parse_number(state, "retries", arg, 0, 1000);
		return 0;
	case OPT_JOB:
		args->job = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->what != NULL)
			argp_error(state, "one at a time; '%s' is too much", arg);
		args->what = arg;
		return 0;
	case ARGP_KEY_END:
		if (args->what == NULL && args->job == NULL)
			argp_error(state, "what is it about? An argument is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void document_add_options(struct buf *json, const struct document_args *args)
{
	if (args->key != NULL)
		ctl_add_text(json, "idempotency_key", args->key);
	if (args->if_version != NULL && strcmp(args->if_version, "none") == 0)
		ctl_add_raw(json, "if_version", "null");
	else if (args->if_version != NULL)
		ctl_add_text(json, "if_version", args->if_version);
	if (args->deadline_ms != 0)
		ctl_add_number(json, "deadline_ms", args->deadline_ms);
	if (args->is_accepted)
		ctl_add_text(json, "wait", "accepted");
	if (args->write_unchanged)
		ctl_add_text(json, "on_unchanged", "write");
	if (args->cache_ttl_s != 0)
		ctl_add_number(json, "cache_ttl_s", args->cache_ttl_s);
}

/* The options go before the document's own members; one that is in both is refused by the daemon, by its name. */
static int document_join(struct buf *out, const struct buf *file, const struct document_args *args)
{
	const char *at = file->at, *end = at != NULL ? at + file->len : at;

	while (at < end && strchr(" \t\r\n", *at) != NULL)
		at++;
	if (at == end || *at != '{') {
		ctl_error("%s holds no JSON object; a document is {\"id\": ..., \"chunks\": [...]} (docs/protocol.md)",
			  args->what);
		return -1;
	}
	buf_append_text(out, "{");
	document_add_options(out, args);
	at++;
	while (at < end && strchr(" \t\r\n", *at) != NULL)
		at++;
	if (out->len > 1 && at < end && *at != '}')
		buf_append_text(out, ",");
	buf_append(out, at, (size_t)(end - at));
	while (out->len > 0 && strchr(" \t\r\n", out->at[out->len - 1]) != NULL)
		out->len--;
	return 0;
}

static void document_print_text(const struct sagad_reply *reply, const char *name, const char *label)
{
	const char *text = sagad_reply_text(reply, name);

	if (text == NULL)
		return;
	printf("  %-10s ", label);
	ctl_print_clean(stdout, text);
	putchar('\n');
}

static void document_print_outcome(const struct sagad_reply *reply)
{
	const char *outcome = sagad_reply_text(reply, "outcome"), *id = sagad_reply_text(reply, "document_id");

	printf("%s%s%s ", ctl_green(), outcome != NULL ? outcome : "done", ctl_plain());
	ctl_print_clean(stdout, id != NULL ? id : "");
	printf(" (%llu chunks)\n", (unsigned long long)sagad_reply_number(reply, "chunks", 0));
	document_print_text(reply, "version", "version");
	document_print_text(reply, "previous", "replaces");
	document_print_text(reply, "job", "job");
	if (strstr(sagad_reply_json(reply), "\"owed\":[{") != NULL)
		printf("  some store still owes work after the commit; see `sagactl stores`\n");
}

static enum ctl_exit document_send(const struct document_args *args, const char *method, const struct buf *params)
{
	enum ctl_exit how;
	struct sagad_reply *reply = ctl_call(args->ctl, false, method, params, args->retries, &how);

	if (reply == NULL)
		return how;
	if (sagad_reply_is_error(reply)) {
		how = ctl_refused(args->ctl, reply);
	} else {
		how = CTL_OK;
		if (args->ctl->is_json)
			puts(sagad_reply_json(reply));
		else
			document_print_outcome(reply);
	}
	sagad_reply_free(reply);
	return how;
}

enum ctl_exit ctl_put(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = put_options,
		.parser = document_parse,
		.args_doc = "FILE|-",
		.doc = "Puts one document, a JSON object in FILE (or standard input), into all stores.\v"
		       "Examples:\n"
		       "  sagactl put page.json\n"
		       "  jq '{id:.url, chunks:.parts}' page.json | sagactl put - --key import-7\n"
		       "  sagactl put page.json --if-version none     only when it is new\n"
		       "  sagactl put page.json --accepted            don't wait for the stores",
		.children = ctl_common,
	};
	struct document_args args = {.ctl = ctl};
	struct buf file = {0}, params = {0};
	enum ctl_exit how = CTL_USAGE;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	if (ctl_read_file(args.what, &file) == 0 && document_join(&params, &file, &args) == 0)
		how = document_send(&args, "document.put", &params);
	buf_fini(&file);
	buf_fini(&params);
	return how;
}

enum ctl_exit ctl_delete(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = delete_options,
		.parser = document_parse,
		.args_doc = "ID",
		.doc = "Takes a document out of all stores.\v"
		       "Examples:\n"
		       "  sagactl delete page-7\n"
		       "  sagactl delete page-7 --if-version 0192f0c4-...   only if nobody has written it since",
		.children = ctl_common,
	};
	struct document_args args = {.ctl = ctl};
	struct buf params = {0};
	enum ctl_exit how;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	buf_append_text(&params, "{");
	ctl_add_text(&params, "id", args.what);
	document_add_options(&params, &args);
	buf_append_text(&params, "}");
	how = document_send(&args, "document.delete", &params);
	buf_fini(&params);
	return how;
}

static void document_print_time(const struct sagad_reply *reply)
{
	time_t at = (time_t)(sagad_reply_number(reply, "updated_unix_ms", 0) / 1000);
	char text[32];
	struct tm parts;

	if (at == 0 || gmtime_r(&at, &parts) == NULL)
		return;
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts); /* fits */
	printf("  %-10s %s\n", "written", text);
}

static enum ctl_exit document_print_status(const struct sagad_reply *reply)
{
	const char *presence = sagad_reply_text(reply, "presence"), *id = sagad_reply_text(reply, "document_id");
	bool is_present = presence != NULL && strcmp(presence, "present") == 0;

	ctl_print_clean(stdout, id != NULL ? id : "");
	printf(" %s%s%s\n", is_present ? ctl_green() : ctl_red(), presence != NULL ? presence : "?", ctl_plain());
	document_print_text(reply, "version", "version");
	if (is_present)
		printf("  %-10s %llu\n", "chunks", (unsigned long long)sagad_reply_number(reply, "chunks", 0));
	document_print_time(reply);
	if (sagad_reply_number(reply, "debts", 0) != 0)
		printf("  %-10s %llu (work that stores still owe)\n", "debts",
		       (unsigned long long)sagad_reply_number(reply, "debts", 0));
	if (strstr(sagad_reply_json(reply), "\"in_flight\":{") != NULL)
		printf("  a saga of this document is under way (--json shows it)\n");
	return is_present ? CTL_OK : CTL_SOME_FAILED;
}

static enum ctl_exit document_print_job(const struct sagad_reply *reply)
{
	const char *state = sagad_reply_text(reply, "state");
	bool is_bad = state == NULL || strcmp(state, "failed") == 0 || strcmp(state, "unknown") == 0;

	printf("job %s%s%s\n", is_bad ? ctl_red() : ctl_green(), state != NULL ? state : "?", ctl_plain());
	document_print_text(reply, "saga_id", "version");
	document_print_text(reply, "code", "code");
	document_print_text(reply, "reason", "reason");
	document_print_text(reply, "last_error", "last error");
	return is_bad ? CTL_SOME_FAILED : CTL_OK;
}

static enum ctl_exit document_show_status(const struct document_args *args, const struct sagad_reply *reply)
{
	const char *presence = sagad_reply_text(reply, "presence");

	if (sagad_reply_is_error(reply))
		return ctl_refused(args->ctl, reply);
	if (!args->ctl->is_json)
		return args->job != NULL ? document_print_job(reply) : document_print_status(reply);
	puts(sagad_reply_json(reply));
	return presence == NULL || strcmp(presence, "present") == 0 ? CTL_OK : CTL_SOME_FAILED;
}

enum ctl_exit ctl_status(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = status_options,
		.parser = document_parse,
		.args_doc = "ID",
		.doc = "Says whether a document is there, in which version, and what is still owed; or, with --job, "
		       "how an "
		       "accepted job ended.\v"
		       "Examples:\n"
		       "  sagactl status page-7\n"
		       "  sagactl status --job 0192f0c4-7d1b-7a52-8f4e-3f6f0c3f1a11",
		.children = ctl_common,
	};
	struct document_args args = {.ctl = ctl};
	struct buf params = {0};
	struct sagad_reply *reply;
	enum ctl_exit how;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	buf_append_text(&params, "{");
	if (args.what != NULL)
		ctl_add_text(&params, "id", args.what);
	if (args.job != NULL)
		ctl_add_text(&params, "job", args.job);
	buf_append_text(&params, "}");
	reply = ctl_call(ctl, false, "document.status", &params, 0, &how);
	if (reply != NULL)
		how = document_show_status(&args, reply);
	sagad_reply_free(reply);
	buf_fini(&params);
	return how;
}
