/* Reading flows. As with intents, a row that makes no sense is an error, never skipped. */
#include "journal/journal_flows_read.h"

#include "base/buf.h"
#include "journal/journal_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Texts are gathered in one buffer, which moves while it grows; a place in it holds until the end. */
struct place {
	size_t at, len;
	bool is_absent;
};

struct gathered_step {
	struct journal_step step;
	struct place state, result, error, reason;
};

struct gathered {
	struct journal_flow flow;
	struct place state, code, reason, key, spec;
	struct gathered_step steps[JOURNAL_STEPS_MAX];
	struct buf bytes;
};

static struct place gather_text(struct gathered *gathered, sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	struct place place = {.at = gathered->bytes.len, .is_absent = text == NULL};

	if (text != NULL)
		place.len = (size_t)sqlite3_column_bytes(row, column);
	buf_append(&gathered->bytes, text, place.len);
	buf_append(&gathered->bytes, "", 1);
	return place;
}

static int gather_step(struct gathered *gathered, const char *path, sqlite3_stmt *row, struct err *err)
{
	int64_t step = sqlite3_column_int64(row, 0);
	uint32_t n = gathered->flow.n_steps;

	/* In an intact file they ascend; an index of a damaged one may say anything. */
	if (n == JOURNAL_STEPS_MAX || step < 0 || step >= JOURNAL_STEPS_MAX ||
	    (n > 0 && step <= (int64_t)gathered->steps[n - 1].step.step))
		return err_set(err, -EINVAL, "journal %s: damaged: a saga has a step %lld", path, (long long)step);
	gathered->flow.n_steps++;
	gathered->steps[n] = (struct gathered_step){
		.step = {.step = (uint32_t)step,
			 .n_tries = (uint32_t)sqlite3_column_int64(row, 5),
			 .unix_ms = sqlite3_column_int64(row, 6)},
		.state = gather_text(gathered, row, 1),
		.result = gather_text(gathered, row, 2),
		.error = gather_text(gathered, row, 3),
		.reason = gather_text(gathered, row, 4),
	};
	return 0;
}

static int gather_flow(struct gathered *gathered, const char *path, sqlite3_stmt *row, struct err *err)
{
	const char *id = (const char *)sqlite3_column_text(row, 0);

	if (!uuid_parse(str_of(id), &gathered->flow.id))
		return err_set(err, -EINVAL, "journal %s: damaged: a saga's id is \"%.64s\", which is no UUID", path,
			       id != NULL ? id : "");
	gathered->state = gather_text(gathered, row, 1);
	gathered->code = gather_text(gathered, row, 2);
	gathered->reason = gather_text(gathered, row, 3);
	gathered->key = gather_text(gathered, row, 4);
	gathered->spec = gather_text(gathered, row, 5);
	gathered->flow.uid = (uint32_t)sqlite3_column_int64(row, 6);
	gathered->flow.began_unix_ms = sqlite3_column_int64(row, 7);
	gathered->flow.deadline_unix_ms = sqlite3_column_int64(row, 8);
	gathered->flow.ended_unix_ms = sqlite3_column_int64(row, 9);
	return 0;
}

static struct str text_at(const char *bytes, struct place place)
{
	return place.is_absent ? STR_NONE : (struct str){bytes + place.at, place.len};
}

/* One allocation: the flow, its steps, their texts. */
static struct journal_flow *pack(const struct gathered *gathered)
{
	uint32_t n_steps = gathered->flow.n_steps;
	struct journal_flow *flow = malloc(sizeof(*flow) + n_steps * sizeof(struct journal_step) + gathered->bytes.len);
	struct journal_step *steps = (struct journal_step *)(flow + 1);
	char *bytes = (char *)(steps + n_steps);

	if (flow == NULL || gathered->bytes.failed) {
		free(flow);
		return NULL;
	}
	memcpy(bytes, gathered->bytes.at, gathered->bytes.len);
	for (uint32_t i = 0; i < n_steps; i++) {
		const struct gathered_step *from = &gathered->steps[i];

		steps[i] = from->step;
		steps[i].state = bytes + from->state.at;
		steps[i].result_json = text_at(bytes, from->result);
		steps[i].error = text_at(bytes, from->error);
		steps[i].reason = text_at(bytes, from->reason);
	}
	*flow = gathered->flow;
	flow->state = bytes + gathered->state.at;
	flow->code = bytes + gathered->code.at;
	flow->reason = text_at(bytes, gathered->reason);
	flow->key = text_at(bytes, gathered->key);
	flow->spec_json = text_at(bytes, gathered->spec);
	flow->steps = steps;
	return flow;
}

int journal_flows_read(sqlite3 *sqlite, const char *path, sqlite3_stmt *row, sqlite3_stmt *steps,
		       struct journal_flow **out_flow, struct err *err)
{
	/* no crash point: reads only */
	struct gathered gathered = {.flow = {.n_steps = 0}};
	char id[UUID_TEXT_BYTES];
	int stepped = SQLITE_DONE, rc = gather_flow(&gathered, path, row, err);

	uuid_format(&gathered.flow.id, id);
	(void)sqlite3_bind_text(steps, 1, id, UUID_TEXT_BYTES - 1, SQLITE_STATIC); /* copies nothing: can't fail */
	while (rc == 0 && (stepped = sqlite3_step(steps)) == SQLITE_ROW)
		rc = gather_step(&gathered, path, steps, err);
	if (rc == 0 && stepped != SQLITE_DONE)
		rc = journal_db_fail(sqlite, path, stepped, "a saga's steps can't be read", err);
	(void)sqlite3_reset(steps);          /* repeats the error that `stepped` has */
	(void)sqlite3_clear_bindings(steps); /* can't fail; `id` ends here */
	if (rc == 0) {
		*out_flow = pack(&gathered);
		if (*out_flow == NULL)
			rc = err_set(err, -ENOMEM, "journal %s: out of memory", path);
	}
	buf_fini(&gathered.bytes);
	return rc;
}

/* ---- all that are open ---- */

static int load_rows(sqlite3 *sqlite, const char *path, sqlite3_stmt *row, sqlite3_stmt *steps,
		     int (*take)(void *arg, const struct journal_flow *found), void *arg, struct err *err)
{
	/* no crash point: reads only */
	int stepped = SQLITE_DONE, rc = 0;

	while (rc == 0 && (stepped = sqlite3_step(row)) == SQLITE_ROW) {
		struct journal_flow *flow;

		rc = journal_flows_read(sqlite, path, row, steps, &flow, err);
		if (rc == 0) {
			rc = take(arg, flow);
			free(flow);
		}
	}
	if (rc == 0 && stepped != SQLITE_DONE)
		rc = journal_db_fail(sqlite, path, stepped, "sagas can't be read", err);
	return rc;
}

int journal_flows_load(const char *path, int (*take)(void *arg, const struct journal_flow *found), void *arg,
		       struct err *err)
{
	/* no crash point: reads only */
	sqlite3 *sqlite = NULL;
	sqlite3_stmt *row = NULL, *steps = NULL;
	int rc = sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(sqlite, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(sqlite, JOURNAL_FLOWS_READ_ROW " WHERE place IS NULL ORDER BY seq", -1, &row,
					NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(sqlite, JOURNAL_FLOWS_READ_STEPS, -1, &steps, NULL);
	if (rc == SQLITE_OK)
		rc = load_rows(sqlite, path, row, steps, take, arg, err);
	else
		rc = journal_db_fail(sqlite, path, rc, "can't be read", err);
	(void)sqlite3_finalize(steps); /* both repeat what was reported when they ran */
	(void)sqlite3_finalize(row);
	(void)sqlite3_close(sqlite); /* read only: nothing can be lost */
	return rc;
}
