/* Steps in Qdrant (or its stand-in), named by QDRANT_HOST, QDRANT_PORT and QDRANT_API_KEY. Collections of the test's
 * own only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live_store.h"
#include "live_target.h"
#include "stores/qdrant/qdrant_steps.h"

#include <netinet/in.h>
#include <sys/socket.h>

static struct target *target;

static struct target *make_target(const char *host, uint16_t port, const char *key)
{
	const struct qdrant_steps_config config = {.server = {.host = host,
							      .port = port,
							      .api_key = key,
							      .collection = "steps_live_documents",
							      .connect_timeout_ms = 1000}};
	struct target *made;
	struct err err;

	if (qdrant_steps_create(&live_loop, &config, NULL, &made, &err) != 0)
		fail_msg("%s", err.text);
	return made;
}

static struct live_outcome *run(enum call_kind kind, const char *body)
{
	return live_run(target, &live_loop, kind, live_saga(), body, false);
}

#define DROP "{\"method\":\"DELETE\",\"path\":\"/collections/steps_live\"}"
#define CREATE                                                                                                         \
	"{\"method\":\"PUT\",\"path\":\"/collections/steps_live\",\"body\":{\"vectors\":{\"size\":2,"                  \
	"\"distance\":\"Dot\"}}}"
#define UPSERT                                                                                                         \
	"{\"method\":\"PUT\",\"path\":\"/collections/steps_live/points\",\"body\":{\"points\":[{\"id\":7,"             \
	"\"vector\":[0.25,0.5],\"payload\":{\"n\":9007199254740993}}]}}"
#define COUNT  "{\"method\":\"POST\",\"path\":\"/collections/steps_live/points/count\",\"body\":{\"exact\":true}}"
#define REMOVE "{\"method\":\"POST\",\"path\":\"/collections/steps_live/points/delete\",\"body\":{\"points\":[7]}}"

static int fresh(void **state)
{
	const char *key = getenv("QDRANT_API_KEY");

	(void)state;
	target = make_target(live_env("QDRANT_HOST"), (uint16_t)atoi(live_env("QDRANT_PORT")), key);
	(void)run(CALL_DO, DROP);
	assert_call(run(CALL_DO, CREATE), VERDICT_OK);
	return 0;
}

static int done(void **state)
{
	(void)state;
	assert_call(run(CALL_UNDO, DROP), VERDICT_OK);
	live_target_close(target, &live_loop);
	return 0;
}

static void assert_points(int expected)
{
	struct live_outcome *outcome = run(CALL_DO, COUNT);
	char wanted[40];

	assert_call(outcome, VERDICT_OK);
	(void)snprintf(wanted, sizeof(wanted), "\"count\":%d}", expected);
	if (strstr(outcome->result, wanted) == NULL)
		fail_msg("%s instead of %d", outcome->result, expected);
}

/* ---- the tests ---- */

static void points_come_and_go_however_often(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	for (int i = 0; i < 2; i++) {
		outcome = run(CALL_DO, UPSERT);
		assert_call(outcome, VERDICT_OK);
		assert_non_null(strstr(outcome->result, "{\"status\":200,\"body\":{"));
		assert_non_null(strstr(outcome->result, "\"completed\""));
		assert_points(1);
	}
	for (int i = 0; i < 2; i++) {
		assert_call(run(CALL_UNDO, REMOVE), VERDICT_OK);
		assert_points(0);
	}
}

/* Beyond 2^53: no double may come in between. */
static void a_point_is_read_with_its_numbers(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	assert_call(run(CALL_DO, UPSERT), VERDICT_OK);
	outcome = run(CALL_DO, "{\"method\":\"GET\",\"path\":\"/collections/steps_live/points/7\"}");
	assert_call(outcome, VERDICT_OK);
	assert_non_null(strstr(outcome->result, "9007199254740993"));
}

static void a_batch_is_done_when_all_of_it_is(void **state)
{
	(void)state;
	assert_call(run(CALL_DO, "{\"method\":\"POST\",\"path\":\"/collections/steps_live/points/batch\",\"body\":{"
				 "\"operations\":[{\"upsert\":{\"points\":[{\"id\":1,\"vector\":[1,1]},{\"id\":2,"
				 "\"vector\":[1,1]}]}},{\"delete\":{\"points\":[2]}}]}}"),
		    VERDICT_OK);
	assert_points(1);
}

static void an_index_is_made_and_dropped(void **state)
{
	(void)state;
	assert_call(run(CALL_DO, "{\"method\":\"PUT\",\"path\":\"/collections/steps_live/index\",\"body\":{"
				 "\"field_name\":\"a.b\",\"field_schema\":\"keyword\"}}"),
		    VERDICT_OK);
	assert_call(run(CALL_UNDO, "{\"method\":\"DELETE\",\"path\":\"/collections/steps_live/index/a.b\"}"),
		    VERDICT_OK);
}

static void refusals_have_changed_nothing(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	outcome = run(CALL_DO, "{\"method\":\"PUT\",\"path\":\"/collections/steps_live/points\",\"body\":{\"points\":[{"
			       "\"id\":1,\"vector\":[1,1]},{\"id\":2,\"vector\":[1,2,3]}]}}");
	assert_call(outcome, VERDICT_PERMANENT);
	assert_non_null(strstr(outcome->err.text, "dim"));
	assert_points(0);
	assert_call(run(CALL_DO, "{\"method\":\"PUT\",\"path\":\"/collections/steps_live_none/points\",\"body\":{"
				 "\"points\":[{\"id\":1,\"vector\":[1,1]}]}}"),
		    VERDICT_PERMANENT);
	assert_call(run(CALL_DO, "{\"method\":\"PUT\",\"path\":\"/collections/steps_live_documents/points\",\"body\":{"
				 "\"points\":[]}}"),
		    VERDICT_PERMANENT);
	assert_call(run(CALL_DO, "{\"method\":\"PUT\",\"path\":\"/collections/a/../b\"}"), VERDICT_PERMANENT);
	assert_call(run(CALL_DO, CREATE), VERDICT_PERMANENT); /* 409: it is there */
	assert_call(run(CALL_CHECK, COUNT), VERDICT_DOUBT);
}

static void a_key_can_be_renewed(void **state)
{
	(void)state;
	if (getenv("QDRANT_API_KEY") == NULL)
		skip(); /* a server without keys refuses none */
	assert_int_equal(target->ops->renew_secret(target, "wrong"), 0);
	assert_call(run(CALL_DO, UPSERT), VERDICT_MISCONFIGURED);
	assert_int_equal(target->ops->renew_secret(target, getenv("QDRANT_API_KEY")), 0);
	assert_call(run(CALL_DO, UPSERT), VERDICT_OK);
}

static void a_refused_connection_is_an_outage(void **state)
{
	struct target *nowhere = make_target("127.0.0.1", 1, NULL);
	struct store_status status;

	(void)state;
	assert_call(live_run(nowhere, &live_loop, CALL_DO, live_saga(), UPSERT, false), VERDICT_OUTAGE);
	nowhere->ops->status(nowhere, &status);
	assert_true(status.was_tried);
	assert_false(status.is_up);
	live_target_close(nowhere, &live_loop);
}

/* Longer than the server's 5 s of keep-alive: a call isn't sent on a connection that is gone, nor left in doubt. */
static void an_idle_connection_is_not_missed(void **state)
{
	(void)state;
	assert_call(run(CALL_DO, UPSERT), VERDICT_OK);
	live_wait_ms(6000);
	assert_call(run(CALL_DO, UPSERT), VERDICT_OK);
}

/* The server is a socket that takes everything and answers nothing. A write may have happened; a read has changed
 * nothing. */
static void silence_leaves_only_writes_in_doubt(void **state)
{
	const char *const bodies[] = {UPSERT, COUNT};
	const enum verdict expected[] = {VERDICT_DOUBT, VERDICT_TRANSIENT};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct target *silent;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	silent = make_target("127.0.0.1", ntohs(address.sin_port), NULL);
	for (int i = 0; i < 2; i++) {
		struct live_call call;

		live_call_init(&call, &live_loop, CALL_DO, live_saga(), "step", bodies[i]);
		call.call.timeout_ns = 200000000;
		live_calls_run(silent, &call, 1);
		assert_call(live_outcome_of(&call), expected[i]);
	}
	live_target_close(silent, &live_loop);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(points_come_and_go_however_often, fresh, done),
		cmocka_unit_test_setup_teardown(a_point_is_read_with_its_numbers, fresh, done),
		cmocka_unit_test_setup_teardown(a_batch_is_done_when_all_of_it_is, fresh, done),
		cmocka_unit_test_setup_teardown(an_index_is_made_and_dropped, fresh, done),
		cmocka_unit_test_setup_teardown(refusals_have_changed_nothing, fresh, done),
		cmocka_unit_test_setup_teardown(a_key_can_be_renewed, fresh, done),
		cmocka_unit_test_setup_teardown(a_refused_connection_is_an_outage, fresh, done),
		cmocka_unit_test_setup_teardown(an_idle_connection_is_not_missed, fresh, done),
		cmocka_unit_test_setup_teardown(silence_leaves_only_writes_in_doubt, fresh, done),
	};
	int rc;

	(void)uv_loop_init(&live_loop);
	(void)live_env("QDRANT_HOST"); /* skips here, before any group */
	(void)live_env("QDRANT_PORT");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	return uv_loop_close(&live_loop) == 0 ? rc : 1; /* a handle that is left is a leak */
}
