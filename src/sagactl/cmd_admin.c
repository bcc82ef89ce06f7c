/* init, stores, version: the daemon and its stores. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#ifndef SAGAD_VERSION
#define SAGAD_VERSION "unknown"
#endif

/* ---- stores ---- */

#define STORE_COLUMNS 7
#define STORE_ROWS    16
#define CELL_BYTES    164

static const char *const store_head[STORE_COLUMNS] = {"STORE",   "STATE", "LATENCY", "CONNECTIONS",
						      "WAITING", "OWED",  "ENDPOINT"};

static void admin_number_cell(yyjson_val *store, const char *name, char *cell)
{
	yyjson_val *val = yyjson_obj_get(store, name);

	if (yyjson_is_real(val))
		(void)snprintf(cell, CELL_BYTES, "%.1f ms", yyjson_get_real(val)); /* fits */
	else if (yyjson_is_uint(val))
		(void)snprintf(cell, CELL_BYTES, "%llu", (unsigned long long)yyjson_get_uint(val));
	else
		(void)snprintf(cell, CELL_BYTES, "-");
}

static void admin_fill_row(yyjson_val *store, char cells[STORE_COLUMNS][CELL_BYTES])
{
	(void)snprintf(cells[0], CELL_BYTES, "%s", ctl_text(store, "name")); /* cut on purpose; so are the others */
	(void)snprintf(cells[1], CELL_BYTES, "%s", ctl_text(store, "state"));
	admin_number_cell(store, "latency_ms", cells[2]);
	admin_number_cell(store, "connections", cells[3]);
	admin_number_cell(store, "waiting", cells[4]);
	admin_number_cell(store, "owed", cells[5]);
	(void)snprintf(cells[6], CELL_BYTES, "%s  %s", ctl_text(store, "endpoint"), ctl_text(store, "version"));
}

/* Below the table, since they are long: what is wrong, or what init has done. */
static void admin_print_notes(yyjson_val *stores)
{
	yyjson_arr_iter iter;
	yyjson_val *store;

	yyjson_arr_iter_init(stores, &iter);
	while ((store = yyjson_arr_iter_next(&iter)) != NULL) {
		const char *error = ctl_text(store, "error"), *report = ctl_text(store, "report");

		if (error[0] != '\0') {
			printf("%s%s:%s ", ctl_red(), ctl_text(store, "name"), ctl_plain());
			ctl_print_clean(stdout, error);
			putchar('\n');
		} else if (report[0] != '\0') {
			printf("%s%s:%s ", ctl_green(), ctl_text(store, "name"), ctl_plain());
			ctl_print_clean(stdout, report);
			putchar('\n');
		}
	}
}

static void admin_print_stores(yyjson_val *stores)
{
	static char cells[STORE_ROWS][STORE_COLUMNS][CELL_BYTES];
	const char *table[STORE_ROWS * STORE_COLUMNS];
	yyjson_arr_iter iter;
	yyjson_val *store;
	size_t n_rows = 0;

	yyjson_arr_iter_init(stores, &iter);
	while (n_rows < STORE_ROWS && (store = yyjson_arr_iter_next(&iter)) != NULL) {
		admin_fill_row(store, cells[n_rows]);
		for (size_t i = 0; i < STORE_COLUMNS; i++)
			table[n_rows * STORE_COLUMNS + i] = cells[n_rows][i];
		n_rows++;
	}
	ctl_print_table(store_head, STORE_COLUMNS, table, n_rows);
}

static void admin_show_stores(yyjson_val *result)
{
	yyjson_val *stores = yyjson_obj_get(result, "stores");

	admin_print_stores(stores);
	admin_print_notes(stores);
}

enum ctl_exit ctl_stores(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_question question = {
		.doc = "Shows each store: is it up, how fast did it answer, what waits for it, what it owes (work that "
		       "is "
		       "left to do after a commit).\v"
		       "Examples:\n  sagactl stores\n  sagactl stores --json | jq '.stores[] | select(.state != "
		       "\"up\")'",
		.method = "store.list",
		.show = admin_show_stores,
	};

	return ctl_ask_plain(ctl, argc, argv, &question);
}

static void admin_show_version(yyjson_val *result)
{
	printf("sagad %s, protocol %llu\n", ctl_text(result, "server"),
	       (unsigned long long)yyjson_get_uint(yyjson_obj_get(result, "protocol")));
}

enum ctl_exit ctl_version(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = ctl_parse_nothing,
		.doc = "Shows the versions of sagactl and, when it can be reached, of the daemon, whose limits are "
		       "shown "
		       "with --json.\v"
		       "Example:\n  sagactl version --json | jq .limits",
		.children = ctl_common,
	};

	if (argp_parse(&argp, argc, argv, 0, NULL, ctl) != 0)
		return CTL_USAGE;
	if (!ctl->is_json)
		printf("sagactl %s\n", SAGAD_VERSION);
	return ctl_ask(ctl, false, "sagad.hello", NULL, admin_show_version);
}

/* ---- init ---- */

struct init_args {
	struct ctl *ctl;
	struct buf params;
};

enum { OPT_DIMS = 0x300, OPT_DISTANCE, OPT_M, OPT_EF, OPT_ON_DISK, OPT_INT8, OPT_ANN, OPT_CHECK };

static const struct argp_option init_options[] = {
	{"dims", OPT_DIMS, "N", 0, "Dimensions of the embeddings; otherwise the configuration's", 1},
	{"distance", OPT_DISTANCE, "NAME", 0, "cosine, dot, euclid or manhattan", 1},
	{"hnsw-m", OPT_M, "N", 0, "Links of a node in the HNSW index, 2 to 100", 1},
	{"hnsw-ef-construct", OPT_EF, "N", 0, "Candidates looked at while the index is built, 4 to 1000", 1},
	{"on-disk", OPT_ON_DISK, NULL, 0, "Qdrant keeps vectors on disk instead of in memory", 1},
	{"quantize-int8", OPT_INT8, NULL, 0, "Qdrant searches in 8-bit vectors", 1},
	{"ann-index", OPT_ANN, NULL, 0,
	 "Build an HNSW index in PostgreSQL, too; best after the first load, since it slows inserts down", 1},
	{"check", OPT_CHECK, NULL, 0, "Change nothing, only say whether what is there fits", 1},
	{0},
};

static error_t init_parse(int key, char *arg, struct argp_state *state)
{
	struct init_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->ctl;
		return 0;
	case OPT_DIMS:
		ctl_add_number(&args->params, "dims", ctl_parse_number(state, "dims", arg, 1, 65535));
		return 0;
	case OPT_DISTANCE:
		ctl_add_text(&args->params, "distance", arg);
		return 0;
	case OPT_M:
		ctl_add_number(&args->params, "hnsw_m", ctl_parse_number(state, "hnsw-m", arg, 2, 100));
		return 0;
	case OPT_EF:
		ctl_add_number(&args->params, "hnsw_ef_construct",
			       ctl_parse_number(state, "hnsw-ef-construct", arg, 4, 1000));
		return 0;
	case OPT_ON_DISK:
		ctl_add_raw(&args->params, "on_disk", "true");
		return 0;
	case OPT_INT8:
		ctl_add_raw(&args->params, "quantize_int8", "true");
		return 0;
	case OPT_ANN:
		ctl_add_raw(&args->params, "ann_index", "true");
		return 0;
	case OPT_CHECK:
		ctl_add_raw(&args->params, "check_only", "true");
		return 0;
	case ARGP_KEY_ARG:
		return ctl_parse_nothing(key, arg, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void admin_show_init(yyjson_val *result)
{
	admin_print_notes(yyjson_obj_get(result, "stores"));
}

enum ctl_exit ctl_init(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = init_options,
		.parser = init_parse,
		.doc = "Makes in each store what sagad needs: PostgreSQL's tables, Qdrant's collection and payload "
		       "indexes, "
		       "Neo4j's constraints. What is there and fits stays; what doesn't fit is a refusal.\v"
		       "Examples:\n"
		       "  sagactl init --dims 384 --distance cosine\n"
		       "  sagactl init --check\n"
		       "  sagactl init --dims 1024 --on-disk --quantize-int8 --hnsw-m 32",
		.children = ctl_common,
	};
	struct init_args args = {.ctl = ctl};
	enum ctl_exit how = CTL_USAGE;

	buf_append_text(&args.params, "{");
	if (argp_parse(&argp, argc, argv, 0, NULL, &args) == 0) {
		buf_append_text(&args.params, "}");
		how = ctl_ask_told(ctl, true, "store.init", &args.params, admin_show_init);
	}
	buf_fini(&args.params);
	return how;
}
