/* run: a saga of the user's own, out of a file. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run_args {
	struct ctl *ctl;
	const char *file;
	const char *key;
	const char *wait;
	unsigned long long deadline_ms;
	unsigned retries;
};

enum { OPT_KEY = 0x600, OPT_WAIT, OPT_DEADLINE, OPT_RETRIES };

static const struct argp_option run_options[] = {
	{"key", OPT_KEY, "TEXT", 0, "Idempotency key: the same key gives the same outcome again", 1},
	{"wait", OPT_WAIT, "WHAT", 0, "ended (as without it), or accepted: answer once it is safe in the journal", 1},
	{"deadline-ms", OPT_DEADLINE, "MS", 0, "Take everything back after this time", 1},
	{"retries", OPT_RETRIES, "N", 0, "Tries more when the daemon says that a retry makes sense (0)", 1},
	{0},
};

static error_t run_parse(int key, char *arg, struct argp_state *state)
{
	struct run_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->ctl;
		return 0;
	case OPT_KEY:
		args->key = arg;
		return 0;
	case OPT_WAIT:
		args->wait = arg;
		return 0;
	case OPT_DEADLINE:
		args->deadline_ms = ctl_parse_number(state, "deadline-ms", arg, 1, 2592000000);
		return 0;
	case OPT_RETRIES:
		args->retries = (unsigned)ctl_parse_number(state, "retries", arg, 0, 1000);
		return 0;
	case ARGP_KEY_ARG:
		if (args->file != NULL)
			argp_error(state, "one at a time; '%s' is too much", arg);
		args->file = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which saga? a FILE, or - for standard input");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What an option says replaces what the file says. */
static void run_replace(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *name, yyjson_mut_val *value)
{
	(void)yyjson_mut_obj_put(root, yyjson_mut_str(doc, name), value); /* without memory the writing below fails */
}

/* 0, or -1 with the error printed. */
static int run_join(const struct run_args *args, const struct buf *file, struct buf *out)
{
	yyjson_read_err error;
	yyjson_doc *read = yyjson_read_opts(file->at, file->len, YYJSON_READ_BIGNUM_AS_RAW, NULL, &error);
	yyjson_mut_doc *doc = read != NULL ? yyjson_doc_mut_copy(read, NULL) : NULL;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	char *text = NULL;
	size_t len = 0;

	if (read == NULL)
		fprintf(stderr, "sagactl: %s: byte %zu: %s\n", args->file, error.pos, error.msg);
	else if (!yyjson_mut_is_obj(root))
		fprintf(stderr, "sagactl: %s: a saga is a JSON object with `steps`\n", args->file);
	else {
		if (args->key != NULL)
			run_replace(doc, root, "idempotency_key", yyjson_mut_str(doc, args->key));
		if (args->wait != NULL)
			run_replace(doc, root, "wait", yyjson_mut_str(doc, args->wait));
		if (args->deadline_ms != 0)
			run_replace(doc, root, "deadline_ms", yyjson_mut_uint(doc, args->deadline_ms));
		text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len);
		if (text == NULL)
			fprintf(stderr, "sagactl: out of memory\n");
	}
	if (text != NULL)
		buf_append(out, text, len);
	free(text);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(read);
	return out->len > 0 ? 0 : -1;
}

static void run_print_results(yyjson_val *results)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	yyjson_obj_iter_init(results, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		char *text = yyjson_val_write(yyjson_obj_iter_get_val(key), YYJSON_WRITE_NOFLAG, NULL);

		printf("  %s ", yyjson_get_str(key));
		ctl_print_clean(stdout, text != NULL ? text : "");
		putchar('\n');
		free(text);
	}
}

static void run_show(yyjson_val *result)
{
	const char *outcome = ctl_text(result, "outcome");
	bool is_well = strcmp(outcome, "compensated") != 0;

	printf("%s%s%s %s%s\n", is_well ? ctl_green() : ctl_red(), outcome, ctl_plain(), ctl_text(result, "saga_id"),
	       yyjson_is_true(yyjson_obj_get(result, "stored")) ? " (known by its key)" : "");
	run_print_results(yyjson_obj_get(result, "results"));
	ctl_print_steps(yyjson_obj_get(result, "steps"));
}

/* A refusal before anything ran has no saga to show. */
static void run_show_told(yyjson_val *result)
{
	if (yyjson_obj_get(result, "saga_id") != NULL)
		run_show(result);
}

static enum ctl_exit run_send(const struct run_args *args, const struct buf *params)
{
	enum ctl_exit how;
	struct sagad_reply *reply = ctl_call(args->ctl, false, "saga.run", params, args->retries, &how);
	yyjson_doc *doc;

	if (reply == NULL)
		return how;
	if (!args->ctl->is_json) {
		doc = yyjson_read(sagad_reply_json(reply), strlen(sagad_reply_json(reply)), YYJSON_READ_NOFLAG);
		run_show_told(yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	} else if (!sagad_reply_is_error(reply)) {
		puts(sagad_reply_json(reply));
	}
	how = sagad_reply_is_error(reply) ? ctl_refused(args->ctl, reply) : CTL_OK;
	sagad_reply_free(reply);
	return how;
}

enum ctl_exit ctl_run(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = run_options,
		.parser = run_parse,
		.args_doc = "FILE|-",
		.doc = "Runs a saga of your own: a JSON object with `steps`, each with a do and an undo, in FILE or on "
		       "standard input. Its steps are all done, or those that ran are undone in reverse order. "
		       "docs/sagas.md explains it, and the configuration (section sagas) must allow it.\v"
		       "Examples:\n"
		       "  sagactl run order.json --key order-7\n"
		       "  sagactl run order.json --wait accepted      then: sagactl sagas show ID --mine\n"
		       "  jq '.steps[0].do.params = [7]' order.json | sagactl run -",
		.children = ctl_common,
	};
	struct run_args args = {.ctl = ctl};
	struct buf file = {0}, params = {0};
	enum ctl_exit how = CTL_USAGE;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	if (ctl_read_file(args.file, &file) == 0 && run_join(&args, &file, &params) == 0)
		how = run_send(&args, &params);
	buf_fini(&file);
	buf_fini(&params);
	return how;
}
