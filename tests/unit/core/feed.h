/* Events into a saga, and its actions as a line of text, for the tests of the state machine. */
#ifndef SAGAD_TESTS_UNIT_CORE_FEED_H
#define SAGAD_TESTS_UNIT_CORE_FEED_H

#include "core/saga.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ALL 7u /* three stores; the third publishes */

static const struct uuid older = {{1}}, mine = {{5}}, newer = {{9}};
static const struct err refusal = {"a made-up reason"};

static const char *const action_names[] = {"intent",    "rename",  "read",   "apply", "pivot", "settle",
					   "record",    "publish", "remove", "paid",  "wait",  "clean",
					   "hand_over", "forget",  "answer", "unlock"};

/* "apply0 apply1 wait(read,1) clean(7)" */
static inline const char *render(const struct saga_actions *actions)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < actions->n; i++) {
		const struct saga_action *action = &actions->at[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
					 action_names[action->kind]);
		if (action->store < SAGA_TRUTH)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%u", action->store);
		if (action->kind == SAGA_ACT_WAIT || action->kind == SAGA_ACT_PAID)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "(%s)", action_names[action->op]);
		if (action->kind == SAGA_ACT_CLEAN)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "(%u)", action->stores);
		if (action->abort_if_absent)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "(abort)");
	}
	return text;
}

static inline const char *feed(struct saga *saga, struct saga_event event)
{
	struct saga_actions actions = {.n = 0};

	if (event.verdict != SAGA_OK && event.err == NULL)
		event.err = &refusal;
	saga_step(saga, &event, &actions);
	return render(&actions);
}

#define FEED(saga, ...) feed(saga, (struct saga_event){__VA_ARGS__})

static inline struct saga_plan plan_put(void)
{
	return (struct saga_plan){.stores = ALL, .publishes = 4, .max_tries = 3};
}

static inline const char *feed_reading(struct saga *saga, struct saga_reading reading)
{
	return FEED(saga, .kind = SAGA_EV_READ, .store = SAGA_TRUTH, .reading = &reading);
}

static inline struct saga begin(struct saga_plan plan)
{
	struct saga saga;

	saga_init(&saga, &plan, &mine);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_LOCKED), "intent read");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_INTENT_DURABLE), "");
	return saga;
}

static inline void send_all(struct saga *saga)
{
	for (uint32_t i = 0; i < 3; i++)
		assert_string_equal(FEED(saga, .kind = SAGA_EV_SENT, .store = i), "");
}

static inline struct saga begin_projecting(struct saga_plan plan, struct saga_reading reading)
{
	struct saga saga = begin(plan);

	assert_string_equal(feed_reading(&saga, reading), "apply0 apply1 apply2");
	send_all(&saga);
	return saga;
}

static inline struct saga begin_pivoting(struct saga_plan plan, struct saga_reading reading)
{
	struct saga saga = begin_projecting(plan, reading);

	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 2), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1), "pivot");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT_SENT), "");
	assert_int_equal(saga.state, SAGA_PIVOTING);
	return saga;
}

static const struct saga_reading nothing = {0};
static const struct saga_reading something = {.is_found = true, .version = {{1}}, .content_hash = {1}, .n_chunks = 4};

#endif
