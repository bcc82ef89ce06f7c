/* stats: the daemon's counters, once or again and again. */
#include "ctl.h"

#include <string.h>
#include <unistd.h>

#define WATCH_DEFAULT_S 2
#define COUNTERS_MAX    128

struct stats_args {
	struct ctl *ctl;
	unsigned watch_s; /* 0: once */
};

enum { OPT_WATCH = 0x400 };

static const struct argp_option stats_options[] = {
	{"watch", OPT_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
	 "Again and again, every 2 or so many seconds, until interrupted", 1},
	{0},
};

static error_t stats_parse(int key, char *arg, struct argp_state *state)
{
	struct stats_args *args = state->input;

	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = args->ctl;
		return 0;
	}
	if (key == OPT_WATCH) {
		args->watch_s =
			arg != NULL ? (unsigned)ctl_parse_number(state, "watch", arg, 1, 3600) : WATCH_DEFAULT_S;
		return 0;
	}
	return key == ARGP_KEY_ARG ? ctl_parse_nothing(key, arg, state) : ARGP_ERR_UNKNOWN;
}

/* What a counter was when it was shown last; by its place, which doesn't change. */
static unsigned long long shown[COUNTERS_MAX];
static bool is_again;

static size_t stats_width(yyjson_val *result)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	size_t width = 0;

	yyjson_obj_iter_init(result, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL)
		width = yyjson_get_len(key) > width ? yyjson_get_len(key) : width;
	return width;
}

/* What has changed since the last look stands behind the value. */
static void stats_show(yyjson_val *result)
{
	int width = (int)stats_width(result);
	yyjson_obj_iter iter;
	yyjson_val *key;
	size_t i = 0;

	yyjson_obj_iter_init(result, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL && i < COUNTERS_MAX) {
		unsigned long long value = yyjson_get_uint(yyjson_obj_iter_get_val(key));

		if (!yyjson_is_uint(yyjson_obj_iter_get_val(key)))
			continue;
		printf("%-*s  %llu", width, yyjson_get_str(key), value);
		if (is_again && value != shown[i])
			printf("  %s%+lld%s", ctl_green(), (long long)(value - shown[i]), ctl_plain());
		putchar('\n');
		shown[i++] = value;
	}
}

static enum ctl_exit stats_watch(const struct stats_args *args)
{
	bool is_terminal = isatty(STDOUT_FILENO) != 0;
	enum ctl_exit how;

	for (;;) {
		if (is_terminal && !args->ctl->is_json)
			fputs("\033[H\033[2J", stdout);
		how = ctl_ask(args->ctl, true, "sagad.stats", NULL, stats_show);
		if (how != CTL_OK || fflush(stdout) != 0)
			return how;
		is_again = true;
		(void)sleep(args->watch_s); /* a signal that ends it early does no harm */
		if (!is_terminal && !args->ctl->is_json)
			putchar('\n');
	}
}

enum ctl_exit ctl_stats(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = stats_options,
		.parser = stats_parse,
		.doc = "Shows the daemon's counters: sagas by state, debts, memory. With --watch what has changed "
		       "since the "
		       "last look stands behind each.\v"
		       "Examples:\n  sagactl stats\n  sagactl stats --watch=1\n  sagactl stats --json | jq .parked",
		.children = ctl_common,
	};
	struct stats_args args = {.ctl = ctl};

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	return args.watch_s == 0 ? ctl_ask(ctl, true, "sagad.stats", NULL, stats_show) : stats_watch(&args);
}
