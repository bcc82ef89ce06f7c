/* Every way that small sagas can take: each graph of three steps, each sort of step, each order of events, with up
 * to three mishaps anywhere: a failure, a lost answer, a stop, a crash, an operator. The promises of flow.h are looked
 * at after every event.
 *
 * `world` is what a single saga has done to the world: what is durable, what is out, what has run. */
#include "core/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_MAX     4
#define BIT(i)    ((uint64_t)1 << (i))
#define N_VISITED (1u << 18)
#define DEPTH_MAX 200

enum ran { NOT_RUN, MAY_HAVE_RUN, HAS_RUN };
enum out { OUT_NOTHING, OUT_DO, OUT_UNDO };

struct world {
	struct flow flow;
	struct flow_step steps[N_MAX];
	/* Durable, and in the record that is on its way. */
	enum flow_state kept_state, sent_state;
	enum flow_step_state kept[N_MAX], sent[N_MAX];
	enum code kept_code, sent_code;
	bool has_record, is_begun, is_state_sent;
	uint64_t sent_steps;
	/* The world. */
	enum out out[N_MAX];
	enum ran ran[N_MAX];
	bool is_waiting[N_MAX], is_undo_sent[N_MAX], is_undone[N_MAX];
	bool is_pivot_done, has_ended;
	/* What may still go wrong. */
	uint8_t n_mishaps;
};

static struct world world;
static struct flow_step_plan plans[N_MAX];
static uint64_t *visited;
static uint64_t n_worlds, n_ends[FLOW_STATES];

/* ---- checks ---- */

static void fail_with(const char *what, uint32_t step)
{
	printf("step %u: %s; %s\n", step, what, flow_state_name(world.flow.state));
	for (uint32_t i = 0; i < world.flow.n_steps; i++)
		printf("  %u after %llx undo %d optional %d pivot %d repeatable %d: %s, durable %s, ran %d undone %d\n",
		       i, (unsigned long long)plans[i].after, plans[i].has_undo, plans[i].is_optional,
		       plans[i].is_pivot, plans[i].is_repeatable, flow_step_state_name(world.steps[i].state),
		       flow_step_state_name(world.kept[i]), world.ran[i], world.is_undone[i]);
	fail();
}

#define HOLDS(claim, step) ((claim) ? (void)0 : fail_with(#claim, step))

static bool is_settled(enum flow_step_state state)
{
	return state == FLOW_STEP_PENDING || state == FLOW_STEP_SKIPPED || state == FLOW_STEP_FAILED ||
	       state == FLOW_STEP_UNDONE || state == FLOW_STEP_KEPT || state == FLOW_STEP_RESOLVED;
}

static void check_do(uint32_t step)
{
	HOLDS(world.is_begun && world.kept_state == FLOW_RUNNING, step);
	HOLDS(world.kept[step] == FLOW_STEP_STARTING, step);
	HOLDS(world.out[step] == OUT_NOTHING, step);
	HOLDS(!world.is_undo_sent[step], step);
	HOLDS(world.ran[step] == NOT_RUN || plans[step].is_repeatable, step);
	for (uint32_t k = 0; k < world.flow.n_steps; k++)
		if (plans[step].after & BIT(k))
			HOLDS(world.kept[k] == FLOW_STEP_DONE || world.kept[k] == FLOW_STEP_RESOLVED, step);
}

static void check_undo(uint32_t step)
{
	HOLDS(world.kept_state == FLOW_COMPENSATING, step);
	HOLDS(world.kept[step] == FLOW_STEP_UNDOING, step);
	HOLDS(world.out[step] == OUT_NOTHING, step);
	HOLDS(world.ran[step] != NOT_RUN, step);
	HOLDS(plans[step].has_undo && !world.is_pivot_done, step);
	for (uint32_t k = 0; k < world.flow.n_steps; k++)
		if (plans[k].after & BIT(step))
			HOLDS(is_settled(world.kept[k]), step);
}

static void check_committed(uint32_t i)
{
	enum flow_step_state state = world.kept[i];

	if (state == FLOW_STEP_DONE)
		HOLDS(world.ran[i] == HAS_RUN, i);
	else if (state == FLOW_STEP_FAILED || state == FLOW_STEP_UNSURE)
		HOLDS(plans[i].is_optional, i);
	else
		HOLDS(state == FLOW_STEP_SKIPPED || state == FLOW_STEP_RESOLVED, i);
	HOLDS(!world.is_undo_sent[i], i);
}

static void check_compensated(uint32_t i)
{
	enum flow_step_state state = world.kept[i];

	HOLDS(is_settled(state), i);
	if (world.ran[i] != NOT_RUN && plans[i].has_undo)
		HOLDS(world.is_undone[i] || state == FLOW_STEP_RESOLVED, i);
	else if (world.ran[i] != NOT_RUN)
		HOLDS(state == FLOW_STEP_KEPT && !plans[i].is_pivot, i);
	HOLDS(!world.is_pivot_done, i);
}

static void check_end(void)
{
	HOLDS(!world.has_ended && !world.has_record, 0);
	HOLDS(world.kept_state == world.flow.state, 0);
	HOLDS((world.kept_state == FLOW_COMPENSATED) == (world.kept_code != CODE_NONE), 0);
	for (uint32_t i = 0; i < world.flow.n_steps; i++) {
		HOLDS(world.out[i] == OUT_NOTHING, i);
		HOLDS(world.kept[i] == world.steps[i].state, i);
		if (world.kept_state == FLOW_COMMITTED)
			check_committed(i);
		else
			check_compensated(i);
	}
	n_ends[world.kept_state]++;
}

/* ---- actions ---- */

static void take_record(void)
{
	HOLDS(!world.has_record, 0);
	world.has_record = true;
	world.is_state_sent = world.flow.is_state_saving;
	world.sent_state = world.flow.state;
	world.sent_code = world.flow.state == FLOW_RUNNING ? CODE_NONE : world.flow.failure.code;
	world.sent_steps = world.flow.saving;
	for (uint32_t i = 0; i < world.flow.n_steps; i++)
		world.sent[i] = world.steps[i].state;
}

static void make_durable(void)
{
	world.is_begun = true;
	world.has_record = false;
	if (world.is_state_sent)
		world.kept_state = world.sent_state;
	world.kept_code = world.sent_code;
	for (uint32_t i = 0; i < world.flow.n_steps; i++)
		if (world.sent_steps & BIT(i))
			world.kept[i] = world.sent[i];
}

static void act(const struct flow_actions *actions)
{
	for (uint32_t n = 0; n < actions->n; n++) {
		uint32_t step = actions->at[n].step;

		HOLDS(!world.has_ended, step);
		switch (actions->at[n].kind) {
		case FLOW_ACT_SAVE:
			take_record();
			break;
		case FLOW_ACT_DO:
			check_do(step);
			world.out[step] = OUT_DO;
			break;
		case FLOW_ACT_UNDO:
			check_undo(step);
			world.out[step] = OUT_UNDO;
			world.is_undo_sent[step] = true;
			break;
		case FLOW_ACT_WAIT:
			world.is_waiting[step] = true;
			break;
		case FLOW_ACT_END:
			check_end();
			world.has_ended = true;
			break;
		}
	}
}

static void feed(const struct flow_event *event)
{
	struct flow_actions actions = {.n = 0};

	flow_step(&world.flow, event, &actions);
	act(&actions);
}

#define FEED(...) feed(&(struct flow_event){__VA_ARGS__})

/* ---- events: each returns false when it can't come now ---- */

/* May one more thing go wrong? */
static bool mishap(void)
{
	if (world.n_mishaps == 0)
		return false;
	world.n_mishaps--;
	return true;
}

static bool come_saved(void)
{
	if (!world.has_record)
		return false;
	make_durable();
	FEED(.kind = FLOW_EV_SAVED);
	return true;
}

static bool come_ended(uint32_t step, enum flow_verdict verdict)
{
	enum out out = world.out[step];

	if (out == OUT_NOTHING || (verdict != FLOW_OK && !mishap()))
		return false;
	world.out[step] = OUT_NOTHING;
	if (out == OUT_UNDO) {
		world.is_undone[step] = world.is_undone[step] || verdict == FLOW_OK;
	} else if (verdict == FLOW_OK) {
		world.ran[step] = HAS_RUN;
		if (plans[step].is_pivot && world.flow.state == FLOW_RUNNING)
			world.is_pivot_done = true;
	} else if (verdict == FLOW_DOUBT && world.ran[step] == NOT_RUN) {
		world.ran[step] = MAY_HAVE_RUN;
	}
	FEED(.kind = FLOW_EV_ENDED, .step = step, .verdict = verdict);
	return true;
}

static bool come_retry(uint32_t step)
{
	if (!world.is_waiting[step])
		return false;
	world.is_waiting[step] = false;
	FEED(.kind = FLOW_EV_RETRY, .step = step);
	return true;
}

static bool come_stop(void)
{
	enum code before = world.flow.failure.code;
	bool can = flow_can_stop(&world.flow);

	if (!mishap())
		return false;
	FEED(.kind = FLOW_EV_STOP, .code = CODE_CANCELLED);
	HOLDS(world.flow.failure.code == (can ? CODE_CANCELLED : before), 0);
	return true;
}

static bool come_operator(uint32_t step)
{
	if (!flow_is_endless(&world.flow, step) || !mishap())
		return false;
	FEED(.kind = FLOW_EV_PARK, .step = step);
	FEED(.kind = FLOW_EV_RESOLVE, .step = step);
	if (world.steps[step].state == FLOW_STEP_RESOLVED && world.flow.state == FLOW_RUNNING && plans[step].is_pivot)
		world.is_pivot_done = true;
	return true;
}

/* What isn't durable is lost; of what is out nobody knows. */
static bool come_crash(bool is_record_durable)
{
	struct flow_failure failure = {.step = FLOW_STEPS_MAX};
	struct flow_actions actions = {.n = 0};

	if ((is_record_durable && !world.has_record) || !mishap())
		return false;
	if (is_record_durable)
		make_durable();
	world.has_record = false;
	if (!world.is_begun || world.kept_state == FLOW_COMMITTED || world.kept_state == FLOW_COMPENSATED) {
		world.has_ended = true; /* the next one doesn't load it */
		return true;
	}
	for (uint32_t i = 0; i < world.flow.n_steps; i++) {
		world.steps[i] = (struct flow_step){.state = world.kept[i]};
		if (world.kept[i] == FLOW_STEP_STARTING && world.ran[i] == NOT_RUN)
			world.ran[i] = MAY_HAVE_RUN;
		world.out[i] = OUT_NOTHING;
		world.is_waiting[i] = false;
	}
	world.is_pivot_done = false;
	for (uint32_t i = 0; i < world.flow.n_steps; i++)
		if (plans[i].is_pivot && world.kept_state == FLOW_RUNNING &&
		    (world.kept[i] == FLOW_STEP_DONE || world.kept[i] == FLOW_STEP_RESOLVED))
			world.is_pivot_done = true;
	failure.code = world.kept_code;
	flow_recover(&world.flow, world.kept_state, world.flow.n_steps, plans, world.steps, failure, &actions);
	act(&actions);
	return true;
}

#define N_PER_STEP 6
#define N_EVENTS   (4 + N_PER_STEP * N_MAX)

static bool come(uint32_t event)
{
	static const enum flow_verdict verdicts[] = {FLOW_OK, FLOW_TRANSIENT, FLOW_DOUBT, FLOW_PERMANENT};
	uint32_t step = (event - 4) / N_PER_STEP, kind = (event - 4) % N_PER_STEP;

	if (world.has_ended)
		return false;
	if (event == 0)
		return come_saved();
	if (event == 1)
		return come_stop();
	if (event <= 3)
		return come_crash(event == 3);
	if (step >= world.flow.n_steps)
		return false;
	if (kind < 4)
		return come_ended(step, verdicts[kind]);
	return kind == 4 ? come_retry(step) : come_operator(step);
}

/* ---- all of them ---- */

static bool is_new(void)
{
	const unsigned char *at = (const unsigned char *)&world;
	uint64_t hash = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < sizeof(world); i++)
		hash = (hash ^ at[i]) * 0x100000001b3u;
	hash |= 1;
	for (uint64_t place = hash >> 20;; place++) {
		uint64_t *slot = &visited[place % N_VISITED];

		if (*slot == hash)
			return false;
		if (*slot == 0) {
			*slot = hash;
			return true;
		}
	}
}

/* What isn't waited for changes nothing. */
static void check_late(void)
{
	struct world before;

	memcpy(&before, &world, sizeof(world));
	for (uint32_t i = 0; i < world.flow.n_steps; i++) {
		if (world.out[i] == OUT_NOTHING)
			FEED(.kind = FLOW_EV_ENDED, .step = i, .verdict = FLOW_OK);
		if (world.steps[i].state != FLOW_STEP_WAITING && world.steps[i].state != FLOW_STEP_UNDO_WAITING)
			FEED(.kind = FLOW_EV_RETRY, .step = i);
	}
	if (!world.has_record)
		FEED(.kind = FLOW_EV_SAVED);
	assert_memory_equal(&before, &world, sizeof(world));
}

static bool needs_operator(void)
{
	return flow_parked(&world.flow) != 0;
}

static void explore(unsigned depth)
{
	struct world before;
	bool any = false;

	if (!is_new())
		return;
	n_worlds++;
	if (world.has_ended && !world.flow.has_ended)
		return; /* with the process */
	assert_true(depth < DEPTH_MAX);
	check_late();
	memcpy(&before, &world, sizeof(world));
	for (uint32_t event = 0; event < N_EVENTS; event++) {
		bool is_progress = event == 0 || (event >= 4 && (event - 4) % N_PER_STEP <= 4);

		if (!come(event))
			continue;
		any = any || is_progress;
		explore(depth + 1);
		memcpy(&world, &before, sizeof(world));
	}
	/* Nothing hangs: as long as it hasn't ended something is under way, or an operator must look. */
	HOLDS(any || world.has_ended || needs_operator(), 0);
}

static void begin(uint32_t n, uint8_t n_mishaps)
{
	memset(&world, 0, sizeof(world));
	flow_init(&world.flow, n, plans, world.steps);
	world.n_mishaps = n_mishaps;
	take_record();
}

static void explore_all(uint32_t n, uint8_t n_mishaps)
{
	memset(visited, 0, N_VISITED * sizeof(*visited));
	begin(n, n_mishaps);
	explore(0);
}

static int set_up(void **state)
{
	(void)state;
	visited = calloc(N_VISITED, sizeof(*visited));
	return visited == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(visited);
	return 0;
}

/* Sorts of steps before a pivot, or without one. */
static struct flow_step_plan sort_of(uint32_t sort, uint64_t after)
{
	return (struct flow_step_plan){
		.after = after,
		.max_tries = 2,
		.has_undo = sort != 2,
		.is_optional = sort == 3,
		.is_repeatable = sort != 1 && sort != 3,
	};
}

static void every_graph_of_three_keeps_the_promises(void **state)
{
	(void)state;
	for (uint32_t graph = 0; graph < 8; graph++) {
		for (uint32_t sorts = 0; sorts < 64; sorts++) {
			plans[0] = sort_of(sorts % 4, 0);
			plans[1] = sort_of(sorts / 4 % 4, graph & 1);
			plans[2] = sort_of(sorts / 16, graph >> 1);
			explore_all(3, graph < 3 ? 2 : 3);
		}
	}
	print_message("%llu worlds, %llu ends committed, %llu compensated\n", (unsigned long long)n_worlds,
		      (unsigned long long)n_ends[FLOW_COMMITTED], (unsigned long long)n_ends[FLOW_COMPENSATED]);
	assert_true(n_ends[FLOW_COMMITTED] > 1000 && n_ends[FLOW_COMPENSATED] > 1000);
}

static void plan_pivot(uint32_t pivot, bool has_undo, bool is_repeatable)
{
	plans[pivot].is_pivot = true;
	plans[pivot].is_optional = false;
	plans[pivot].has_undo = has_undo;
	plans[pivot].is_repeatable = is_repeatable;
}

/* A step, the pivot, and what must follow: in a chain, and with two roads before or after it. */
static void every_pivot_keeps_the_promises(void **state)
{
	static const uint64_t graphs[3][4] = {{0, 1, 2, 4}, {0, 0, 3, 4}, {0, 1, 2, 2}};
	static const uint32_t pivots[3] = {1, 2, 1};

	(void)state;
	for (uint32_t graph = 0; graph < 3; graph++) {
		for (uint32_t sorts = 0; sorts < 32; sorts++) {
			uint32_t pivot = pivots[graph];

			for (uint32_t i = 0; i < 4; i++) {
				plans[i] = sort_of(i < pivot                    ? (sorts + i) % 4
						   : (sorts & 8) != 0 && i == 3 ? 3
										: 0,
						   graphs[graph][i]);
				plans[i].has_undo = plans[i].has_undo && i < pivot;
			}
			plan_pivot(pivot, (sorts & 4) != 0, (sorts & 16) == 0);
			explore_all(graph == 0 ? 3 : 4, graph == 0 ? 4 : 3);
		}
	}
	print_message("%llu worlds\n", (unsigned long long)n_worlds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_graph_of_three_keeps_the_promises, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_pivot_keeps_the_promises, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
