/* The command line of the daemon. */
#include "sagad/config.h"
#include "sagad/crash.h"
#include "sagad/curl_memory.h"
#include "sagad/daemon.h"
#include "sagad/settings.h"
#include "sagad/sink.h"
#include "sagad/version.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define OPTIONS_MAX 128

enum option_key {
	OPTION_CHECK = 256,
	OPTION_TEMPLATE,
	OPTION_TAKE_OVER,
	OPTION_LOG_LEVEL,
	OPTION_REPLACE,
	OPTION_CRASH_POINTS
};

struct arguments {
	struct config_sources sources;
	const char *options[OPTIONS_MAX];
	char *log_level; /* as an option "log.level=..."; owned */
	bool check_config;
	bool print_template;
	bool print_version;
	bool take_over;
	bool replace;
};

static const struct argp_option argument_options[] = {
	{"config", 'c', "FILE", 0, "Read this file instead of " CONFIG_DEFAULT_FILE " (which may be missing)", 0},
	{"option", 'o', "SECTION.KEY=VALUE", 0, "Set a key of the configuration, over file and environment; repeatable",
	 0},
	{"log-level", OPTION_LOG_LEVEL, "LEVEL", 0, "debug, info, warn or error; the same as -o log.level=LEVEL", 0},
	{"take-over", OPTION_TAKE_OVER, NULL, 0,
	 "Become the owner of the database although a daemon with another journal is still connected to it. What that "
	 "daemon has under way is then known to its journal only",
	 0},
	{"replace", OPTION_REPLACE, NULL, 0,
	 "Take the sockets of the daemon that runs with this configuration, ask it to stop, and go on with its "
	 "journal: an "
	 "upgrade during which clients always find a daemon. Without one the start is an ordinary one",
	 0},
	{"check-config", OPTION_CHECK, NULL, 0, "Print every value in force with its origin, or every fault, and exit",
	 1},
	{"print-config-template", OPTION_TEMPLATE, NULL, 0, "Print a commented configuration file and exit", 1},
	{"version", 'V', NULL, 0, "Print the version, those of the libraries, and what this build can't do, and exit",
	 1},
#ifdef SAGAD_CRASH_POINTS
	{"crash-points", OPTION_CRASH_POINTS, NULL, 0, "Print where SAGAD_CRASH_AT can end this test build, and exit",
	 1},
#endif
	{0},
};

static const char argument_doc[] =
	"The saga daemon: takes documents over a Unix socket and writes each into PostgreSQL, Qdrant, Neo4j and Redis, "
	"or "
	"into none of them."
	"\v"
	"Signals: TERM and INT stop the daemon: no new jobs, and those that run end first (daemon.drain_timeout); once "
	"more and it stops at once. Whatever was under way is finished or taken back by the next start. HUP reads the "
	"configuration again: what can change while running changes, what can't is named in the log, and with a fault "
	"the old configuration stays.\n\n"
	"Exit codes:\n"
	"  0  stopped as asked\n"
	"  1  could not start or go on\n"
	"  2  wrong command line or configuration, or a journal that this version can't use\n"
	"  3  another daemon has the journal, a socket or the database\n"
	"  4  stopped itself, removing nothing: another daemon became the owner of the database, or the journal "
	"failed\n\n"
	"Environment (over the file, under -o): POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD, "
	"POSTGRES_DB, QDRANT_HOST, QDRANT_PORT, QDRANT_API_KEY, NEO4J_URL, NEO4J_USER, NEO4J_PASSWORD, REDIS_URL.\n\n"
	"Examples:\n"
	"  sagad --print-config-template >sagad.conf\n"
	"  sagad -c sagad.conf --check-config\n"
	"  sagad -c sagad.conf -o schema.dims=384\n";

static void argument_add_option(struct arguments *arguments, const char *option, struct argp_state *state)
{
	if (arguments->sources.n_options == OPTIONS_MAX)
		argp_error(state, "more than %d options: put them into a file", OPTIONS_MAX);
	arguments->options[arguments->sources.n_options++] = option;
}

static error_t argument_parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->sources.file = value;
		return 0;
	case 'o':
		argument_add_option(arguments, value, state);
		return 0;
	case OPTION_LOG_LEVEL:
		free(arguments->log_level);
		if (asprintf(&arguments->log_level, "log.level=%s", value) < 0)
			argp_failure(state, DAEMON_EXIT_FAILED, ENOMEM, "--log-level");
		return 0;
	case OPTION_TAKE_OVER:
		arguments->take_over = true;
		return 0;
	case OPTION_REPLACE:
		arguments->replace = true;
		return 0;
	case OPTION_CHECK:
		arguments->check_config = true;
		return 0;
	case OPTION_TEMPLATE:
		arguments->print_template = true;
		return 0;
	case 'V':
		arguments->print_version = true;
		return 0;
#ifdef SAGAD_CRASH_POINTS
	case OPTION_CRASH_POINTS:
		crash_print_names();
		exit(DAEMON_EXIT_CLEAN);
#endif
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': sagad takes options only", value);
		return 0;
	case ARGP_KEY_END:
		if (arguments->log_level != NULL)
			argument_add_option(arguments, arguments->log_level, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Standard output may be a full disk or a closed pipe. */
static enum daemon_exit printed(void)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return DAEMON_EXIT_CLEAN;
	fprintf(stderr, "sagad: standard output: %s\n", strerror(errno));
	return DAEMON_EXIT_FAILED;
}

static enum daemon_exit config_read_all(const struct arguments *arguments, struct config *config)
{
	struct buf faults = {0};
	int rc = config_load(&arguments->sources, config, &faults);

	if (rc == -ENOMEM)
		fprintf(stderr, "sagad: out of memory\n");
	else if (rc != 0)
		fprintf(stderr, "sagad: the configuration can't be used:\n%s", faults.at != NULL ? faults.at : "");
	buf_fini(&faults);
	return rc == 0 ? DAEMON_EXIT_CLEAN : rc == -ENOMEM ? DAEMON_EXIT_FAILED : DAEMON_EXIT_USAGE;
}

/* The soft limit is low for select(2)'s sake, which nothing here uses. */
static void raise_descriptors(struct log *log)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn(log, "RLIMIT_NOFILE can't be raised to %llu: %s", (unsigned long long)limit.rlim_max,
			 strerror(errno));
}

/* Secrets lie in the memory of libpq, libcurl and hiredis as well, so that no part of it can be kept out of a dump. Not
 * RLIMIT_CORE: a program that core_pattern(5) pipes dumps to gets them whatever that limit is. */
static void forbid_core_dumps(struct log *log)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		log_warn(log, "core dumps, which would hold secrets, can't be turned off: %s", strerror(errno));
}

static enum daemon_exit serve(struct config *config, const struct arguments *arguments)
{
	static struct sink sink;
	static struct daemon_options options;
	const struct sink_config sink_config = settings_sink(config);
	enum daemon_exit code;

	options = (struct daemon_options){&arguments->sources, arguments->take_over, arguments->replace};

	sink_init(&sink, &sink_config);
	(void)signal(SIGPIPE, SIG_IGN); /* sockets and pipes break; whoever writes is told by EPIPE */
	(void)signal(SIGHUP, SIG_IGN);  /* until the daemon can reload: one that comes early must not end it */
	(void)signal(SIGXFSZ, SIG_IGN); /* under LimitFSIZE= the journal is told by EFBIG, and halts the daemon */
	raise_descriptors(&sink.log);
	curl_memory_install(&sink.log);
	if (!config->daemon.core_dumps)
		forbid_core_dumps(&sink.log);
#ifdef SAGAD_CRASH_POINTS
	if (!crash_arm())
		return DAEMON_EXIT_USAGE;
#endif
	code = daemon_run(config, &options, &sink);
	sink_flush(&sink);
	return code;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {argument_options, argument_parse, NULL, argument_doc, NULL, NULL, NULL};
	static struct arguments arguments;
	static struct config config;
	enum daemon_exit code;

	arguments.sources = (struct config_sources){.use_environment = true, .options = arguments.options};
	argp_err_exit_status = DAEMON_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (arguments.print_version || arguments.print_template) {
		if (arguments.print_version)
			version_print(stdout);
		else
			config_print_template(stdout);
		return printed();
	}
	code = config_read_all(&arguments, &config);
	if (code != DAEMON_EXIT_CLEAN)
		return code;
	if (arguments.check_config) {
		config_print_effective(&config, stdout);
		code = printed();
	} else {
		code = serve(&config, &arguments);
	}
#ifdef SAGAD_CRASH_POINTS
	crash_write_hits();
#endif
	/* After an abrupt end the daemon's threads may still look at the configuration. */
	if (arguments.check_config || code == DAEMON_EXIT_CLEAN)
		config_fini(&config);
	free(arguments.log_level);
	return code;
}
