/* config, reload, log-level, drain: the daemon itself. */
#include "ctl.h"

#include <string.h>

/* ---- config ---- */

static void config_show(yyjson_val *result)
{
	yyjson_val *settings = yyjson_obj_get(result, "settings"), *row;
	yyjson_arr_iter iter;
	char name[96], value[200];

	yyjson_arr_iter_init(settings, &iter);
	while ((row = yyjson_arr_iter_next(&iter)) != NULL) {
		bool is_default = strcmp(ctl_text(row, "origin"), "default") == 0;

		/* Cut on purpose, both. */
		(void)snprintf(name, sizeof(name), "%s.%s", ctl_text(row, "section"), ctl_text(row, "key"));
		(void)snprintf(value, sizeof(value), "%s", ctl_text(row, "value"));
		printf("%s%-30s ", is_default ? ctl_dim() : "", name);
		ctl_print_clean(stdout, value[0] != '\0' ? value : "-");
		printf("  # ");
		ctl_print_clean(stdout, ctl_text(row, "origin"));
		printf("%s%s\n", yyjson_is_true(yyjson_obj_get(row, "reloadable")) ? "" : "; a change needs a restart",
		       is_default ? ctl_plain() : "");
	}
}

enum ctl_exit ctl_config(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_question question = {
		.doc = "Shows every value of the daemon's configuration as it is in force, and where it came from; "
		       "secrets as "
		       "***.\v"
		       "Examples:\n  sagactl config | grep -v default\n"
		       "  sagactl config --json | jq '.settings[] | select(.key == \"deadline\")'",
		.method = "sagad.config",
		.show = config_show,
	};

	return ctl_ask_plain(ctl, argc, argv, &question);
}

/* ---- reload ---- */

static void keys_show(yyjson_val *result, const char *name, const char *before)
{
	yyjson_arr_iter iter;
	yyjson_val *key;

	yyjson_arr_iter_init(yyjson_obj_get(result, name), &iter);
	while ((key = yyjson_arr_iter_next(&iter)) != NULL)
		printf("%s: %s\n", before, yyjson_get_str(key));
}

static void reload_show(yyjson_val *result)
{
	if (yyjson_arr_size(yyjson_obj_get(result, "changed")) +
		    yyjson_arr_size(yyjson_obj_get(result, "needs_restart")) ==
	    0)
		puts("nothing has changed");
	keys_show(result, "changed", "in force");
	keys_show(result, "needs_restart", "needs a restart");
}

enum ctl_exit ctl_reload(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_question question = {
		.doc = "Lets the daemon read its configuration again, as SIGHUP does, and says which keys changed and "
		       "which "
		       "need a restart. With a fault in it the old configuration stays in force, and each fault is "
		       "shown.\v"
		       "Example:\n  sagactl reload && sagactl config | grep limits",
		.method = "sagad.reload",
		.show = reload_show,
	};

	return ctl_ask_plain(ctl, argc, argv, &question);
}

/* ---- log-level ---- */

struct level_args {
	struct ctl *ctl;
	const char *level;
};

static error_t level_parse(int key, char *arg, struct argp_state *state)
{
	struct level_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->ctl;
		return 0;
	case ARGP_KEY_ARG:
		if (args->level != NULL)
			argp_error(state, "takes one level; '%s' is too much", arg);
		args->level = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which level? debug, info, warn or error");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void level_show(yyjson_val *result)
{
	printf("the daemon logs from level %s on (before: %s)\n", ctl_text(result, "level"),
	       ctl_text(result, "previous"));
}

enum ctl_exit ctl_log_level(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = level_parse,
		.args_doc = "debug|info|warn|error",
		.doc = "Lets the daemon log more or less, until it reads its configuration again.\v"
		       "Example:\n  sagactl log-level debug; sleep 10; sagactl log-level info",
		.children = ctl_common,
	};
	struct level_args args = {.ctl = ctl};
	struct buf params = {0};
	enum ctl_exit how = CTL_USAGE;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return CTL_USAGE;
	buf_append_text(&params, "{");
	ctl_add_text(&params, "level", args.level);
	buf_append_text(&params, "}");
	how = ctl_ask(ctl, true, "sagad.log_level", &params, level_show);
	buf_fini(&params);
	return how;
}

/* ---- drain ---- */

static void drain_show(yyjson_val *result)
{
	printf("the daemon takes no more jobs; %llu sagas run, and it ends in %llu s at the latest\n",
	       (unsigned long long)yyjson_get_uint(yyjson_obj_get(result, "sagas")),
	       (unsigned long long)yyjson_get_uint(yyjson_obj_get(result, "drain_timeout_ms")) / 1000);
}

enum ctl_exit ctl_drain(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_question question = {
		.doc = "Lets the daemon finish what runs and stop, as SIGTERM does: new jobs are refused as "
		       "shutting_down, and "
		       "what isn't done after daemon.drain_timeout is finished or taken back by the next start. Under "
		       "systemd use systemctl stop or restart.\v"
		       "Example:\n  sagactl drain",
		.method = "sagad.drain",
		.show = drain_show,
	};

	return ctl_ask_plain(ctl, argc, argv, &question);
}
