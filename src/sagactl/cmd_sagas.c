/* sagas: what is open, told, tried again, or declared settled. */
#include "ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_SHOWN 120 /* characters of an error in a table */
#define ROW_COLUMNS 8
#define CELL_BYTES  164

struct sagas_args {
	struct ctl *ctl;
	const char *action;
	const char *id;
	struct buf params;
	bool is_all, is_mine, has_store, has_step, has_reason, has_filter;
};

enum {
	OPT_STATE = 0x500,
	OPT_STORE,
	OPT_OLDER,
	OPT_LIMIT,
	OPT_PAGE,
	OPT_RESOLVED,
	OPT_ENDED,
	OPT_ALL,
	OPT_REASON,
	OPT_STEP,
	OPT_MINE
};

static const struct argp_option sagas_options[] = {
	{"state", OPT_STATE, "STATE", 0, "list: running, compensating, in_doubt, waiting, owed, parked or late only",
	 1},
	{"store", OPT_STORE, "NAME", 0, "list, retry, resolve: what waits for this store only", 1},
	{"older-than", OPT_OLDER, "TIME", 0, "list: what is older: 90s, 15min, 2h or 1d", 1},
	{"limit", OPT_LIMIT, "N", 0, "list: at most so many, 1 to 1000; otherwise 100", 1},
	{"page", OPT_PAGE, "NAME", 0, "list: go on where an earlier list ended; it says how", 1},
	{"resolved", OPT_RESOLVED, NULL, 0, "list: what operators have resolved, the newest first", 1},
	{"ended", OPT_ENDED, NULL, 0, "list: sagas of clients' own that have ended, the newest first", 1},
	{"all", OPT_ALL, NULL, 0, "retry: everything that waits", 1},
	{"reason", OPT_REASON, "TEXT", 0, "resolve: why; kept in the journal and in the log", 1},
	{"step", OPT_STEP, "NAME", 0, "retry, resolve: this step only, of a saga of a client's own", 1},
	{"mine", OPT_MINE, NULL, 0, "list, show, cancel: sagas that this user has run, over the job socket", 1},
	{0},
};

/* ---- the command line ---- */

static unsigned long long sagas_parse_time_ms(const struct argp_state *state, const char *text)
{
	static const struct {
		const char *unit;
		unsigned long long ms;
	} units[] = {{"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}}; /* as in the configuration */
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	for (size_t i = 0; i < ARRAY_LEN(units) && text[0] >= '0' && text[0] <= '9' && number <= 1000000; i++)
		if (strcmp(units[i].unit, end) == 0)
			return number * units[i].ms;
	argp_error(state, "--older-than wants a number with s, min, h or d behind it, not '%s'", text);
	return 0;
}

static void sagas_parse_word(struct sagas_args *args, const struct argp_state *state, const char *word)
{
	static const char *const actions[] = {"list", "show", "retry", "resolve", "cancel"};

	if (args->action == NULL) {
		for (size_t i = 0; i < ARRAY_LEN(actions); i++)
			if (strcmp(actions[i], word) == 0)
				args->action = word;
		if (args->action == NULL)
			argp_error(state, "there is no '%s' for sagas; list, show, retry, resolve or cancel", word);
	} else if (args->id != NULL || strcmp(args->action, "list") == 0) {
		argp_error(state, "'%s' is too much", word);
	} else {
		args->id = word;
		ctl_add_text(&args->params, "id", word);
	}
}

static void sagas_check(const struct sagas_args *args, const struct argp_state *state)
{
	bool is_list = args->action != NULL && strcmp(args->action, "list") == 0;
	bool is_retry = args->action != NULL && strcmp(args->action, "retry") == 0;
	bool is_resolve = args->action != NULL && strcmp(args->action, "resolve") == 0;

	if (args->action == NULL)
		argp_error(state, "what about them? list, show, retry, resolve or cancel");
	else if (!is_list && args->has_filter)
		argp_error(state, "--state, --older-than, --limit, --page, --resolved and --ended are for list");
	else if (args->is_mine && (is_retry || is_resolve))
		argp_error(state, "--mine is for list, show and cancel");
	else if (args->has_step && !is_retry && !is_resolve)
		argp_error(state, "--step is for retry and resolve");
	else if (args->is_all && !is_retry)
		argp_error(state, "--all is for retry");
	else if (args->has_reason != is_resolve)
		argp_error(state, is_resolve ? "say why with --reason: it is kept" : "--reason is for resolve");
	else if (is_retry && args->id == NULL && !args->has_store && !args->is_all)
		argp_error(state, "retry what? an ID, --store=NAME, or --all");
	else if (!is_list && !is_retry && args->id == NULL)
		argp_error(state, "which one? give the ID that `sagactl sagas list` shows");
}

static error_t sagas_parse(int key, char *arg, struct argp_state *state)
{
	struct sagas_args *args = state->input;

	args->has_filter = args->has_filter || (key >= OPT_STATE && key <= OPT_ENDED && key != OPT_STORE);
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->ctl;
		return 0;
	case OPT_STATE:
		ctl_add_text(&args->params, "state", arg);
		return 0;
	case OPT_STORE:
		args->has_store = true;
		ctl_add_text(&args->params, "store", arg);
		return 0;
	case OPT_OLDER:
		ctl_add_number(&args->params, "older_than_ms", sagas_parse_time_ms(state, arg));
		return 0;
	case OPT_LIMIT:
		ctl_add_number(&args->params, "limit", ctl_parse_number(state, "limit", arg, 1, 1000));
		return 0;
	case OPT_PAGE:
		ctl_add_text(&args->params, "page", arg);
		return 0;
	case OPT_RESOLVED:
		ctl_add_text(&args->params, "state", "resolved");
		return 0;
	case OPT_ENDED:
		ctl_add_text(&args->params, "state", "ended");
		return 0;
	case OPT_STEP:
		args->has_step = true;
		ctl_add_text(&args->params, "step", arg);
		return 0;
	case OPT_MINE:
		args->is_mine = true;
		return 0;
	case OPT_ALL:
		args->is_all = true;
		ctl_add_raw(&args->params, "all", "true");
		return 0;
	case OPT_REASON:
		args->has_reason = true;
		ctl_add_text(&args->params, "reason", arg);
		return 0;
	case ARGP_KEY_ARG:
		sagas_parse_word(args, state, arg);
		return 0;
	case ARGP_KEY_END:
		sagas_check(args, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- list ---- */

static void sagas_time_cell(char cell[CELL_BYTES], uint64_t ms)
{
	if (ms < 1000)
		(void)snprintf(cell, CELL_BYTES, "%" PRIu64 "ms", ms); /* fits, as all below */
	else if (ms < 120000)
		(void)snprintf(cell, CELL_BYTES, "%" PRIu64 "s", ms / 1000);
	else if (ms < 7200000)
		(void)snprintf(cell, CELL_BYTES, "%" PRIu64 "m", ms / 60000);
	else if (ms < 172800000)
		(void)snprintf(cell, CELL_BYTES, "%" PRIu64 "h", ms / 3600000);
	else
		(void)snprintf(cell, CELL_BYTES, "%" PRIu64 "d", ms / 86400000);
}

static void sagas_text_cell(char cell[CELL_BYTES], yyjson_val *row, const char *name)
{
	const char *text = ctl_text(row, name);

	(void)snprintf(cell, CELL_BYTES, "%s", text[0] != '\0' ? text : "-"); /* cut on purpose */
	for (char *at = cell; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?'; /* a client's or a store's text must not drive the terminal */
}

static void sagas_fill_row(yyjson_val *row, char cells[ROW_COLUMNS][CELL_BYTES])
{
	static const char *const names[] = {"id", "state", "op", "step", "store"};
	yyjson_val *next = yyjson_obj_get(row, "next_try_ms");
	size_t tries;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		sagas_text_cell(cells[i], row, names[i]);
	sagas_time_cell(cells[5], yyjson_get_uint(yyjson_obj_get(row, "age_ms")));
	tries = (size_t)snprintf(cells[6], CELL_BYTES, "%" PRIu64, yyjson_get_uint(yyjson_obj_get(row, "tries")));
	if (next != NULL) {
		memcpy(cells[6] + tries, ", in ", 6);
		sagas_time_cell(cells[6] + tries + 5, yyjson_get_uint(next));
	}
	sagas_text_cell(cells[7], row, "document_id");
}

static void sagas_print_note(yyjson_val *row)
{
	const char *error = ctl_text(row, "error"), *reason = ctl_text(row, "reason");
	char cut[ERROR_SHOWN + 1];

	if (error[0] != '\0') {
		(void)snprintf(cut, sizeof(cut), "%s", error); /* cut on purpose */
		printf("%s  ", ctl_dim());
		ctl_print_clean(stdout, cut);
		printf("%s\n", ctl_plain());
	}
	if (reason[0] != '\0') {
		printf("  resolved by uid %" PRIu64 ": ", yyjson_get_uint(yyjson_obj_get(row, "uid")));
		ctl_print_clean(stdout, reason);
		putchar('\n');
	}
}

static void sagas_print_rows(yyjson_val *rows)
{
	static const char *const head[ROW_COLUMNS] = {"ID", "STATE", "OP", "STEP", "STORE", "AGE", "TRIES", "DOCUMENT"};
	static const int widths[ROW_COLUMNS] = {36, 8, 7, 12, 10, 5, 10, 0};
	char cells[ROW_COLUMNS][CELL_BYTES];
	yyjson_arr_iter iter;
	yyjson_val *row;

	if (yyjson_arr_size(rows) == 0)
		return;
	fputs(ctl_dim(), stdout);
	for (size_t i = 0; i < ROW_COLUMNS; i++)
		printf("%-*s%s", widths[i], head[i], i + 1 < ROW_COLUMNS ? "  " : "\n");
	fputs(ctl_plain(), stdout);
	yyjson_arr_iter_init(rows, &iter);
	while ((row = yyjson_arr_iter_next(&iter)) != NULL) {
		sagas_fill_row(row, cells);
		for (size_t i = 0; i < ROW_COLUMNS; i++)
			printf("%-*s%s", widths[i], cells[i], i + 1 < ROW_COLUMNS ? "  " : "\n");
		sagas_print_note(row);
	}
}

static void sagas_show_list(yyjson_val *result)
{
	yyjson_val *counts = yyjson_obj_get(result, "counts"), *key;
	yyjson_obj_iter iter;
	const char *before = "";

	if (result == NULL)
		return;
	sagas_print_rows(yyjson_obj_get(result, "sagas"));
	yyjson_obj_iter_init(counts, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		uint64_t n = yyjson_get_uint(yyjson_obj_iter_get_val(key));

		if (n > 0) {
			printf("%s%" PRIu64 " %s", before, n, yyjson_get_str(key));
			before = ", ";
		}
	}
	if (before[0] != '\0')
		putchar('\n');
	else if (yyjson_arr_size(yyjson_obj_get(result, "sagas")) == 0)
		puts("nothing");
	if (ctl_text(result, "next")[0] != '\0')
		printf("there are more: --page=%s\n", ctl_text(result, "next"));
}

/* ---- show, retry, resolve ---- */

static void sagas_print_part(yyjson_val *result, const char *name)
{
	yyjson_val *part = yyjson_obj_get(result, name), *key;
	yyjson_obj_iter iter;

	yyjson_obj_iter_init(part, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		printf("%s %s: ", name, yyjson_get_str(key));
		ctl_print_clean(stdout, ctl_text(part, yyjson_get_str(key)));
		putchar('\n');
	}
}

#define STEP_COLUMNS 5

/* How often and how long ago, or what comes next. */
static void steps_fill_row(yyjson_val *step, char cells[STEP_COLUMNS][CELL_BYTES])
{
	yyjson_val *next = yyjson_obj_get(step, "next_try_ms");
	size_t tries;

	sagas_text_cell(cells[0], step, "name");
	sagas_text_cell(cells[1], step, ctl_text(step, "service")[0] != '\0' ? "service" : "store");
	sagas_text_cell(cells[2], step, "state");
	if (yyjson_is_true(yyjson_obj_get(step, "parked")))
		(void)snprintf(cells[2] + strlen(cells[2]), CELL_BYTES - strlen(cells[2]), ", parked"); /* fits */
	tries = (size_t)snprintf(cells[3], CELL_BYTES, "%" PRIu64, yyjson_get_uint(yyjson_obj_get(step, "tries")));
	if (next != NULL) {
		memcpy(cells[3] + tries, ", in ", 6);
		sagas_time_cell(cells[3] + tries + 5, yyjson_get_uint(next));
	}
	sagas_text_cell(cells[4], step, ctl_text(step, "reason")[0] != '\0' ? "reason" : "error");
}

void ctl_print_steps(yyjson_val *steps)
{
	static const char *const head[STEP_COLUMNS] = {"STEP", "ON", "STATE", "TRIES", "LAST ERROR"};
	size_t n = yyjson_arr_size(steps), i = 0;
	char(*texts)[STEP_COLUMNS][CELL_BYTES] = n > 0 ? calloc(n, sizeof(*texts)) : NULL;
	const char **cells = n > 0 ? calloc(n * STEP_COLUMNS, sizeof(*cells)) : NULL;
	yyjson_arr_iter iter;
	yyjson_val *step;

	if (texts != NULL && cells != NULL) {
		yyjson_arr_iter_init(steps, &iter);
		for (; (step = yyjson_arr_iter_next(&iter)) != NULL; i++) {
			steps_fill_row(step, texts[i]);
			for (size_t k = 0; k < STEP_COLUMNS; k++)
				cells[i * STEP_COLUMNS + k] = texts[i][k];
		}
		ctl_print_table(head, STEP_COLUMNS, cells, n);
	}
	free(cells);
	free(texts);
}

static void sagas_print_line(yyjson_val *result, const char *name, const char *label)
{
	if (ctl_text(result, name)[0] == '\0')
		return;
	printf("%s", label);
	ctl_print_clean(stdout, ctl_text(result, name));
	putchar('\n');
}

/* A saga that a client wrote. */
static void sagas_show_steps(yyjson_val *result)
{
	printf("%s %s of uid %" PRIu64 "\n", ctl_text(result, "state"), ctl_text(result, "saga_id"),
	       yyjson_get_uint(yyjson_obj_get(result, "uid")));
	sagas_print_line(result, "idempotency_key", "key: ");
	sagas_print_line(result, "failed_step", "failed at step ");
	sagas_print_line(result, "error", "because: ");
	ctl_print_steps(yyjson_obj_get(result, "steps"));
}

static void sagas_show_story(yyjson_val *result)
{
	if (result == NULL)
		return;
	if (yyjson_obj_get(result, "steps") != NULL) {
		sagas_show_steps(result);
		return;
	}
	sagas_print_rows(yyjson_obj_get(result, "open"));
	if (yyjson_arr_size(yyjson_obj_get(result, "open")) == 0)
		puts("nothing of it is open");
	sagas_print_part(result, "job");
	sagas_print_part(result, "ledger");
}

static void sagas_show_retry(yyjson_val *result)
{
	if (result != NULL)
		printf("%" PRIu64 " tried now\n", yyjson_get_uint(yyjson_obj_get(result, "retried")));
}

static void sagas_show_resolve(yyjson_val *result)
{
	if (result == NULL)
		return;
	printf("%" PRIu64 " resolved\n", yyjson_get_uint(yyjson_obj_get(result, "resolved")));
	if (yyjson_get_uint(yyjson_obj_get(result, "pending")) > 0)
		puts("an attempt is under way: the job ends with it, unless it succeeds");
}

static enum ctl_exit sagas_ask(struct sagas_args *args)
{
	static const struct {
		const char *action, *method;
		void (*show)(yyjson_val *result);
	} table[] = {
		{"list", "saga.list", sagas_show_list},      {"show", "saga.get", sagas_show_story},
		{"retry", "saga.retry", sagas_show_retry},   {"resolve", "saga.resolve", sagas_show_resolve},
		{"cancel", "saga.cancel", sagas_show_story},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].action, args->action) == 0)
			return ctl_ask(args->ctl, !args->is_mine, table[i].method, &args->params, table[i].show);
	return CTL_USAGE;
}

enum ctl_exit ctl_sagas(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = sagas_options,
		.parser = sagas_parse,
		.args_doc = "list\nshow ID\nretry [ID]\nresolve ID\ncancel ID",
		.doc = "What is open: sagas under way, accepted jobs, what is still to be done at a store, and what is "
		       "parked because it failed in all its tries. `show` tells all that is known of one id. `retry` "
		       "tries "
		       "now what waits for its next try. `resolve` gives parked work up as settled by you, or an "
		       "accepted "
		       "job without its being done; what a store holds of it stays as it is. `cancel` compensates a "
		       "saga of a client's own, as long as its pivot is not done.\v"
		       "Examples:\n"
		       "  sagactl sagas list --state=parked\n"
		       "  sagactl sagas list --store=neo4j --older-than=1h --json | jq '.sagas[].document_id'\n"
		       "  sagactl sagas retry --store=neo4j\n"
		       "  sagactl sagas resolve 019a0000-0000-7000-8000-000000000000 --reason='the collection is "
		       "gone'\n"
		       "  sagactl sagas list --resolved\n"
		       "  sagactl sagas list --mine --ended\n"
		       "  sagactl sagas resolve 019a0000-0000-7000-8000-000000000000 --step=charge --reason='refunded "
		       "by hand'",
		.children = ctl_common,
	};
	struct sagas_args args = {.ctl = ctl};
	enum ctl_exit how = CTL_USAGE;

	buf_append_text(&args.params, "{");
	if (argp_parse(&argp, argc, argv, 0, NULL, &args) == 0) {
		buf_append_text(&args.params, "}");
		how = sagas_ask(&args);
	}
	buf_fini(&args.params);
	return how;
}
