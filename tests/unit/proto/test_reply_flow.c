/* Answers about a saga that a client wrote: each way it may end or stand, printed and read again. */
#include "read_back.h"

#include "proto/reply_flow.h"

#define ID_TEXT "01020300-0000-0000-0000-000000000000"

static const struct uuid saga = {{1, 2, 3}};

static struct reply_flow_step step_named(const char *name, const char *state)
{
	return (struct reply_flow_step){
		.name = str_of(name),
		.target = str_of("redis"),
		.state = state,
		.is_done = strcmp(state, "done") == 0,
		.next_try_ms = -1,
	};
}

static yyjson_doc *outcome_of(const struct reply_flow *flow)
{
	struct buf out = {0};

	reply_flow_outcome(&out, "\"q\"", flow);
	return read_back(&out);
}

static yyjson_doc *status_of(const struct reply_flow *flow)
{
	struct buf out = {0};

	reply_flow_status(&out, "5", flow);
	return read_back(&out);
}

/* A client that waits for the end reads its results by the names that it gave. */
static void a_commit_has_each_steps_result(void **state)
{
	struct reply_flow_step steps[] = {step_named("reserve", "done"), step_named("charge", "done")};
	struct reply_flow flow = {
		.id = saga, .end = REPLY_FLOW_COMMITTED, .state = "committed", .steps = steps, .n_steps = 2};
	yyjson_doc *doc;

	(void)state;
	steps[0].result_json = str_of("{\"rows\":[{\"n\":12345678901234567890}]}");
	doc = outcome_of(&flow);
	assert_string_equal(text_at(doc, "/id"), "q");
	assert_string_equal(text_at(doc, "/result/outcome"), "committed");
	assert_string_equal(text_at(doc, "/result/saga_id"), ID_TEXT);
	assert_true(yyjson_is_false(yyjson_doc_ptr_get(doc, "/result/stored")));
	assert_true(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/results/reserve/rows/0/n")) ==
		    12345678901234567890u);
	assert_true(yyjson_is_null(yyjson_doc_ptr_get(doc, "/result/results/charge"))); /* done, and said nothing */
	assert_false(is_at(doc, "/result/steps"));
	yyjson_doc_free(doc);
}

/* Else nobody would learn that the optional step failed: the saga has committed all the same. */
static void a_commit_without_an_optional_step_has_the_steps_too(void **state)
{
	struct reply_flow_step steps[] = {step_named("mail", "skipped"), step_named("charge", "done")};
	struct reply_flow flow = {.id = saga,
				  .end = REPLY_FLOW_COMMITTED,
				  .state = "committed",
				  .is_stored = true,
				  .steps = steps,
				  .n_steps = 2};
	yyjson_doc *doc;

	(void)state;
	steps[0].n_tries = 3;
	steps[0].error = str_of("no route");
	steps[0].is_service = true;
	steps[0].target = str_of("post");
	doc = outcome_of(&flow);
	assert_true(yyjson_is_true(yyjson_doc_ptr_get(doc, "/result/stored")));
	assert_false(is_at(doc, "/result/results/mail"));
	assert_true(is_at(doc, "/result/results/charge"));
	assert_string_equal(text_at(doc, "/result/steps/0/name"), "mail");
	assert_string_equal(text_at(doc, "/result/steps/0/state"), "skipped");
	assert_string_equal(text_at(doc, "/result/steps/0/service"), "post");
	assert_false(is_at(doc, "/result/steps/0/store"));
	assert_string_equal(text_at(doc, "/result/steps/0/error"), "no route");
	assert_int_equal(number_at(doc, "/result/steps/0/tries"), 3);
	assert_string_equal(text_at(doc, "/result/steps/1/store"), "redis");
	assert_false(is_at(doc, "/result/steps/1/tries")); /* nothing failed there */
	assert_false(is_at(doc, "/result/steps/1/error"));
	yyjson_doc_free(doc);
}

static void a_compensation_names_the_step_that_failed(void **state)
{
	struct reply_flow_step steps[] = {step_named("reserve", "undone"), step_named("charge", "failed")};
	struct reply_flow flow = {.id = saga,
				  .end = REPLY_FLOW_COMPENSATED,
				  .state = "compensated",
				  .code = CODE_STORE_UNAVAILABLE,
				  .failed_step = str_of("charge"),
				  .error = str_of("payments: no answer"),
				  .steps = steps,
				  .n_steps = 2};
	yyjson_doc *doc;

	(void)state;
	steps[1].is_service = true;
	steps[1].target = str_of("payments");
	steps[1].n_tries = 4;
	doc = outcome_of(&flow);
	assert_false(is_at(doc, "/result"));
	assert_string_equal(text_at(doc, "/error/message"), "payments: no answer");
	assert_string_equal(text_at(doc, "/error/data/code"), "store_unavailable");
	assert_true(yyjson_is_true(yyjson_doc_ptr_get(doc, "/error/data/retriable")));
	assert_string_equal(text_at(doc, "/error/data/outcome"), "compensated");
	assert_string_equal(text_at(doc, "/error/data/saga_id"), ID_TEXT);
	assert_string_equal(text_at(doc, "/error/data/step"), "charge");
	assert_string_equal(text_at(doc, "/error/data/service"), "payments");
	assert_int_equal(number_at(doc, "/error/data/tries"), 4);
	assert_string_equal(text_at(doc, "/error/data/steps/0/state"), "undone");
	yyjson_doc_free(doc);
}

/* saga.cancel and a deadline end a saga though no step has failed; so may a journal of an older sagad that lost it. */
static void a_compensation_may_have_no_failed_step(void **state)
{
	struct reply_flow_step steps[] = {step_named("reserve", "undone")};
	struct reply_flow flow = {.id = saga,
				  .end = REPLY_FLOW_COMPENSATED,
				  .state = "compensated",
				  .code = CODE_CANCELLED,
				  .steps = steps,
				  .n_steps = 1};
	yyjson_doc *doc;

	(void)state;
	doc = outcome_of(&flow);
	assert_string_equal(text_at(doc, "/error/data/code"), "cancelled");
	assert_string_equal(text_at(doc, "/error/message"), "cancelled"); /* never an empty one */
	assert_false(is_at(doc, "/error/data/step"));
	assert_false(is_at(doc, "/error/data/store"));
	yyjson_doc_free(doc);
	flow.failed_step = str_of("other");
	flow.code = CODE_NONE; /* an error needs a code */
	doc = outcome_of(&flow);
	assert_string_equal(text_at(doc, "/error/data/code"), "internal");
	assert_false(is_at(doc, "/error/data/step"));
	yyjson_doc_free(doc);
}

static void an_open_saga_is_accepted(void **state)
{
	struct reply_flow flow = {.id = saga, .end = REPLY_FLOW_OPEN, .state = "compensating"};
	yyjson_doc *doc = outcome_of(&flow);

	(void)state;
	assert_string_equal(text_at(doc, "/result/outcome"), "accepted");
	assert_string_equal(text_at(doc, "/result/saga_id"), ID_TEXT);
	assert_string_equal(text_at(doc, "/result/state"), "compensating");
	assert_false(is_at(doc, "/result/results"));
	yyjson_doc_free(doc);
}

static void a_status_tells_all_of_a_saga(void **state)
{
	struct reply_flow flow = {
		.id = saga,
		.state = "compensating",
		.uid = 1000,
		.key = str_of("order \"7\""),
		.code = CODE_DEADLINE_EXCEEDED,
		.failed_step = str_of("a\xff"),
		.error = str_of("late"),
		.began_unix_ms = 1,
		.deadline_unix_ms = 2,
		.ended_unix_ms = 3,
	};
	yyjson_doc *doc = status_of(&flow);

	(void)state;
	assert_int_equal(number_at(doc, "/id"), 5);
	assert_string_equal(text_at(doc, "/result/kind"), "steps");
	assert_string_equal(text_at(doc, "/result/state"), "compensating");
	assert_int_equal(number_at(doc, "/result/uid"), 1000);
	assert_string_equal(text_at(doc, "/result/idempotency_key"), "order \"7\"");
	assert_string_equal(text_at(doc, "/result/code"), "deadline_exceeded");
	assert_string_equal(text_at(doc, "/result/error"), "late");
	assert_string_equal(text_at(doc, "/result/failed_step"), "a?");
	assert_int_equal(number_at(doc, "/result/began_unix_ms"), 1);
	assert_int_equal(number_at(doc, "/result/deadline_unix_ms"), 2);
	assert_int_equal(number_at(doc, "/result/ended_unix_ms"), 3);
	assert_true(yyjson_is_arr(yyjson_doc_ptr_get(doc, "/result/steps")));
	yyjson_doc_free(doc);
}

/* What isn't there has no member: a time of 0 or an empty key would read as a fact. */
static void a_status_leaves_out_what_is_not(void **state)
{
	static const char *const left_out[] = {"idempotency_key", "began_unix_ms", "deadline_unix_ms",
					       "ended_unix_ms",   "code",          "error",
					       "failed_step"};
	struct reply_flow flow = {.id = saga, .state = "running"};
	char pointer[80];

	(void)state;
	for (int i = 0; i < 2; i++) {
		yyjson_doc *doc = status_of(&flow);

		for (size_t k = 0; k < ARRAY_LEN(left_out); k++) {
			(void)snprintf(pointer, sizeof(pointer), "/result/%s", left_out[k]);
			if (is_at(doc, pointer))
				fail_msg("there is %s", pointer);
		}
		yyjson_doc_free(doc);
		flow.key = str_of(""); /* an empty key is none, too */
	}
}

static void a_status_tells_all_of_each_step(void **state)
{
	struct reply_flow_step steps[] = {step_named("a", "waiting"), step_named("b", "done"), step_named("c", "")};
	struct reply_flow flow = {.id = saga, .state = "running", .steps = steps, .n_steps = 3};
	yyjson_doc *doc;

	(void)state;
	steps[0].is_parked = true;
	steps[0].n_tries = 2;
	steps[0].unix_ms = 77;
	steps[0].next_try_ms = 0; /* at once is a plan */
	steps[0].error = str_of("line\nbreak");
	steps[0].reason = str_of("by hand");
	steps[1].result_json = str_of("[1.5,\"x\"]");
	steps[2].result_json = str_of("");
	steps[2].error = str_of("");
	steps[2].reason = str_of("");
	doc = status_of(&flow);
	assert_string_equal(text_at(doc, "/result/steps/0/state"), "waiting");
	assert_true(yyjson_is_true(yyjson_doc_ptr_get(doc, "/result/steps/0/parked")));
	assert_int_equal(number_at(doc, "/result/steps/0/tries"), 2);
	assert_int_equal(number_at(doc, "/result/steps/0/since_unix_ms"), 77);
	assert_int_equal(number_at(doc, "/result/steps/0/next_try_ms"), 0);
	assert_string_equal(text_at(doc, "/result/steps/0/error"), "line\nbreak");
	assert_string_equal(text_at(doc, "/result/steps/0/reason"), "by hand");
	assert_false(is_at(doc, "/result/steps/0/result"));
	assert_int_equal(number_at(doc, "/result/steps/1/tries"), 0); /* here a 0 is told */
	assert_string_equal(text_at(doc, "/result/steps/1/result/1"), "x");
	assert_false(is_at(doc, "/result/steps/1/parked"));
	assert_false(is_at(doc, "/result/steps/2/since_unix_ms"));
	assert_false(is_at(doc, "/result/steps/2/next_try_ms"));
	assert_false(is_at(doc, "/result/steps/2/result"));
	assert_false(is_at(doc, "/result/steps/2/error"));
	assert_false(is_at(doc, "/result/steps/2/reason"));
	yyjson_doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_has_each_steps_result),
		cmocka_unit_test(a_commit_without_an_optional_step_has_the_steps_too),
		cmocka_unit_test(a_compensation_names_the_step_that_failed),
		cmocka_unit_test(a_compensation_may_have_no_failed_step),
		cmocka_unit_test(an_open_saga_is_accepted),
		cmocka_unit_test(a_status_tells_all_of_a_saga),
		cmocka_unit_test(a_status_leaves_out_what_is_not),
		cmocka_unit_test(a_status_tells_all_of_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
