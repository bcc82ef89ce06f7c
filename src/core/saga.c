/* The states and their moves. Each event has one function a state; saga_step() only dispatches. */
#include "saga.h"

#include "base/must.h"
#include "base/mutant.h"
#include "core/saga_verdict.h"

#include <string.h>

#define BIT(i)    ((uint32_t)1 << (i))
#define TO(state) ((uint32_t)1 << (state))

static const uint32_t saga_may[SAGA_STATES] = {
	[SAGA_QUEUED] = TO(SAGA_PREPARING) | TO(SAGA_ABORTED),
	[SAGA_PREPARING] =
		TO(SAGA_PROJECTING) | TO(SAGA_PIVOT_READY) | TO(SAGA_CLEANING) | TO(SAGA_ABORTED) | TO(SAGA_DONE),
	[SAGA_PROJECTING] = TO(SAGA_PIVOT_READY) | TO(SAGA_CLEANING),
	[SAGA_PIVOT_READY] = TO(SAGA_PIVOTING) | TO(SAGA_CLEANING),
	[SAGA_PIVOTING] = TO(SAGA_OWING) | TO(SAGA_CLEANING) | TO(SAGA_PIVOT_READY) | TO(SAGA_IN_DOUBT),
	[SAGA_IN_DOUBT] = TO(SAGA_OWING) | TO(SAGA_CLEANING) | TO(SAGA_PIVOT_READY),
	[SAGA_OWING] = TO(SAGA_DONE),
	[SAGA_CLEANING] = TO(SAGA_ABORTED),
	[SAGA_ABORTED] = 0,
	[SAGA_DONE] = 0,
};

static void saga_move(struct saga *saga, enum saga_state to)
{
	MUST(saga_may[saga->state] & TO(to));
	saga->state = to;
}

static struct saga_action *saga_act(struct saga_actions *actions, enum saga_action_kind kind, uint32_t store)
{
	struct saga_action *action;

	MUST(actions->n < SAGA_ACTIONS_MAX);
	action = &actions->at[actions->n++];
	*action = (struct saga_action){.kind = kind, .store = store};
	return action;
}

static void saga_act_each(struct saga_actions *actions, enum saga_action_kind kind, uint32_t stores)
{
	for (uint32_t i = 0; i < SAGA_STORES_MAX; i++)
		if (stores & BIT(i))
			(void)saga_act(actions, kind, i); /* complete as it is */
}

static void saga_wait(struct saga_actions *actions, uint32_t store, enum saga_action_kind op, uint32_t tries)
{
	struct saga_action *action = saga_act(actions, SAGA_ACT_WAIT, store);

	action->op = (uint32_t)op;
	action->tries = tries;
}

static void saga_settle(struct saga *saga, struct saga_actions *actions)
{
	saga_act(actions, SAGA_ACT_SETTLE, SAGA_TRUTH)->abort_if_absent = saga->is_late;
}

static void saga_answer(struct saga *saga, enum saga_result result, struct saga_actions *actions)
{
	saga->result = result;
	if (saga->is_answered)
		return;
	saga->is_answered = true;
	(void)saga_act(actions, SAGA_ACT_ANSWER, SAGA_NO_STORE);
}

static void saga_note_failure(struct saga *saga, enum code code, uint32_t store, const struct err *err)
{
	saga->failure.code = code;
	saga->failure.store = store;
	saga->failure.tries = store <= SAGA_TRUTH ? saga->tries[store] : 0;
	if (err != NULL)
		saga->failure.err = *err;
	else
		err_clear(&saga->failure.err);
}

/* ---- the ends ---- */

static void saga_finish_aborted(struct saga *saga, struct saga_actions *actions)
{
	saga_move(saga, SAGA_ABORTED);
	saga_answer(saga, SAGA_RESULT_FAILED, actions);
	(void)saga_act(actions, SAGA_ACT_UNLOCK, SAGA_NO_STORE);
}

/* Nothing was sent anywhere. */
static void saga_abort_untouched(struct saga *saga, struct saga_actions *actions)
{
	(void)saga_act(actions, SAGA_ACT_FORGET, SAGA_NO_STORE);
	saga_finish_aborted(saga, actions);
}

/* A key remembers permanent refusals only: a transient failure must stay repeatable. */
static bool saga_is_remembered(const struct saga *saga)
{
	return saga->plan.has_key && (saga->failure.code == CODE_CONFLICT || saga->failure.code == CODE_STORE_REFUSED);
}

/* From here on saga S never commits. What it sent is removed in the background, without the document's lock: removal by
 * S's name can't touch what the next saga writes. */
static void saga_clean(struct saga *saga, struct saga_actions *actions)
{
	saga_move(saga, SAGA_CLEANING);
	if (saga->sent != 0)
		saga_act(actions, SAGA_ACT_CLEAN, SAGA_NO_STORE)->stores = saga->sent;
	else
		(void)saga_act(actions, SAGA_ACT_FORGET, SAGA_NO_STORE);
	if (saga_is_remembered(saga) && !saga->is_late)
		(void)saga_act(actions, SAGA_ACT_RECORD, SAGA_TRUTH);
	else
		saga_finish_aborted(saga, actions);
}

static void saga_finish_done(struct saga *saga, enum saga_result result, struct saga_actions *actions)
{
	(void)saga_act(actions, SAGA_ACT_FORGET, SAGA_NO_STORE);
	saga_move(saga, SAGA_DONE);
	saga_answer(saga, result, actions);
	(void)saga_act(actions, SAGA_ACT_UNLOCK, SAGA_NO_STORE);
}

/* ---- QUEUED, PREPARING ---- */

static void saga_on_locked(struct saga *saga, struct saga_actions *actions)
{
	if (saga->state != SAGA_QUEUED)
		return;
	saga_move(saga, SAGA_PREPARING);
	(void)saga_act(actions, SAGA_ACT_INTENT, SAGA_NO_STORE);
	(void)saga_act(actions, SAGA_ACT_READ, SAGA_TRUTH);
}

static void saga_enter_pivot_ready(struct saga *saga, struct saga_actions *actions)
{
	saga_move(saga, SAGA_PIVOT_READY);
	(void)saga_act(actions, SAGA_ACT_PIVOT, SAGA_TRUTH);
}

/* Is `if_version` (or `if_version: null`) at odds with what is there? */
static bool saga_is_conflict(const struct saga *saga)
{
	bool is_present = saga->is_found && !saga->is_deleted;

	if (saga->plan.if_absent)
		return is_present;
	if (!saga->plan.has_if_version)
		return false;
	return !is_present || uuid_compare(&saga->replaced, &saga->plan.if_version) != 0;
}

static void saga_refuse(struct saga *saga, enum code code, const char *text, struct saga_actions *actions)
{
	struct err err;

	(void)err_set(&err, 0, "%s", text);
	saga_note_failure(saga, code, SAGA_NO_STORE, &err);
	saga_clean(saga, actions);
}

/* The intent is durable and the read is done: decide. The order matters: a known key answers before anything else. */
static void saga_decide(struct saga *saga, struct saga_actions *actions)
{
	bool is_present = saga->is_found && !saga->is_deleted;

	if (!saga->is_read || !saga->is_intent_durable)
		return;
	if (saga->is_stored && saga->result == SAGA_RESULT_FAILED)
		saga_abort_untouched(saga, actions);
	else if (saga->result != SAGA_RESULT_NONE)
		saga_finish_done(saga, saga->result, actions);
	else if (saga_is_conflict(saga))
		saga_refuse(saga, CODE_CONFLICT,
			    saga->plan.if_absent
				    ? "the document exists and if_version is null; read it, then decide"
				    : "the document's version is not if_version; read it again, then decide",
			    actions);
	else if (saga->plan.is_delete && !is_present)
		saga_finish_done(saga, SAGA_RESULT_ABSENT, actions);
	else if (saga->is_found && uuid_compare(&saga->replaced, &saga->id) >= 0 &&
		 !(MUTANT(id_not_renewed) && saga->is_deleted &&
		   memcmp(saga->replaced.bytes, saga->id.bytes, 3) != 0)) {
		saga->is_intent_durable = false;
		(void)saga_act(actions, SAGA_ACT_RENAME, SAGA_NO_STORE);
		(void)saga_act(actions, SAGA_ACT_INTENT, SAGA_NO_STORE);
	} else if (saga->plan.is_delete)
		saga_enter_pivot_ready(saga, actions);
	else {
		saga_move(saga, SAGA_PROJECTING);
		saga_act_each(actions, SAGA_ACT_APPLY, saga->plan.stores);
	}
}

static void saga_on_intent(struct saga *saga, struct saga_actions *actions)
{
	if (saga->state != SAGA_PREPARING)
		return;
	saga->is_intent_durable = true;
	saga_decide(saga, actions);
}

static void saga_take_known_key(struct saga *saga, const struct saga_reading *reading)
{
	struct err err;

	if (!reading->key_is_same) {
		(void)err_set(&err, 0,
			      "this idempotency key was used for other content; use a new key for a new request");
		saga_note_failure(saga, CODE_KEY_REUSED, SAGA_NO_STORE, &err);
		saga->result = SAGA_RESULT_FAILED;
	} else if (reading->key == SAGA_KEY_REFUSED) {
		saga_note_failure(saga, reading->key_code, SAGA_NO_STORE, reading->key_reason);
		saga->result = SAGA_RESULT_FAILED;
	} else {
		saga->stored = reading->key_saga;
		saga->result = SAGA_RESULT_STORED;
	}
	saga->is_stored = true;
}

static void saga_take_reading(struct saga *saga, const struct saga_reading *reading)
{
	bool is_same = reading->is_found && !reading->is_deleted &&
		       memcmp(reading->content_hash, saga->plan.content_hash, sizeof(reading->content_hash)) == 0;

	saga->is_read = true;
	saga->is_found = reading->is_found;
	saga->is_deleted = reading->is_deleted;
	saga->replaced = reading->version;
	saga->replaced_chunks = reading->n_chunks;
	saga->tries[SAGA_TRUTH] = 0;
	if (reading->key != SAGA_KEY_UNKNOWN)
		saga_take_known_key(saga, reading);
	else if (!saga->plan.is_delete && is_same && !saga->plan.write_unchanged && reading->n_debts == 0 &&
		 !saga_is_conflict(saga))
		saga->result = SAGA_RESULT_UNCHANGED;
}

static void saga_on_read(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	if (saga->state != SAGA_PREPARING || saga->is_read)
		return;
	if (event->verdict == SAGA_OK) {
		saga_take_reading(saga, event->reading);
		saga_decide(saga, actions);
		return;
	}
	saga->tries[SAGA_TRUTH]++;
	saga_note_failure(saga, saga_verdict_code(event->verdict), SAGA_TRUTH, event->err);
	if (saga_verdict_is_hopeless(event->verdict) || saga->tries[SAGA_TRUTH] >= saga->plan.max_tries)
		saga_abort_untouched(saga, actions);
	else
		saga_wait(actions, SAGA_TRUTH, SAGA_ACT_READ, saga->tries[SAGA_TRUTH]);
}

/* ---- PROJECTING ---- */

static void saga_on_sent(struct saga *saga, const struct saga_event *event)
{
	MUST(saga->state == SAGA_PROJECTING && saga->is_intent_durable);
	saga->sent_before = (saga->sent_before & ~BIT(event->store)) | (saga->sent & BIT(event->store));
	saga->sent |= BIT(event->store);
}

/* A store that is there, does nothing else, and dies with this document, again and again. */
static void saga_blame(struct saga *saga, uint32_t store, const struct err *err, struct saga_actions *actions)
{
	struct err text;

	err_clear(&text);
	if (err != NULL)
		text = *err;
	err_prefix(&text, "its process has not survived this document; don't send it again as it is: ");
	saga_note_failure(saga, CODE_STORE_REFUSED, store, &text);
	saga->failure.tries = saga->deaths[store];
	saga_clean(saga, actions);
}

static void saga_on_applied(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	uint32_t store = event->store;

	if (saga->state != SAGA_PROJECTING)
		return; /* given up; the removal is on its way */
	if (event->verdict == SAGA_OK) {
		saga->applied |= BIT(store);
		saga->tries[store] = 0;
		saga->deaths[store] = 0;
		if (saga->applied == saga->plan.stores)
			saga_enter_pivot_ready(saga, actions);
		return;
	}
	if (event->verdict == SAGA_OUTAGE && !(saga->sent_before & BIT(store)))
		saga->sent &= ~BIT(store); /* this was the only try, and nothing left the house */
	/* In a batch whose connection was lost any other may be the cause; the engine halves it, so this ends. A death
	 * has a count of its own: a store that takes long to come back must not use up what it takes to be sure. */
	if (event->is_death)
		saga->deaths[store]++;
	else if (!(event->verdict == SAGA_DOUBT && event->is_batched))
		saga->tries[store]++;
	saga_note_failure(saga, saga_verdict_code(event->verdict), store, event->err);
	if (event->is_death && saga->deaths[store] >= saga->plan.max_tries)
		saga_blame(saga, store, event->err, actions);
	else if (saga_verdict_is_hopeless(event->verdict) || saga->tries[store] >= saga->plan.max_tries)
		saga_clean(saga, actions);
	else
		saga_wait(actions, store, SAGA_ACT_APPLY, saga->tries[store] + saga->deaths[store]);
}

/* ---- OWING ---- */

static void saga_look_owing(struct saga *saga, struct saga_actions *actions)
{
	bool is_left = (saga->publish_due | saga->remove_due) != 0;

	if ((saga->publish_due & ~saga->publish_left) != 0 || (saga->remove_due & ~saga->remove_left) != 0)
		return;
	(void)saga_act(actions, is_left ? SAGA_ACT_HAND_OVER : SAGA_ACT_FORGET, SAGA_NO_STORE);
	saga_move(saga, SAGA_DONE);
	saga_answer(saga, saga->plan.is_delete ? SAGA_RESULT_DELETED : SAGA_RESULT_COMMITTED, actions);
	(void)saga_act(actions, SAGA_ACT_UNLOCK, SAGA_NO_STORE);
}

static void saga_enter_owing(struct saga *saga, struct saga_actions *actions)
{
	saga_move(saga, SAGA_OWING);
	saga->deaths[SAGA_TRUTH] = 0;
	memset(saga->tries, 0, sizeof(saga->tries));
	saga->publish_due = saga->plan.is_delete ? 0 : saga->plan.publishes & saga->plan.stores;
	saga->remove_due = saga->is_found && !saga->is_deleted ? saga->plan.stores : 0;
	if (saga->is_late) { /* the client has waited long enough; the rest goes on without it */
		saga->publish_left = saga->publish_due;
		saga->remove_left = saga->remove_due;
	} else {
		saga_act_each(actions, SAGA_ACT_PUBLISH, saga->publish_due);
		saga_act_each(actions, SAGA_ACT_REMOVE, saga->remove_due);
	}
	saga_look_owing(saga, actions);
}

/* One operation after the pivot ended; `due` and `left` are those of its kind. */
static void saga_on_owed(struct saga *saga, const struct saga_event *event, enum saga_action_kind op, uint32_t *due,
			 uint32_t *left, uint32_t *tries, struct saga_actions *actions)
{
	uint32_t store = event->store;

	if (!(*due & BIT(store)) || (*left & BIT(store)))
		return; /* in no state but OWING is anything due and not left to others */
	if (event->verdict == SAGA_OK) {
		*due &= ~BIT(store);
		if (saga_owes(saga, store, op))
			saga_act(actions, SAGA_ACT_PAID, store)->op = (uint32_t)op;
	} else if (saga_verdict_is_hopeless(event->verdict) || ++*tries >= saga->plan.max_tries) {
		*left |= BIT(store);
	} else {
		saga_wait(actions, store, op, *tries);
	}
	saga_look_owing(saga, actions);
}

bool saga_owes(const struct saga *saga, uint32_t store, enum saga_action_kind op)
{
	bool replaces = saga->is_found && !saga->is_deleted;

	if (!(saga->plan.stores & BIT(store)) || !replaces)
		return false;
	if (op == SAGA_ACT_REMOVE)
		return true;
	return op == SAGA_ACT_PUBLISH && !saga->plan.is_delete && (saga->plan.publishes & BIT(store)) != 0;
}

/* ---- PIVOTING, IN_DOUBT ---- */

static void saga_on_pivot_sent(struct saga *saga)
{
	saga_move(saga, SAGA_PIVOTING);
}

static void saga_pivot_failed(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	saga->tries[SAGA_TRUTH]++;
	saga_note_failure(saga, saga_verdict_code(event->verdict), SAGA_TRUTH, event->err);
	if (saga_verdict_is_hopeless(event->verdict) || saga->is_late || saga->tries[SAGA_TRUTH] >= saga->plan.max_tries) {
		saga_clean(saga, actions);
		return;
	}
	saga_move(saga, SAGA_PIVOT_READY);
	saga_wait(actions, SAGA_TRUTH, SAGA_ACT_PIVOT, saga->tries[SAGA_TRUTH]);
}

static void saga_on_pivot(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	MUST(saga->state == SAGA_PIVOTING);
	if (event->verdict == SAGA_OK && !event->is_conflict) {
		saga_enter_owing(saga, actions);
	} else if (event->verdict == SAGA_OK) {
		saga->is_overtaken = true;
		saga_refuse(saga, CODE_CONFLICT,
			    "another writer replaced the document meanwhile; read it again, then decide", actions);
	} else if (event->verdict == SAGA_DOUBT) {
		saga_note_failure(saga, CODE_IN_DOUBT, SAGA_TRUTH, event->err);
		saga_move(saga, SAGA_IN_DOUBT);
		if (event->is_death)
			saga->deaths[SAGA_TRUTH]++;
		else if (!event->is_batched)
			saga->lonely_doubts++;
		saga_settle(saga, actions);
	} else {
		saga_pivot_failed(saga, event, actions);
	}
}

/* The backend is gone and there is no row: the pivot did not happen and can't happen any more. */
static void saga_on_absent(struct saga *saga, struct saga_actions *actions)
{
	if (saga->is_late) {
		saga_settle(saga, actions);
	} else if (saga->deaths[SAGA_TRUTH] >= saga->plan.max_tries) {
		saga_blame(saga, SAGA_TRUTH, &saga->failure.err, actions);
	} else if (saga->lonely_doubts >= saga->plan.max_tries) {
		saga->failure.code = CODE_STORE_UNAVAILABLE; /* no answer is no evidence; nothing was written */
		saga_clean(saga, actions);
	} else {
		saga_enter_pivot_ready(saga, actions);
	}
}

static void saga_on_settled(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	if (saga->state != SAGA_IN_DOUBT)
		return;
	if (event->verdict != SAGA_OK) {
		saga->tries[SAGA_TRUTH]++;
		saga_note_failure(saga, CODE_IN_DOUBT, SAGA_TRUTH, event->err);
		saga_wait(actions, SAGA_TRUTH, SAGA_ACT_SETTLE, saga->tries[SAGA_TRUTH]);
		if (saga->is_late) /* told, not guessed; the lock stays until it is known */
			saga_answer(saga, SAGA_RESULT_FAILED, actions);
		return;
	}
	saga->tries[SAGA_TRUTH] = 0;
	switch (event->settled) {
	case SAGA_SETTLED_COMMITTED:
		saga_enter_owing(saga, actions);
		break;
	case SAGA_SETTLED_ABORTED:
		saga->failure.code = CODE_DEADLINE_EXCEEDED;
		saga_clean(saga, actions);
		break;
	case SAGA_SETTLED_ABSENT:
		saga_on_absent(saga, actions);
		break;
	}
}

/* ---- waits and the deadline ---- */

static void saga_on_retry(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	uint32_t bit = event->store < SAGA_STORES_MAX ? BIT(event->store) : 0;

	if (event->op == SAGA_ACT_READ && saga->state == SAGA_PREPARING && !saga->is_read)
		(void)saga_act(actions, SAGA_ACT_READ, SAGA_TRUTH);
	else if (event->op == SAGA_ACT_APPLY && saga->state == SAGA_PROJECTING)
		(void)saga_act(actions, SAGA_ACT_APPLY, event->store);
	else if (event->op == SAGA_ACT_PIVOT && saga->state == SAGA_PIVOT_READY)
		(void)saga_act(actions, SAGA_ACT_PIVOT, SAGA_TRUTH);
	else if (event->op == SAGA_ACT_SETTLE && saga->state == SAGA_IN_DOUBT)
		saga_settle(saga, actions);
	else if (event->op == SAGA_ACT_PUBLISH && saga->state == SAGA_OWING && (saga->publish_due & bit))
		(void)saga_act(actions, SAGA_ACT_PUBLISH, event->store);
	else if (event->op == SAGA_ACT_REMOVE && saga->state == SAGA_OWING && (saga->remove_due & bit))
		(void)saga_act(actions, SAGA_ACT_REMOVE, event->store);
}

static void saga_note_deadline(struct saga *saga)
{
	struct err err = saga->failure.err;

	if (saga->failure.code == CODE_NONE)
		(void)err_set(&err, 0, "the deadline passed while %s; nothing was kept", saga_state_name(saga->state));
	else
		err_prefix(&err, "the deadline passed; nothing was kept; the last error: ");
	saga_note_failure(saga, CODE_DEADLINE_EXCEEDED,
			  saga->failure.code == CODE_NONE ? SAGA_NO_STORE : saga->failure.store, &err);
}

static void saga_on_deadline(struct saga *saga, struct saga_actions *actions)
{
	saga->is_late = true;
	switch (saga->state) {
	case SAGA_QUEUED:
	case SAGA_PREPARING:
		saga->is_stored = false; /* a key may have been read already, but this is not its stored outcome */
		saga_note_deadline(saga);
		saga_abort_untouched(saga, actions);
		break;
	case SAGA_PROJECTING:
	case SAGA_PIVOT_READY:
		saga_note_deadline(saga);
		saga_clean(saga, actions);
		break;
	case SAGA_OWING:
		saga->publish_left = saga->publish_due;
		saga->remove_left = saga->remove_due;
		saga_look_owing(saga, actions);
		break;
	case SAGA_CLEANING:
		saga_finish_aborted(saga, actions);
		break;
	case SAGA_PIVOTING: /* too late to stop */
	case SAGA_IN_DOUBT: /* the next settle makes sure */
	case SAGA_ABORTED:
	case SAGA_DONE:
	case SAGA_STATES:
		break;
	}
}

void saga_init(struct saga *saga, const struct saga_plan *plan, const struct uuid *id)
{
	MUST(plan->stores != 0 && plan->max_tries > 0);
	memset(saga, 0, sizeof(*saga));
	saga->plan = *plan;
	saga->id = *id;
	memcpy(saga->deaths, plan->deaths, sizeof(saga->deaths));
	saga->failure.store = SAGA_NO_STORE;
}

void saga_step(struct saga *saga, const struct saga_event *event, struct saga_actions *actions)
{
	switch (event->kind) {
	case SAGA_EV_LOCKED:
		saga_on_locked(saga, actions);
		break;
	case SAGA_EV_INTENT_DURABLE:
		saga_on_intent(saga, actions);
		break;
	case SAGA_EV_READ:
		saga_on_read(saga, event, actions);
		break;
	case SAGA_EV_SENT:
		saga_on_sent(saga, event);
		break;
	case SAGA_EV_APPLIED:
		saga_on_applied(saga, event, actions);
		break;
	case SAGA_EV_PUBLISHED:
		saga_on_owed(saga, event, SAGA_ACT_PUBLISH, &saga->publish_due, &saga->publish_left,
			     &saga->tries[event->store], actions);
		break;
	case SAGA_EV_REMOVED:
		saga_on_owed(saga, event, SAGA_ACT_REMOVE, &saga->remove_due, &saga->remove_left,
			     &saga->remove_tries[event->store], actions);
		break;
	case SAGA_EV_RETRY:
		saga_on_retry(saga, event, actions);
		break;
	case SAGA_EV_PIVOT_SENT:
		saga_on_pivot_sent(saga);
		break;
	case SAGA_EV_PIVOT:
		saga_on_pivot(saga, event, actions);
		break;
	case SAGA_EV_SETTLED:
		saga_on_settled(saga, event, actions);
		break;
	case SAGA_EV_RECORDED:
		if (saga->state == SAGA_CLEANING)
			saga_finish_aborted(saga, actions);
		break;
	case SAGA_EV_DEADLINE:
		saga_on_deadline(saga, actions);
		break;
	}
}

bool saga_is_terminal(const struct saga *saga)
{
	return saga->state == SAGA_ABORTED || saga->state == SAGA_DONE;
}

const char *saga_state_name(enum saga_state state)
{
	static const char *const names[SAGA_STATES] = {
		[SAGA_QUEUED] = "queued",         [SAGA_PREPARING] = "preparing",
		[SAGA_PROJECTING] = "projecting", [SAGA_PIVOT_READY] = "pivot_ready",
		[SAGA_PIVOTING] = "pivoting",     [SAGA_IN_DOUBT] = "in_doubt",
		[SAGA_OWING] = "owing",           [SAGA_CLEANING] = "cleaning",
		[SAGA_ABORTED] = "aborted",       [SAGA_DONE] = "done",
	};

	MUST((unsigned)state < SAGA_STATES);
	return names[state];
}
