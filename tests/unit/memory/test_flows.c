/* Clients' own sagas with memory running out at each allocation in turn: each is answered once, none is lost, and what
 * was missing for a moment is tried again. */
#include "scarce.h"

#include "../engine/rig.h"
#include "engine/roster.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define N_SAGAS 3
#define DOCUMENT                                                                                                       \
	"{'name':'d','store':'documents','do':{'method':'document.put','params':{'id':'a','chunks':[{'text':'t',"      \
	"'embedding':[1,2]}]}},'undo':{'method':'document.delete','params':{'id':'a'}}}"
#define REFERRING                                                                                                      \
	"{'name':'r','service':'payments','undo':null,'idempotent':true,'do':{'method':'POST','path':'/',"             \
	"'body':{'left':{'$from':'a','pointer':'/n'}}}}"

static struct rig rig;
static struct rig_saga sagas[N_SAGAS];

static void submit_all(void)
{
	memset(sagas, 0, sizeof(sagas));
	rig_sicken(&rig.flows.targets[1], "/do/bad", VERDICT_PERMANENT);
	rig_saga_submit(&rig, &sagas[0], SAGA(PG("a", "") "," REFERRING));
	rig_saga_submit(&rig, &sagas[1],
			SAGA(PG("a", "") "," PG("b", ",'after':[]") "," PAY("bad", ",'after':['a','b']")));
	rig_saga_submit(&rig, &sagas[2], SAGA(DOCUMENT "," PAY("p", "")));
}

static void check(const struct rig_saga *saga)
{
	assert_int_equal(saga->n_answers, 1);
	if (saga->code == CODE_NONE)
		assert_true(saga->state == FLOW_COMMITTED || saga->state == FLOW_COMPENSATED);
	else
		assert_int_equal(saga->code, CODE_INTERNAL);
}

static bool live(size_t nth)
{
	bool has_failed;

	rig_init(&rig);
	rig.has_targets = true;
	rig_run(&rig);
	submit_all();
	scarce_begin(nth);
	rig_wait(&rig, 2000);
	has_failed = scarce_end();
	rig_wait(&rig, 5000);
	for (unsigned i = 0; i < N_SAGAS; i++)
		check(&sagas[i]);
	assert_int_equal(sagas[1].code == CODE_NONE ? sagas[1].state : FLOW_COMPENSATED, FLOW_COMPENSATED);
	assert_int_equal(rig_flow_stats(&rig).n_open, 0);
	assert_int_equal(rig_flow_stats(&rig).bytes, 0);
	rig_fini(&rig);
	return has_failed;
}

static void sagas_live_through_each_failure(void **state)
{
	size_t nth = 1;

	(void)state;
	while (live(nth))
		nth++;
	assert_true(nth > 30); /* it did allocate */
}

/* A start that finds no memory says so and ends; the next one finds everything. */
static bool start_again(size_t nth)
{
	bool has_failed;
	int rc;

	rig_init(&rig);
	rig.has_targets = true;
	rig_run(&rig);
	rig.flows.targets[1].is_held = true;
	submit_all();
	rig_answer(&rig);
	rig_fini(&rig);
	for (unsigned i = 0; i < RIG_TARGETS; i++) {
		list_init(&rig.flows.targets[i].out);
		rig.flows.targets[i].is_held = false;
	}
	scarce_begin(nth);
	rc = rig_start(&rig);
	has_failed = scarce_end();
	assert_true(rc == 0 || (rc == -ENOMEM && has_failed));
	rig_restart(&rig);
	rig_wait(&rig, 5000);
	assert_int_equal(rig_flow_stats(&rig).n_open, 0);
	for (unsigned i = 0; i < N_SAGAS; i++)
		assert_true(rig.flows.kept[i].ended_unix_ms != 0);
	rig_fini(&rig);
	return has_failed;
}

static void a_start_lives_through_each_failure(void **state)
{
	size_t nth = 1;

	(void)state;
	while (start_again(nth))
		nth++;
	assert_true(nth > 10);
}

/* Whoever asks is answered once, with a reason when there was no memory for the question or in the journal. */

static bool is_shortage(enum code code)
{
	return code == CODE_INTERNAL || code == CODE_JOURNAL_FAILED;
}

static struct rig_saga again;
static struct engine_flow_query query;
static unsigned n_told;

static void on_told(struct engine_flow_query *of)
{
	of->report = NULL; /* borrowed for the call */
	n_told++;
}

static bool ask_all(size_t nth)
{
	static const char json[] = "{'idempotency_key':'k','steps':[" PG("a", "") "]}";
	struct rig_saga first = {0};
	bool has_failed;

	rig_init(&rig);
	rig.has_targets = true;
	rig_run(&rig);
	rig_saga_run(&rig, &first, json);
	memset(&again, 0, sizeof(again));
	rig_saga_submit(&rig, &again, json);
	query = (struct engine_flow_query){.id = first.id, .done = on_told};
	list_init(&query.node);
	n_told = 0;
	engine_ask_flow(rig.engine, &query);
	scarce_begin(nth);
	rig_wait(&rig, 500);
	has_failed = scarce_end();
	assert_int_equal(again.n_answers, 1);
	assert_true(again.code == CODE_NONE || (has_failed && is_shortage(again.code)));
	assert_int_equal(n_told, 1);
	assert_true(query.code == CODE_NONE || (has_failed && is_shortage(query.code)));
	assert_string_equal(rig.flows.sent, " do:a");
	rig_fini(&rig);
	return has_failed;
}

static void questions_live_through_each_failure(void **state)
{
	size_t nth = 1;

	(void)state;
	while (ask_all(nth))
		nth++;
	assert_true(nth > 3);
}

static struct engine_resolution resolution;
static unsigned n_resolutions, n_rows;

static void on_resolved(struct engine_resolution *of)
{
	(void)of;
	n_resolutions++;
}

static void on_row(struct roster_list *list, const struct work_row *row)
{
	(void)list;
	(void)row;
	n_rows++;
}

static void begin_resolving(void)
{
	resolution = (struct engine_resolution){
		.order = {.has_id = true, .id = rig.flows.kept[0].id, .reason = str_of("by hand")},
		.done = on_resolved,
	};
	list_init(&resolution.node);
	n_resolutions = 0;
	engine_resolve(rig.engine, &resolution);
}

static bool settle_by_hand(size_t nth)
{
	struct work_filter filter = {.limit = 10};
	struct roster_list list = {.filter = &filter, .row = on_row};
	struct rig_saga saga = {0};
	bool has_failed;
	int rc;

	rig_init(&rig);
	rig.has_targets = true;
	rig_run(&rig);
	rig_sicken(&rig.flows.targets[1], "/do/b", VERDICT_PERMANENT);
	rig.flows.targets[0].verdicts[CALL_UNDO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", "")));
	rig_wait(&rig, 20000);
	n_rows = 0;
	scarce_begin(nth);
	rc = roster_list(rig.engine, &list);
	begin_resolving();
	rig_wait(&rig, 500);
	has_failed = scarce_end();
	assert_true((rc == 0 && n_rows == 1) || (has_failed && rc == -ENOMEM && n_rows == 0));
	assert_int_equal(n_resolutions, 1);
	assert_true(resolution.code == CODE_NONE || (has_failed && resolution.code == CODE_INTERNAL));
	if (resolution.code != CODE_NONE) {
		begin_resolving();
		rig_answer(&rig);
	}
	assert_int_equal(resolution.n_resolved, 1);
	assert_string_equal(saga.steps, "a=resolved b=failed");
	rig_fini(&rig);
	return has_failed;
}

static void operators_live_through_each_failure(void **state)
{
	size_t nth = 1;

	(void)state;
	while (settle_by_hand(nth))
		nth++;
	assert_true(nth > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sagas_live_through_each_failure),
		cmocka_unit_test(a_start_lives_through_each_failure),
		cmocka_unit_test(questions_live_through_each_failure),
		cmocka_unit_test(operators_live_through_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
