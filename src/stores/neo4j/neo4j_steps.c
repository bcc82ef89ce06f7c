/* A call's requests:
 *
 *     (check -->) do ------------------------------> done        (check -->) undo --> done
 *                  \-> (a constraint) look --> done                            \-> (a division) block --> done, or undo
 *                 open --> keep --> done              when the result must be kept
 *
 * An error rolls an open transaction back by itself; one that is abandoned ends with the server's idle time-out. */
#include "neo4j_steps.h"

#include "neo4j_internal.h"
#include "neo4j_steps_codec.h"
#include "stores/http/http_steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET          "neo4j"
#define CONNECTIONS_MAX 64

struct neo4j_steps {
	struct http_steps steps;
	char path[80];   /* "/db/neo4j/tx" */
	bool is_checked; /* the constraint was there when last seen, and the connection held since */
};

/* A call's own, while it is out. */
struct neo4j_steps_state {
	enum neo4j_steps_kind kind; /* of the present request */
	bool is_open;               /* DO: the transaction stays open */
	struct err first_err;       /* what the do or the undo failed with, before the look or the block */
	enum verdict first_verdict;
	char commit[96];
	char *kept; /* owned: the result, for the barrier */
	size_t kept_len;
};

static struct neo4j_steps *neo4j_steps_of(struct http_steps *steps)
{
	return container_of(steps, struct neo4j_steps, steps);
}

static struct neo4j_steps_state *neo4j_steps_state_of(const struct http_step *step)
{
	return step->scratch;
}

/* ---- asking ---- */

static enum neo4j_steps_kind neo4j_steps_main(const struct http_step *step)
{
	return step->call->kind == CALL_UNDO ? NEO4J_STEPS_UNDO : NEO4J_STEPS_DO;
}

static bool neo4j_steps_begin(struct http_step *step)
{
	struct neo4j_steps_state *state = calloc(1, sizeof(*state));

	if (step->call->kind == CALL_CHECK || state == NULL) {
		step_codec_fail(step->call, TARGET, state == NULL ? VERDICT_TRANSIENT : VERDICT_PERMANENT, "%s",
				state == NULL ? "no memory for the request" : "only services have a check");
		free(state);
		return false;
	}
	step->scratch = state;
	state->is_open = step->call->kind == CALL_DO && step->call->keeps_result;
	state->kind = neo4j_steps_of(step->owner)->is_checked ? neo4j_steps_main(step) : NEO4J_STEPS_CHECK;
	return true;
}

static bool neo4j_steps_ask(struct http_step *step)
{
	const struct neo4j_steps *neo4j = neo4j_steps_of(step->owner);
	struct neo4j_steps_state *state;
	struct str kept;

	if (step->scratch == NULL && !neo4j_steps_begin(step))
		return false;
	state = neo4j_steps_state_of(step);
	kept = state->kind == NEO4J_STEPS_KEEP ? (struct str){state->kept, state->kept_len} : STR_NONE;
	if (!neo4j_steps_codec_body(step->call, state->kind, kept, &step->body))
		return false;
	step->http.method = "POST";
	step->http.body = buf_str(&step->body);
	buf_append_text(&step->path, state->kind == NEO4J_STEPS_KEEP ? state->commit : neo4j->path);
	if (state->kind != NEO4J_STEPS_KEEP && !(state->kind == NEO4J_STEPS_DO && state->is_open))
		buf_append_text(&step->path, "/commit");
	return true;
}

/* ---- judging ---- */

static bool neo4j_steps_next(struct http_step *step, enum neo4j_steps_kind kind)
{
	neo4j_steps_state_of(step)->kind = kind;
	return false;
}

static bool neo4j_steps_fail(struct http_step *step, enum verdict verdict, const struct err *err)
{
	step_codec_fail(step->call, TARGET, verdict, "%s", err->text);
	return true;
}

static bool neo4j_steps_done(struct http_step *step, struct buf *result, bool is_repeated)
{
	step->call->is_repeated = is_repeated;
	step_codec_done_text(step->call, buf_str(result), step->owner->max_result_bytes);
	return true;
}

/* Nothing was written before the check's end. */
static bool neo4j_steps_checked(struct http_step *step, const struct neo4j_steps_answer *answer)
{
	struct neo4j_steps *neo4j = neo4j_steps_of(step->owner);
	struct err err;

	if (!answer->is_ok)
		return neo4j_steps_fail(step, answer->verdict == VERDICT_DOUBT ? VERDICT_OUTAGE : answer->verdict,
					&answer->err);
	(void)snprintf(neo4j->steps.status.version, sizeof(neo4j->steps.status.version), "%s", answer->version);
	neo4j->is_checked = answer->has_constraint;
	if (answer->has_constraint)
		return neo4j_steps_next(step, neo4j_steps_main(step));
	(void)err_set(&err, 0, "the constraint on SagadStep.key is missing; run sagactl init");
	return neo4j_steps_fail(step, VERDICT_MISCONFIGURED, &err);
}

/* The transaction is open, and all went well. */
static bool neo4j_steps_opened(struct http_step *step, const struct neo4j_steps_answer *answer, struct buf *result)
{
	struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	struct err err;

	if (answer->commit[0] == '\0') {
		(void)err_set(&err, 0, "the reply doesn't say where the open transaction is; nothing was changed");
		return neo4j_steps_fail(step, VERDICT_TRANSIENT, &err);
	}
	memcpy(state->commit, answer->commit, sizeof(state->commit));
	state->kept = strdup(result->at != NULL ? result->at : "null");
	state->kept_len = state->kept != NULL ? strlen(state->kept) : 0;
	if (state->kept != NULL)
		return neo4j_steps_next(step, NEO4J_STEPS_KEEP);
	(void)err_set(&err, 0, "no memory for the result; nothing was changed");
	return neo4j_steps_fail(step, VERDICT_TRANSIENT, &err);
}

static bool neo4j_steps_main_failed(struct http_step *step, const struct neo4j_steps_answer *answer)
{
	struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	bool is_undo = state->kind == NEO4J_STEPS_UNDO;

	state->first_err = answer->err;
	state->first_verdict = answer->verdict;
	/* The barrier's, or one of the client's own: its node tells. */
	if (is_undo ? answer->is_division : answer->is_duplicate)
		return neo4j_steps_next(step, is_undo ? NEO4J_STEPS_BLOCK : NEO4J_STEPS_LOOK);
	return neo4j_steps_fail(step, answer->verdict, &answer->err);
}

static bool neo4j_steps_looked(struct http_step *step, const struct neo4j_steps_answer *answer, struct buf *result)
{
	const struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	struct err err;

	if (strcmp(answer->state, "done") == 0)
		return neo4j_steps_done(step, result, true);
	if (answer->state[0] == '\0')
		return neo4j_steps_fail(step, state->first_verdict, &state->first_err);
	(void)err_set(&err, 0, "its undo came before it");
	return neo4j_steps_fail(step, VERDICT_PERMANENT, &err);
}

static bool neo4j_steps_blocked(struct http_step *step, const struct neo4j_steps_answer *answer)
{
	struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	struct buf none = {0};

	if (strcmp(answer->state, "done") != 0)
		return neo4j_steps_done(step, &none, !answer->is_made);
	/* A do that was still running came first, and the undo is tried once more; or its own statement divides by
	 * zero, and then it fails again. */
	if (step->phase++ == 0)
		return neo4j_steps_next(step, NEO4J_STEPS_UNDO);
	return neo4j_steps_fail(step, state->first_verdict, &state->first_err);
}

static bool neo4j_steps_answered(struct http_step *step, const struct neo4j_steps_answer *answer, struct buf *result)
{
	struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	struct buf kept = {.at = state->kept, .len = state->kept_len};

	switch (state->kind) {
	case NEO4J_STEPS_CHECK:
		return neo4j_steps_checked(step, answer);
	case NEO4J_STEPS_DO:
	case NEO4J_STEPS_UNDO:
		if (!answer->is_ok)
			return neo4j_steps_main_failed(step, answer);
		return state->is_open ? neo4j_steps_opened(step, answer, result)
				      : neo4j_steps_done(step, result, false);
	case NEO4J_STEPS_KEEP:
		return answer->is_ok ? neo4j_steps_done(step, &kept, false)
				     : neo4j_steps_fail(step, answer->verdict, &answer->err);
	case NEO4J_STEPS_LOOK:
		return answer->is_ok ? neo4j_steps_looked(step, answer, result)
				     : neo4j_steps_fail(step, VERDICT_DOUBT, &answer->err);
	case NEO4J_STEPS_BLOCK:
		break;
	}
	return answer->is_ok ? neo4j_steps_blocked(step, answer)
			     : neo4j_steps_fail(step, answer->verdict, &answer->err);
}

/* The check only reads, what blocks changes nothing of the client's, and an open transaction is rolled back. */
static bool neo4j_steps_lost(struct http_step *step)
{
	const struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	bool is_harmless = state->kind == NEO4J_STEPS_CHECK || state->kind == NEO4J_STEPS_BLOCK ||
			   (state->kind == NEO4J_STEPS_DO && state->is_open);

	neo4j_steps_of(step->owner)->is_checked = false;
	http_steps_fail_lost(step);
	if (step->call->verdict == VERDICT_DOUBT && is_harmless)
		step_codec_fail(step->call, TARGET, VERDICT_OUTAGE, "%.250s (nothing of it was committed)",
				step->http.err.text);
	else if (state->kind == NEO4J_STEPS_LOOK)
		step->call->verdict = VERDICT_DOUBT;
	return true;
}

static bool neo4j_steps_judge(struct http_step *step)
{
	struct neo4j_steps_state *state = neo4j_steps_state_of(step);
	struct neo4j_steps_answer answer;
	struct buf result = {0};
	bool is_decided;

	if (step->http.outcome != HTTP_ANSWERED) {
		is_decided = neo4j_steps_lost(step);
	} else {
		neo4j_steps_codec_answer(state->kind, step->http.status, buf_str(&step->http.reply),
					 step->owner->max_result_bytes, &answer, &result);
		is_decided = neo4j_steps_answered(step, &answer, &result);
	}
	buf_fini(&result);
	if (is_decided) {
		free(state->kept);
		state->kept = NULL;
	}
	return is_decided;
}

static const struct http_steps_ops neo4j_steps_exchange = {neo4j_steps_ask, neo4j_steps_judge};

/* ---- the port's other operations, making ---- */

static void neo4j_steps_freed(struct http_steps *steps)
{
	free(neo4j_steps_of(steps));
}

static int neo4j_steps_renew_secret(struct target *target, const char *secret)
{
	return http_client_renew(http_steps_of(target)->client, secret, NULL);
}

static const struct target_ops neo4j_steps_ops = {
	.submit = http_steps_submit,
	.status = http_steps_status,
	.renew_secret = neo4j_steps_renew_secret,
	.close = http_steps_close,
};

static int neo4j_steps_open(struct neo4j_steps *neo4j, uv_loop_t *loop, const struct neo4j_steps_config *config,
			    struct log *log, struct err *err)
{
	const char *database = config->server.database;
	struct neo4j_url url;
	struct http_config http;
	int rc;

	database = database != NULL && database[0] != '\0' ? database : "neo4j";
	rc = http_store_check_name("neo4j", "the database's name", database, 63, err);
	if (rc == 0)
		rc = neo4j_http_config(&config->server, &url, &http, err);
	if (rc != 0)
		return rc;
	(void)snprintf(neo4j->path, sizeof(neo4j->path), "/db/%.63s/tx", database);
	return http_steps_open(&neo4j->steps, loop, &http, log, err);
}

int neo4j_steps_create(uv_loop_t *loop, const struct neo4j_steps_config *config, struct log *log,
		       struct target **out_target, struct err *err)
{
	struct neo4j_steps *neo4j;
	int rc;

	if (config->connections > CONNECTIONS_MAX)
		return err_set(err, -EINVAL, "neo4j: connections of steps must be 1 to %d", CONNECTIONS_MAX);
	neo4j = calloc(1, sizeof(*neo4j));
	if (neo4j == NULL)
		return err_set(err, -ENOMEM, "neo4j: no memory");
	neo4j->steps.target = (struct target){.ops = &neo4j_steps_ops,
					      .name = TARGET,
					      .has_barrier = true,
					      .max_calls = http_store_or(config->connections, 4)};
	neo4j->steps.ops = &neo4j_steps_exchange;
	neo4j->steps.freed = neo4j_steps_freed;
	neo4j->steps.max_result_bytes = config->max_result_bytes != 0 ? config->max_result_bytes : (size_t)256 << 10;
	rc = neo4j_steps_open(neo4j, loop, config, log, err);
	if (rc != 0) {
		free(neo4j);
		return rc;
	}
	*out_target = &neo4j->steps.target;
	return 0;
}
