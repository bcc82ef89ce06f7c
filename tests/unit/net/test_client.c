/* libsagad against the server. */
#include "rig.h"
#include "sagad/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

static void the_client_pipelines_and_sorts_answers(void **state)
{
	struct sagad_client *client;
	struct sagad_reply *reply;
	char error[SAGAD_ERROR_BYTES];
	uint64_t ids[1000], sum = 0;
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	assert_int_equal(sagad_connect(rig.path, 1000, &client, error, sizeof(error)), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(sagad_submit(client, "m", "{\n\"a\":\r\n1}", 10, &ids[i]), 0);
	assert_int_equal(sagad_wait(client, ids[500], 5000, &reply), 0);
	assert_int_equal(sagad_reply_id(reply), ids[500]);
	assert_int_equal(sagad_reply_number(reply, "n", 0), ids[500]);
	sagad_reply_free(reply);
	assert_int_equal(sagad_wait(client, ids[500], 0, &reply), -ENOENT);
	for (int i = 0; i < 999; i++) {
		assert_int_equal(sagad_wait_any(client, 5000, &reply), 0);
		assert_false(sagad_reply_is_error(reply));
		sum += sagad_reply_id(reply);
		sagad_reply_free(reply);
	}
	assert_int_equal(sum, 1000 * 1001 / 2 - ids[500]);
	assert_int_equal(sagad_outstanding(client), 0);
	assert_int_equal(sagad_wait_any(client, 0, &reply), -ENOENT);
	sagad_close(client);
	rig_stop(&rig);
}

static void the_client_says_when_the_daemon_goes(void **state)
{
	struct sagad_client *client;
	struct sagad_reply *reply;
	char error[SAGAD_ERROR_BYTES];
	uint64_t id;
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig.config.stall_ms = 0;
	rig_start(&rig);
	assert_int_equal(sagad_connect(rig.path, 1000, &client, error, sizeof(error)), 0);
	assert_int_equal(sagad_submit(client, "m", NULL, 0, &id), 0);
	assert_int_equal(sagad_wait(client, id, 5000, &reply), 0);
	sagad_reply_free(reply);
	rig_stop(&rig);
	assert_true(sagad_submit(client, "m", NULL, 0, &id) < 0 || sagad_wait(client, id, 1000, &reply) < 0);
	assert_true(strlen(sagad_client_error(client)) > 10);
	assert_int_equal(sagad_client_fd(client), -1);
	sagad_close(client);
	assert_int_equal(sagad_connect(rig.path, 100, &client, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "is sagad running"));
}

static void the_client_times_out_and_can_wait_again(void **state)
{
	struct sagad_client *client;
	struct sagad_reply *reply;
	char error[SAGAD_ERROR_BYTES];
	uint64_t id;
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_answer_every_ms(&rig, 300);
	rig_start(&rig);
	assert_int_equal(sagad_connect(rig.path, 1000, &client, error, sizeof(error)), 0);
	assert_int_equal(sagad_submit(client, "m", NULL, 0, &id), 0);
	assert_int_equal(sagad_wait(client, id, 20, &reply), -ETIMEDOUT);
	assert_int_equal(sagad_wait(client, id, 5000, &reply), 0);
	sagad_reply_free(reply);
	sagad_close(client);
	rig_stop(&rig);
}

static void client_and_server_never_wait_for_each_other(void **state)
{
	static char params[200000];
	struct sagad_client *client;
	struct sagad_reply *reply;
	char error[SAGAD_ERROR_BYTES];
	struct rig rig;

	(void)state;
	memset(params, ' ', sizeof(params));
	params[0] = '{';
	params[sizeof(params) - 1] = '}';
	rig_prepare(&rig);
	rig.config.max_unsent_bytes = 100; /* it stops reading at once when answers aren't taken */
	rig.config.max_jobs = 3;
	rig_start(&rig);
	assert_int_equal(sagad_connect(rig.path, 1000, &client, error, sizeof(error)), 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(sagad_submit(client, "m", params, sizeof(params), NULL), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(sagad_wait_any(client, 5000, &reply), 0);
		sagad_reply_free(reply);
	}
	sagad_close(client);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_pipelines_and_sorts_answers),
		cmocka_unit_test(the_client_says_when_the_daemon_goes),
		cmocka_unit_test(the_client_times_out_and_can_wait_again),
		cmocka_unit_test(client_and_server_never_wait_for_each_other),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
