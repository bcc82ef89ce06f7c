/* One question to the daemon, and its answer for people or for programs. */
#include "ctl.h"

#include <string.h>

/* ---- commands without an argument ---- */

error_t ctl_parse_nothing(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "takes no argument; '%s' is too much", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

enum ctl_exit ctl_ask_plain(struct ctl *ctl, int argc, char **argv, const struct ctl_question *question)
{
	const struct argp argp = {.parser = ctl_parse_nothing, .doc = question->doc, .children = ctl_common};

	if (argp_parse(&argp, argc, argv, 0, NULL, ctl) != 0)
		return CTL_USAGE;
	return ctl_ask(ctl, !question->is_job, question->method, NULL, question->show);
}

static void ask_show(const struct sagad_reply *reply, void (*show)(yyjson_val *result))
{
	const char *json = sagad_reply_json(reply);
	yyjson_doc *doc = yyjson_read(json, strlen(json), YYJSON_READ_NOFLAG);

	if (doc != NULL)
		show(yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
}

static enum ctl_exit ask(struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
			 void (*show)(yyjson_val *result), bool is_refusal_shown)
{
	enum ctl_exit how;
	struct sagad_reply *reply = ctl_call(ctl, is_admin, method, params, 0, &how);
	bool is_refused;

	if (reply == NULL)
		return how;
	is_refused = sagad_reply_is_error(reply);
	if (!ctl->is_json && (!is_refused || is_refusal_shown))
		ask_show(reply, show);
	else if (!is_refused)
		puts(sagad_reply_json(reply));
	how = is_refused ? ctl_refused(ctl, reply) : CTL_OK;
	sagad_reply_free(reply);
	return how;
}

enum ctl_exit ctl_ask(struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
		      void (*show)(yyjson_val *result))
{
	return ask(ctl, is_admin, method, params, show, false);
}

enum ctl_exit ctl_ask_told(struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
			   void (*show)(yyjson_val *result))
{
	return ask(ctl, is_admin, method, params, show, true);
}

/* ---- answers for people ---- */

const char *ctl_text(yyjson_val *object, const char *name)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, name));

	return text != NULL ? text : "";
}

#define TABLE_COLUMNS_MAX 16

static void table_cell(const char *text, size_t width, bool is_last)
{
	ctl_print_clean(stdout, text);
	if (!is_last)
		printf("%*s", (int)(width - strlen(text)) + 2, "");
	else
		putchar('\n');
}

void ctl_print_table(const char *const *head, size_t n_columns, const char *const *cells, size_t n_rows)
{
	size_t width[TABLE_COLUMNS_MAX] = {0};

	MUST(n_columns <= TABLE_COLUMNS_MAX);
	for (size_t i = 0; i < n_columns; i++) {
		width[i] = strlen(head[i]);
		for (size_t row = 0; row < n_rows; row++) {
			size_t len = strlen(cells[row * n_columns + i]);

			width[i] = len > width[i] ? len : width[i];
		}
	}
	fputs(ctl_dim(), stdout);
	for (size_t i = 0; i < n_columns; i++)
		table_cell(head[i], width[i], i + 1 == n_columns);
	fputs(ctl_plain(), stdout);
	for (size_t row = 0; row < n_rows; row++)
		for (size_t i = 0; i < n_columns; i++)
			table_cell(cells[row * n_columns + i], width[i], i + 1 == n_columns);
}
