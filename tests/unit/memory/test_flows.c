/* Clients' own sagas with memory running out at each allocation in turn: each is answered once, none is lost, and what
 * was missing for a moment is tried again. */
#include "scarce.h"

#include "../engine/rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sagas_live_through_each_failure),
		cmocka_unit_test(a_start_lives_through_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
