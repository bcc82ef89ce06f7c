/* load: the command line of a load. */
#include "load.h"

enum { OPT_FAILED = 0x400, OPT_WINDOW, OPT_RETRIES, OPT_RECONNECT };

static const struct argp_option load_options[] = {
	{"window", OPT_WINDOW, "N", 0, "Documents under way at a time (64)", 1},
	{"failed", OPT_FAILED, "FILE", 0, "Where documents go that failed (FILE.failed.jsonl)", 1},
	{"retries", OPT_RETRIES, "N", 0, "Tries more for a document when the daemon says that a retry makes sense (5)",
	 1},
	{"reconnect", OPT_RECONNECT, "SECONDS", 0,
	 "How long to try to reach a daemon that went away; documents without an answer are sent again (10)", 1},
	{0},
};

static error_t load_parse(int key, char *arg, struct argp_state *state)
{
	struct load_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->ctl;
		return 0;
	case OPT_WINDOW:
		args->window = (unsigned)ctl_parse_number(state, "window", arg, 1, LOAD_WINDOW_MAX);
		return 0;
	case OPT_FAILED:
		args->failed_path = arg;
		return 0;
	case OPT_RETRIES:
		args->retries = (unsigned)ctl_parse_number(state, "retries", arg, 0, 1000);
		return 0;
	case OPT_RECONNECT:
		args->reconnect_s = (unsigned)ctl_parse_number(state, "reconnect", arg, 0, 86400);
		return 0;
	case ARGP_KEY_ARG:
		if (args->path != NULL)
			argp_error(state, "one file at a time; '%s' is too much", arg);
		args->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (args->path == NULL)
			argp_error(state, "which file? '-' is standard input");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

enum ctl_exit ctl_load(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = load_options,
		.parser = load_parse,
		.args_doc = "FILE|-",
		.doc = "Puts many documents, one JSON object a line. One that fails stops no other: it is reported, "
		       "and kept "
		       "in a file that can be loaded again.\v"
		       "Examples:\n"
		       "  sagactl load pages.jsonl\n"
		       "  xzcat pages.jsonl.xz | sagactl load - --failed failed.jsonl\n"
		       "  sagactl load failed.jsonl --window 8 --retries 20",
		.children = ctl_common,
	};
	struct load_args args = {.ctl = ctl, .window = 64, .retries = 5, .reconnect_s = 10};

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	return load_run(&args);
}
