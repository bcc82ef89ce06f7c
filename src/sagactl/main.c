/* sagactl: the command line of sagad, over libsagad. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SAGAD_VERSION
#define SAGAD_VERSION "unknown"
#endif

#define DEFAULT_SOCKET       "/run/sagad/jobs.sock"
#define DEFAULT_ADMIN_SOCKET "/run/sagad/admin.sock"

static const struct ctl_command commands[] = {
	{"put", "put one document into all stores", ctl_put},
	{"load", "put many documents, one a line", ctl_load},
	{"status", "what is known of a document or of an accepted job", ctl_status},
	{"delete", "take a document out of all stores", ctl_delete},
	{"init", "make tables, collection, indexes and constraints", ctl_init},
	{"stores", "are the stores up, what do they owe", ctl_stores},
	{"run", "run a saga of your own, out of a file", ctl_run},
	{"sagas", "what is open; try it now, or resolve it", ctl_sagas},
	{"stats", "the daemon's counters", ctl_stats},
	{"config", "every value of the daemon's configuration, and where it came from", ctl_config},
	{"reload", "let the daemon read its configuration again", ctl_reload},
	{"log-level", "let the daemon log more or less", ctl_log_level},
	{"drain", "let the daemon finish what runs, and stop", ctl_drain},
	{"version", "the versions of sagactl and of the daemon", ctl_version},
};

enum { OPT_ADMIN = 0x100, OPT_JSON, OPT_TIMEOUT };

static const struct argp_option common_options[] = {
	{"socket", 's', "PATH", 0, "The daemon's job socket; SAGAD_SOCKET, or " DEFAULT_SOCKET, 90},
	{"admin-socket", OPT_ADMIN, "PATH", 0,
	 "The administration socket (init, stores, stats); SAGAD_ADMIN_SOCKET, or " DEFAULT_ADMIN_SOCKET, 90},
	{"json", OPT_JSON, NULL, 0, "Answers as JSON, for programs", 90},
	{"timeout", OPT_TIMEOUT, "SECONDS", 0, "How long to wait for an answer; 0, the default: as long as it takes",
	 90},
	{0},
};

static error_t common_parse(int key, char *arg, struct argp_state *state)
{
	struct ctl *ctl = state->input;
	unsigned long long seconds;

	switch (key) {
	case 's':
		ctl->socket_path = arg;
		return 0;
	case OPT_ADMIN:
		ctl->admin_path = arg;
		return 0;
	case OPT_JSON:
		ctl->is_json = true;
		return 0;
	case OPT_TIMEOUT:
		seconds = ctl_parse_number(state, "timeout", arg, 0, 86400);
		ctl->timeout_ms = seconds != 0 ? (int)seconds * 1000 : -1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp common_argp = {.options = common_options, .parser = common_parse};
const struct argp_child ctl_common[] = {{&common_argp, 0, "For every command:", 9}, {0}};

struct main_args {
	struct ctl ctl; /* first: the common parser's input */
	int command_at; /* in argv; 0: none */
};

static error_t main_parse(int key, char *arg, struct argp_state *state)
{
	struct main_args *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->ctl;
		return 0;
	case ARGP_KEY_ARG:
		/* All that follows is the command's. */
		args->command_at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char main_doc[] =
	"Puts documents into PostgreSQL, Qdrant, Neo4j and Redis through sagad: into all of them, or into none.\v"
	"Commands:\n"
	"  put FILE|-          put one document into all stores\n"
	"  load FILE|-         put many documents, one JSON object a line\n"
	"  status ID           what is known of a document, or of a job (--job)\n"
	"  delete ID           take a document out of all stores\n"
	"  init                make tables, collection, indexes and constraints\n"
	"  stores              are the stores up, what do they owe\n"
	"  run FILE|-          run a saga of your own: steps, each with a do and an undo\n"
	"  sagas ACTION        what is open: list, show, retry, resolve, cancel\n"
	"  stats               the daemon's counters\n"
	"  config              every value of the daemon's configuration, and where it came from\n"
	"  reload              let the daemon read its configuration again\n"
	"  log-level LEVEL     let the daemon log more or less, until the next reload\n"
	"  drain               let the daemon finish what runs, and stop\n"
	"  version             the versions of sagactl and of the daemon\n"
	"`sagactl COMMAND --help` explains each one.\n"
	"\n"
	"A first try:\n"
	"  sagactl init --dims 3\n"
	"  sagactl put - <<'END'\n"
	"  {\"id\": \"hello\", \"chunks\": [{\"text\": \"Hello\", \"embedding\": [0.1, 0.2, 0.3]}]}\n"
	"  END\n"
	"  sagactl status hello\n"
	"\n"
	"Exit codes:\n"
	"  0  done\n"
	"  1  load: some documents failed; status: there is no such document\n"
	"  2  wrong usage, or a file that cannot be read or written\n"
	"  3  the daemon cannot be reached, or the connection was lost\n"
	"  4  the daemon refused: the message says why and what to do";

static const char *main_path(const char *variable, const char *otherwise)
{
	const char *path = getenv(variable);

	return path != NULL && path[0] != '\0' ? path : otherwise;
}

static enum ctl_exit main_run(struct ctl *ctl, int argc, char **argv)
{
	char name[64];

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, argv[0]) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "sagactl %s", argv[0]); /* our own names are short */
		argv[0] = name;
		return commands[i].run(ctl, argc, argv);
	}
	ctl_error("there is no command '%s'; these are:", argv[0]);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].summary);
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = main_parse, .args_doc = "COMMAND [ARGUMENT...]", .doc = main_doc, .children = ctl_common};
	struct main_args args = {.ctl = {.timeout_ms = -1}};

	argp_err_exit_status = CTL_USAGE;
	argp_program_version = "sagactl " SAGAD_VERSION;
	args.ctl.socket_path = main_path("SAGAD_SOCKET", DEFAULT_SOCKET);
	args.ctl.admin_path = main_path("SAGAD_ADMIN_SOCKET", DEFAULT_ADMIN_SOCKET);
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args) != 0 || args.command_at == 0)
		return CTL_USAGE;
	return main_run(&args.ctl, argc - args.command_at, argv + args.command_at);
}
