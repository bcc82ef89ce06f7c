#include "story.h"

#include "base/buf.h"

#include <inttypes.h>

/* ---- what happened ---- */

static void append_ms(struct buf *out, uint64_t ns)
{
	buf_append_format(out, "%" PRIu64 ".%01" PRIu64 "ms", ns / NS_PER_MS, ns % NS_PER_MS / (NS_PER_MS / 10));
}

/* "queued 0.0ms, preparing 3.1ms, ..."; states that were left at once are left out. One in doubt hasn't left its own.
 */
static void append_stages(struct buf *out, const struct run *run)
{
	for (unsigned state = 0; state < SAGA_STATES; state++) {
		uint64_t spent_ns = run->spent_ns[state];

		if (state == (unsigned)run->saga.state)
			spent_ns += run->engine->now.mono_ns - run->entered_ns;
		if (spent_ns == 0)
			continue;
		buf_append_format(out, "%s%s ", out->len > 0 ? ", " : "", saga_state_name((enum saga_state)state));
		append_ms(out, spent_ns);
	}
}

static void append_tries(struct buf *out, uint32_t tries, const struct err *last, const struct err *told)
{
	if (tries == 0)
		return;
	buf_append_format(out, ", %" PRIu32 " failed %s", tries, tries == 1 ? "try" : "tries");
	if (last->text[0] != '\0' && strcmp(last->text, told->text) != 0) /* the reason says it already */
		buf_append_format(out, ", last: %s", last->text);
}

static const char *leg_words(const struct saga *saga, uint32_t store)
{
	uint32_t bit = (uint32_t)1 << store;

	if (saga->publish_due & bit)
		return "publication owed";
	if (saga->remove_due & bit)
		return "removal of the old version owed";
	if (saga->applied & bit)
		return "applied";
	return saga->sent & bit ? "sent" : "not sent";
}

/* "qdrant: applied; neo4j: sent, 6 failed tries, last: ...; postgresql: 1 failed try" */
static void append_stores(struct buf *out, const struct run *run, const struct err *told)
{
	const struct saga *saga = &run->saga;
	const struct err *truth = run->settle.err.text[0] != '\0'        ? &run->settle.err
				  : run->pivot.pivot.err.text[0] != '\0' ? &run->pivot.pivot.err
									 : &run->read.read.err;

	for (uint32_t i = 0; i < run->engine->n_stores; i++) {
		if (!(saga->plan.stores & (uint32_t)1 << i))
			continue;
		buf_append_format(out, "%s%s: %s", out->len > 0 ? "; " : "", run->engine->senders[i].store->name,
				  leg_words(saga, i));
		append_tries(out, saga->tries[i], &run->legs[i].send.write.err, told);
		append_tries(out, saga->remove_tries[i], &run->legs[i].old.write.err, told);
	}
	if (saga->tries[SAGA_TRUTH] > 0) {
		buf_append_text(out, "; postgresql");
		append_tries(out, saga->tries[SAGA_TRUTH], truth, told);
	}
}

/* ---- the line ---- */

/* An attempt of an accepted job isn't the end of it. */
static bool is_tried_again(const struct run *run, const struct outcome *outcome)
{
	return run->accepted != NULL && code_is_retriable(outcome->code);
}

static enum log_kind story_kind(const struct run *run, const struct outcome *outcome)
{
	uint64_t slow_ms = run->engine->config.slow_saga_ms;

	if (outcome->kind == OUTCOME_FAILED)
		return LOG_SAGA_FAILED;
	if (slow_ms != 0 && run->engine->now.mono_ns - run->started_ns >= slow_ms * NS_PER_MS)
		return LOG_SAGA_SLOW;
	return LOG_SAGA_DONE;
}

static enum log_level story_level(const struct run *run, const struct outcome *outcome, enum log_kind kind)
{
	if (kind == LOG_SAGA_DONE)
		return run->engine->config.log_successes ? LOG_INFO_LEVEL : LOG_DEBUG_LEVEL;
	return kind == LOG_SAGA_FAILED && is_tried_again(run, outcome) ? LOG_INFO_LEVEL : LOG_WARN_LEVEL;
}

static const char *story_title(const struct run *run, const struct outcome *outcome)
{
	switch (outcome->kind) {
	case OUTCOME_COMMITTED:
	case OUTCOME_ACCEPTED: /* never a saga's end */
		return outcome->n_owed > 0 ? "committed, with work owed" : "committed";
	case OUTCOME_UNCHANGED:
		return "unchanged";
	case OUTCOME_DELETED:
		return outcome->n_owed > 0 ? "deleted, with work owed" : "deleted";
	case OUTCOME_ABSENT:
		return "absent";
	case OUTCOME_FAILED:
		if (outcome->code == CODE_IN_DOUBT)
			return "in doubt, its client was told so";
		return is_tried_again(run, outcome) ? "failed, will be tried again" : "failed";
	}
	MUST(!"an outcome that is none");
	return "";
}

static void story_log(const struct run *run, const struct outcome *outcome, enum log_level level, enum log_kind kind)
{
	struct buf stages = {0}, stores = {0}, took = {0}, tries = {0};
	char saga[UUID_TEXT_BYTES];
	bool has_failed = outcome->kind == OUTCOME_FAILED;

	uuid_format(&run->saga.id, saga);
	append_stages(&stages, run);
	append_stores(&stores, run, &outcome->err);
	append_ms(&took, run->engine->now.mono_ns - run->started_ns);
	if (outcome->n_tries > 0)
		buf_append_format(&tries, "%" PRIu32, outcome->n_tries);
	/* What found no memory is left out. */
	log_with(run->engine->log, level, kind,
		 LOG_FIELDS({"document", run->document_id}, {"saga", str_of(saga)},
			    {"code", has_failed ? str_of(code_name(outcome->code)) : STR_NONE},
			    {"store", str_of(outcome->store)}, {"tries", buf_str(&tries)},
			    {"reason", has_failed ? str_of(outcome->err.text) : STR_NONE}, {"took", buf_str(&took)},
			    {"stages", buf_str(&stages)}, {"stores", buf_str(&stores)}),
		 "%s %s", kind == LOG_SAGA_SLOW ? "slow saga" : "saga", story_title(run, outcome));
	buf_fini(&stages);
	buf_fini(&stores);
	buf_fini(&took);
	buf_fini(&tries);
}

void story_tell(const struct run *run, const struct outcome *outcome)
{
	enum log_kind kind = story_kind(run, outcome);
	enum log_level level = story_level(run, outcome, kind);

	if (log_is_on(run->engine->log, level))
		story_log(run, outcome, level, kind);
}
