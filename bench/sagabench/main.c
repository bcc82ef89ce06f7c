/* sagabench: the command line. */
#include "report.h"
#include "saga.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAILED_EXIT      1
#define USAGE_EXIT       2
#define UNREACHABLE_EXIT 3

struct args {
	struct shape shape;
	struct plan_config plan;
	struct load_config load;
	const char *file;
	const char *saga_file;
	uint32_t n_pool;
	bool is_json;
	bool is_dump;
};

enum {
	OPT_CHUNKS = 0x400,
	OPT_DIMS,
	OPT_ENTITIES,
	OPT_RELATIONSHIPS,
	OPT_NAMES,
	OPT_TEXT,
	OPT_FILE,
	OPT_POOL,
	OPT_PREFIX,
	OPT_OVERWRITES,
	OPT_DUPLICATES,
	OPT_DELETES,
	OPT_SHRINKS,
	OPT_ZIPF,
	OPT_KNOWN,
	OPT_KEYS,
	OPT_SAGA,
	OPT_SEED,
	OPT_RATE,
	OPT_WARMUP,
	OPT_SECONDS,
	OPT_COUNT,
	OPT_PATIENCE,
	OPT_QUIET,
	OPT_JSON,
	OPT_DUMP
};

static const struct argp_option options[] = {
	{"socket", 's', "PATH", 0, "The daemon's job socket (SAGAD_SOCKET, /run/sagad/jobs.sock)", 1},
	{NULL, 0, NULL, 0, "The load:", 2},
	{"clients", 'c', "N", 0, "Connections (8)", 2},
	{"depth", 'd', "N", 0, "Requests under way on each (8)", 2},
	{"rate", OPT_RATE, "N", 0,
	 "Open loop: start N requests a second, and count latencies from the moment each should have "
	 "started. Left out: closed loop, as fast as answers come",
	 2},
	{"warmup", OPT_WARMUP, "SECONDS", 0, "Load that doesn't count, before the clock starts (0)", 2},
	{"seconds", OPT_SECONDS, "SECONDS", 0, "How long to measure (10, unless --count is given)", 2},
	{"count", OPT_COUNT, "N", 0, "Stop after N requests, those of the warm-up included", 2},
	{"patience", OPT_PATIENCE, "SECONDS", 0, "Give up when no answer comes for so long (60)", 2},
	{NULL, 0, NULL, 0, "The documents:", 3},
	{"chunks", OPT_CHUNKS, "N", 0, "Chunks of a document (8)", 3},
	{"dims", OPT_DIMS, "N", 0, "Dimensions of their vectors (384)", 3},
	{"text", OPT_TEXT, "BYTES", 0, "Text of a chunk (400)", 3},
	{"entities", OPT_ENTITIES, "N", 0, "Entities of a document (5)", 3},
	{"relationships", OPT_RELATIONSHIPS, "N", 0, "Relationships of a document (6)", 3},
	{"names", OPT_NAMES, "N", 0, "Different entities in all documents (1000)", 3},
	{"file", OPT_FILE, "FILE", 0,
	 "Documents out of a file instead, one JSON object a line, '-' is standard input; their "
	 "ids are replaced",
	 3},
	{"pool", OPT_POOL, "N", 0, "How many different contents are made, or read, beforehand (256)", 3},
	{"dump", OPT_DUMP, NULL, 0,
	 "Print these contents, one JSON object a line, and stop: for whoever loads the same", 3},
	{"prefix", OPT_PREFIX, "TEXT", 0, "Ids are TEXT/0, TEXT/1, ... (bench)", 3},
	{"seed", OPT_SEED, "N", 0, "The same seed makes the same requests (1)", 3},
	{NULL, 0, NULL, 0, "What is asked for; shares are 0..1, the rest are documents that are new:", 4},
	{"overwrites", OPT_OVERWRITES, "SHARE", 0, "Other content for a document that is there (0)", 4},
	{"shrinks", OPT_SHRINKS, "SHARE", 0, "Of the overwrites those that leave half the chunks (0)", 4},
	{"duplicates", OPT_DUPLICATES, "SHARE", 0, "The very put that a document had last (0)", 4},
	{"deletes", OPT_DELETES, "SHARE", 0, "Deletes (0)", 4},
	{"zipf", OPT_ZIPF, "EXPONENT", 0, "How much some documents are preferred by these; 0: not at all (0)", 4},
	{"known", OPT_KNOWN, "N", 0, "Documents 0 to N - 1 are there, from a run with the same --prefix (0)", 4},
	{"keys", OPT_KEYS, NULL, 0, "Give every request an idempotency key", 4},
	{"saga", OPT_SAGA, "FILE", 0,
	 "No documents: run the saga in this file (params of saga.run, '-' is standard input) again and again", 4},
	{NULL, 0, NULL, 0, "The report:", 5},
	{"json", OPT_JSON, NULL, 0, "For programs", 5},
	{"quiet", OPT_QUIET, NULL, 0, "No progress on standard error", 5},
	{0},
};

/* ---- numbers ---- */

static double parse_real(const struct argp_state *state, const char *what, const char *text, double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= min && value <= max))
		argp_error(state, "--%s takes a number from %g to %g, not '%s'", what, min, max, text);
	return value;
}

static uint32_t parse_count(const struct argp_state *state, const char *what, const char *text, double min, double max)
{
	double value = parse_real(state, what, text, min, max);

	if (value != (double)(uint32_t)value)
		argp_error(state, "--%s takes a whole number, not '%s'", what, text);
	return (uint32_t)value;
}

static void check_prefix(const struct argp_state *state, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";

	if (*text == '\0' || strlen(text) > 100 || text[strspn(text, allowed)] != '\0')
		argp_error(state, "--prefix takes 1 to 100 letters, digits, '-', '_', '.' and '/', not '%s'", text);
}

/* ---- options ---- */

static bool parse_load(const struct argp_state *state, struct load_config *load, int key, const char *arg)
{
	switch (key) {
	case 's':
		load->socket_path = arg;
		return true;
	case 'c':
		load->n_clients = parse_count(state, "clients", arg, 1, 60000);
		return true;
	case 'd':
		load->depth = parse_count(state, "depth", arg, 1, 100000);
		return true;
	case OPT_RATE:
		load->rate = parse_real(state, "rate", arg, 0.001, 1e6);
		return true;
	case OPT_WARMUP:
		load->warmup_s = parse_real(state, "warmup", arg, 0, 86400);
		return true;
	case OPT_SECONDS:
		load->measure_s = parse_real(state, "seconds", arg, 0.1, 86400);
		return true;
	case OPT_COUNT:
		load->n_max = parse_count(state, "count", arg, 1, 4e9);
		return true;
	case OPT_PATIENCE:
		load->patience_s = parse_real(state, "patience", arg, 1, 86400);
		return true;
	case OPT_QUIET:
		load->is_quiet = true;
		return true;
	default:
		return false;
	}
}

static bool parse_shape(const struct argp_state *state, struct args *args, int key, const char *arg)
{
	struct shape *shape = &args->shape;

	switch (key) {
	case OPT_CHUNKS:
		shape->n_chunks = parse_count(state, "chunks", arg, 0, 100000);
		return true;
	case OPT_DIMS:
		shape->n_dims = parse_count(state, "dims", arg, 1, 16000);
		return true;
	case OPT_TEXT:
		shape->text_bytes = parse_count(state, "text", arg, 0, 10e6);
		return true;
	case OPT_ENTITIES:
		shape->n_entities = parse_count(state, "entities", arg, 0, 10000);
		return true;
	case OPT_RELATIONSHIPS:
		shape->n_relationships = parse_count(state, "relationships", arg, 0, 100000);
		return true;
	case OPT_NAMES:
		shape->n_names = parse_count(state, "names", arg, 1, 1e9);
		return true;
	case OPT_FILE:
		args->file = arg;
		return true;
	case OPT_SAGA:
		args->saga_file = arg;
		return true;
	case OPT_POOL:
		args->n_pool = parse_count(state, "pool", arg, 1, 1e6);
		return true;
	case OPT_JSON:
		args->is_json = true;
		return true;
	case OPT_DUMP:
		args->is_dump = true;
		return true;
	default:
		return false;
	}
}

static bool parse_plan(const struct argp_state *state, struct plan_config *plan, int key, char *arg)
{
	switch (key) {
	case OPT_PREFIX:
		check_prefix(state, arg);
		plan->prefix = arg;
		return true;
	case OPT_SEED:
		plan->seed = parse_count(state, "seed", arg, 0, 4e9);
		return true;
	case OPT_OVERWRITES:
		plan->overwrites = parse_real(state, "overwrites", arg, 0, 1);
		return true;
	case OPT_SHRINKS:
		plan->shrinks = parse_real(state, "shrinks", arg, 0, 1);
		return true;
	case OPT_DUPLICATES:
		plan->duplicates = parse_real(state, "duplicates", arg, 0, 1);
		return true;
	case OPT_DELETES:
		plan->deletes = parse_real(state, "deletes", arg, 0, 1);
		return true;
	case OPT_ZIPF:
		plan->zipf = parse_real(state, "zipf", arg, 0, 10);
		return true;
	case OPT_KNOWN:
		plan->n_known = parse_count(state, "known", arg, 0, 1e8);
		return true;
	case OPT_KEYS:
		plan->has_keys = true;
		return true;
	default:
		return false;
	}
}

static void parse_end(const struct argp_state *state, struct args *args)
{
	const struct plan_config *plan = &args->plan;

	if (plan->overwrites + plan->duplicates + plan->deletes > 1 + 1e-9)
		argp_error(state, "--overwrites, --duplicates and --deletes together are more than 1");
	if (plan->shrinks > 0 && args->file != NULL)
		argp_error(state, "--shrinks is for documents that are made, not for those of --file");
	if (args->saga_file != NULL && (args->file != NULL || args->is_dump || plan->n_known > 0))
		argp_error(state, "--saga is without documents: it doesn't go with --file, --dump and --known");
	if (args->load.measure_s <= 0 && args->load.n_max == 0)
		args->load.measure_s = 10;
	args->shape.seed = plan->seed;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (parse_load(state, &args->load, key, arg) || parse_shape(state, args, key, arg) ||
	    parse_plan(state, &args->plan, key, arg))
		return 0;
	if (key != ARGP_KEY_END)
		return ARGP_ERR_UNKNOWN;
	parse_end(state, args);
	return 0;
}

/* ---- the run ---- */

/* What is sent: a saga, or documents. */
static int make_content(struct args *args, struct pool *full, struct pool *small, char **out_saga, struct err *err)
{
	struct shape half = args->shape;
	int rc;

	if (args->saga_file != NULL) {
		rc = saga_read(args->saga_file, out_saga, err);
		args->plan.saga = *out_saga;
		return rc;
	}
	half.n_chunks /= 2;
	if (args->file != NULL)
		return pool_read(full, args->file, args->n_pool, err);
	rc = pool_make(full, &args->shape, args->n_pool, err);
	if (rc == 0 && args->plan.shrinks > 0)
		rc = pool_make(small, &half, args->n_pool, err);
	return rc;
}

static int dump(const struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n; i++)
		printf("{%s\n", pool->bodies[i].len > 0 ? pool->bodies[i].json : "}");
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return 0;
	fprintf(stderr, "sagabench: cannot write the documents: %s\n", strerror(errno));
	return FAILED_EXIT;
}

static int run(const struct args *args, struct plan *plan)
{
	struct load_result result;
	struct err err = {0};
	int rc = load_run(&args->load, plan, &result, &err), printed = 0;
	struct plan_sums sums = plan_sums(plan);
	bool is_clean = result.n_failed == 0;

	if (rc != 0)
		fprintf(stderr, "sagabench: %s\n", err.text);
	if (rc == 0 || result.all.n > 0)
		printed = args->is_json ? report_print_json(&result, &sums) : report_print(&result, &sums);
	load_result_fini(&result);
	if (printed != 0)
		fprintf(stderr, "sagabench: cannot write the report: %s\n", strerror(-printed));
	if (rc != 0)
		return UNREACHABLE_EXIT;
	return is_clean && printed == 0 ? 0 : FAILED_EXIT;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Loads a sagad with documents or sagas and says how fast they were answered.\v"
		       "Exit status: 0 all answered well, 1 some failed, 2 usage, 3 the daemon can't be reached or was "
		       "lost.\n"
		       "Neo4j needs about a minute of load until its compiler has settled: --warmup 60 after its "
		       "start.",
	};
	const char *socket_path = getenv("SAGAD_SOCKET");
	struct args args = {
		.shape = {.n_chunks = 8,
			  .n_dims = 384,
			  .n_entities = 5,
			  .n_relationships = 6,
			  .n_names = 1000,
			  .text_bytes = 400},
		.plan = {.prefix = "bench", .seed = 1},
		.load = {.socket_path = socket_path != NULL ? socket_path : "/run/sagad/jobs.sock",
			 .n_clients = 8,
			 .depth = 8,
			 .patience_s = 60,
			 .is_quiet = isatty(STDERR_FILENO) == 0},
		.n_pool = 256,
	};
	struct pool full = {0}, small = {0};
	struct plan plan = {0};
	struct err err = {0};
	char *saga = NULL;
	int rc = USAGE_EXIT;

	argp_err_exit_status = USAGE_EXIT;
	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return USAGE_EXIT;
	if (make_content(&args, &full, &small, &saga, &err) != 0)
		fprintf(stderr, "sagabench: %s\n", err.text);
	else if (args.is_dump)
		rc = dump(&full);
	else if (plan_init(&plan, &args.plan, &full, small.n > 0 ? &small : NULL) != 0)
		fputs("sagabench: out of memory for the documents' states; fewer with --known\n", stderr);
	else
		rc = run(&args, &plan);
	plan_fini(&plan);
	free(saga);
	pool_fini(&small);
	pool_fini(&full);
	return rc;
}
