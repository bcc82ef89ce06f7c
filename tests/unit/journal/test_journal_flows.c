/* Sagas that clients wrote themselves in the journal: what was written is found again, by its id, by its key, among the
 * open ones at the start, and page by page when it has ended; and what is forgotten goes with its steps. */
#include "core/flow.h"
#include "fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void reopen(struct fixture *fix)
{
	fixture_close(fix);
	fixture_open(fix);
}

static int64_t now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct uuid id_of(uint64_t number)
{
	return uuid_make_v7(1700000000000u + number, 0, number);
}

/* ---- records ---- */

struct record {
	struct journal_flow_req req;
	struct fixture *fix;
	bool is_done;
};

static void on_record(struct journal_flow_req *req)
{
	struct record *record = container_of(req, struct record, req);

	record->is_done = true;
	uv_stop(&record->fix->loop);
}

static struct journal_flow_req write_now(struct fixture *fix, struct journal_flow_req req)
{
	struct record record = {.req = req, .fix = fix};

	record.req.done = on_record;
	record.req.rc = 1;
	fix->journal->ops->flow(fix->journal, &record.req);
	assert_false(record.is_done); /* never from inside the submit */
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(record.req.rc, 0);
	return record.req;
}

static const struct journal_step first_step = {.step = 0, .state = "starting", .unix_ms = 11};

static struct journal_flow_req begin_of(uint64_t number, uint32_t uid, const char *key)
{
	return (struct journal_flow_req){
		.is_begin = true,
		.flow = id_of(number),
		.state = "running",
		.uid = uid,
		.key = str_of(key),
		.hash = {7},
		.spec_json = str_of("{\"steps\":[]}"),
		.began_unix_ms = 10,
		.deadline_unix_ms = 20,
		.steps = &first_step,
		.n_steps = 1,
		.unix_ms = 11,
	};
}

static void begin(struct fixture *fix, uint64_t number, uint32_t uid, const char *key)
{
	assert_false(write_now(fix, begin_of(number, uid, key)).is_known);
}

static void end(struct fixture *fix, uint64_t number, const char *state, int64_t at_ms)
{
	struct journal_step done = {.step = 0, .state = "done", .unix_ms = at_ms};

	(void)write_now(fix,
			(struct journal_flow_req){
				.flow = id_of(number), .state = state, .steps = &done, .n_steps = 1, .unix_ms = at_ms});
}

/* ---- what is found ---- */

struct search {
	struct journal_flow_find_req req;
	struct fixture *fix;
};

static void on_found(struct journal_flow_find_req *req)
{
	uv_stop(&container_of(req, struct search, req)->fix->loop);
}

static struct journal_flow *find(struct fixture *fix, uint64_t number)
{
	struct search search = {.req = {.flow = id_of(number), .rc = 1, .done = on_found}, .fix = fix};

	fix->journal->ops->flow_find(fix->journal, &search.req);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(search.req.rc, 0);
	return search.req.found;
}

static void write_text(char *out, size_t n_bytes, const char *name, struct str text)
{
	size_t n = strlen(out);

	if (text.at != NULL)
		(void)snprintf(out + n, n_bytes - n, " %s=%.*s", name, STR_ARG(text));
}

/* Everything that a flow says, on one line. */
static void describe(const struct journal_flow *flow, char *out, size_t n_bytes)
{
	(void)snprintf(out, n_bytes, "%s %s uid=%u %lld..%lld..%lld", flow->state, flow->code, flow->uid,
		       (long long)flow->began_unix_ms, (long long)flow->deadline_unix_ms,
		       (long long)flow->ended_unix_ms);
	write_text(out, n_bytes, "key", flow->key);
	write_text(out, n_bytes, "why", flow->reason);
	write_text(out, n_bytes, "spec", flow->spec_json);
	for (uint32_t i = 0; i < flow->n_steps; i++) {
		const struct journal_step *step = &flow->steps[i];
		size_t n = strlen(out);

		(void)snprintf(out + n, n_bytes - n, " | %u %s %u@%lld", step->step, step->state, step->n_tries,
			       (long long)step->unix_ms);
		write_text(out, n_bytes, "result", step->result_json);
		write_text(out, n_bytes, "error", step->error);
		write_text(out, n_bytes, "reason", step->reason);
	}
}

static void assert_found(struct fixture *fix, uint64_t number, const char *expected)
{
	struct journal_flow *flow = find(fix, number);
	struct uuid id = id_of(number);
	char text[1024];

	assert_non_null(flow);
	assert_int_equal(uuid_compare(&flow->id, &id), 0);
	describe(flow, text, sizeof(text));
	assert_string_equal(text, expected);
	free(flow);
}

static int on_flow(void *arg, const struct journal_flow *found)
{
	char *text = arg;
	size_t n = strlen(text);

	(void)snprintf(text + n, 512 - n, "%s/%u/%u ", found->state, found->uid, found->n_steps);
	return 0;
}

static void assert_open(struct fixture *fix, const char *expected)
{
	struct err err = {0};
	char text[512] = "";

	assert_int_equal(fix->journal->ops->load_flows(fix->journal, on_flow, text, &err), 0);
	assert_string_equal(text, expected);
}

/* ---- tests ---- */

static void each_record_is_found_again(void **state)
{
	struct fixture *fix = *state;
	struct journal_step change[] = {
		{.step = 0,
		 .state = "done",
		 .n_tries = 2,
		 .result_json = str_of("{\"rows\":[]}"),
		 .error = str_of("late"),
		 .unix_ms = 12},
		{.step = 63, .state = "starting", .unix_ms = 12},
	};
	struct journal_step undo = {.step = 0, .state = "undoing", .n_tries = 1, .unix_ms = 13};
	struct journal_step settled = {.step = 0, .state = "resolved", .reason = str_of("by hand"), .unix_ms = 14};

	fix->options.keep_ms = (uint64_t)1 << 50; /* since before 1970 */
	fixture_open(fix);
	begin(fix, 1, 1000, "order-7");
	assert_found(fix, 1, "running  uid=1000 10..20..0 key=order-7 spec={\"steps\":[]} | 0 starting 0@11");
	(void)write_now(fix, (struct journal_flow_req){.flow = id_of(1), .steps = change, .n_steps = 2, .unix_ms = 12});
	reopen(fix);
	assert_found(fix, 1,
		     "running  uid=1000 10..20..0 key=order-7 spec={\"steps\":[]}"
		     " | 0 done 2@12 result={\"rows\":[]} error=late | 63 starting 0@12");
	(void)write_now(fix, (struct journal_flow_req){.flow = id_of(1),
						       .state = "compensating",
						       .code = "store_refused",
						       .reason = str_of("no such table"),
						       .steps = &undo,
						       .n_steps = 1,
						       .unix_ms = 13});
	/* What is absent stays as it was. */
	(void)write_now(fix,
			(struct journal_flow_req){.flow = id_of(1), .steps = &settled, .n_steps = 1, .unix_ms = 14});
	reopen(fix);
	assert_found(fix, 1,
		     "compensating store_refused uid=1000 10..20..0 key=order-7 why=no such table spec={\"steps\":[]}"
		     " | 0 resolved 0@14 result={\"rows\":[]} error=late reason=by hand | 63 starting 0@12");
	(void)write_now(fix, (struct journal_flow_req){.flow = id_of(1), .state = "compensated", .unix_ms = 15});
	assert_found(fix, 1,
		     "compensated store_refused uid=1000 10..20..15 key=order-7 why=no such table spec={\"steps\":[]}"
		     " | 0 resolved 0@14 result={\"rows\":[]} error=late reason=by hand | 63 starting 0@12");
	assert_null(find(fix, 2));
	fixture_close(fix);
}

static void only_open_ones_are_loaded_oldest_first(void **state)
{
	struct fixture *fix = *state;

	fixture_open(fix);
	begin(fix, 3, 3, NULL);
	begin(fix, 1, 1, NULL);
	begin(fix, 2, 2, NULL);
	assert_open(fix, "running/3/1 running/1/1 running/2/1 ");
	end(fix, 1, "committed", now_ms());
	(void)write_now(fix, (struct journal_flow_req){.flow = id_of(2), .state = "compensating", .unix_ms = 12});
	reopen(fix);
	assert_open(fix, "running/3/1 compensating/2/1 ");
	fixture_close(fix);
}

static void a_known_key_begins_nothing(void **state)
{
	struct fixture *fix = *state;
	struct journal_flow_req again = begin_of(2, 1000, "k"), other = begin_of(3, 1000, "k"), answer;
	struct uuid first = id_of(1);

	other.hash[31] = 1;
	fixture_open(fix);
	begin(fix, 1, 1000, "k");
	for (int i = 0; i < 2; i++) {
		answer = write_now(fix, again);
		assert_true(answer.is_known && answer.is_same);
		assert_int_equal(uuid_compare(&answer.known, &first), 0);
		answer = write_now(fix, other);
		assert_true(answer.is_known && !answer.is_same);
		assert_int_equal(uuid_compare(&answer.known, &first), 0);
		if (i == 0)
			end(fix, 1, "committed", now_ms());
		reopen(fix);
	}
	assert_null(find(fix, 2));
	begin(fix, 4, 1001, "k"); /* another uid's */
	begin(fix, 5, 1000, NULL);
	begin(fix, 6, 1000, NULL); /* no key is no key */
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM saga_steps"), 4);
	fixture_close(fix);
}

static void a_key_is_known_within_one_commit(void **state)
{
	struct fixture *fix = *state;
	struct record records[2] = {{.req = begin_of(1, 1000, "k"), .fix = fix},
				    {.req = begin_of(2, 1000, "k"), .fix = fix}};
	struct uuid first = id_of(1);

	fixture_open(fix);
	for (int i = 0; i < 2; i++) {
		records[i].req.done = on_record;
		records[i].req.rc = 1;
		fix->journal->ops->flow(fix->journal, &records[i].req);
	}
	while (!records[0].is_done || !records[1].is_done)
		uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_false(records[0].req.is_known);
	assert_true(records[1].req.is_known && records[1].req.is_same);
	assert_int_equal(uuid_compare(&records[1].req.known, &first), 0);
	fixture_close(fix);
}

struct listing {
	struct journal_flow_list_req req;
	struct fixture *fix;
};

static void on_listed(struct journal_flow_list_req *req)
{
	uv_stop(&container_of(req, struct listing, req)->fix->loop);
}

/* A page's rows as text; the place of the last one, 0 when there is none. */
static uint64_t list(struct fixture *fix, struct journal_flow_list_req req, char *out, size_t n_bytes)
{
	struct listing listing = {.req = req, .fix = fix};
	uint64_t last = 0;
	struct list *node;

	listing.req.done = on_listed;
	listing.req.rc = 1;
	fix->journal->ops->flow_list(fix->journal, &listing.req);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(listing.req.rc, 0);
	out[0] = '\0';
	while ((node = list_take_first(&listing.req.rows)) != NULL) {
		struct journal_flow_row *row = container_of(node, struct journal_flow_row, node);
		size_t n = strlen(out);

		assert_true(last == 0 || row->place < last);
		(void)snprintf(out + n, n_bytes - n, "%02x:%s:%s:%s:%u ", row->id.bytes[5], row->state, row->code,
			       row->reason.text, row->uid);
		last = row->place;
		free(row);
	}
	return last;
}

static void ended_ones_are_listed_page_by_page(void **state)
{
	struct fixture *fix = *state;
	char text[512];
	uint64_t last;

	fixture_open(fix);
	for (uint64_t i = 1; i <= 5; i++)
		begin(fix, i, i % 2 == 0 ? 1000 : 1001, NULL);
	(void)write_now(fix,
			(struct journal_flow_req){
				.flow = id_of(4), .code = "cancelled", .reason = str_of("by a client"), .unix_ms = 12});
	end(fix, 4, "compensated", now_ms());
	end(fix, 1, "committed", now_ms());
	end(fix, 2, "committed", now_ms());
	reopen(fix);
	end(fix, 5, "committed", now_ms());
	end(fix, 5, "compensated", now_ms()); /* it has ended: nothing is written */
	last = list(fix, (struct journal_flow_list_req){.limit = 2}, text, sizeof(text));
	assert_string_equal(text, "05:committed:::1001 02:committed:::1000 ");
	last = list(fix, (struct journal_flow_list_req){.limit = 2, .before = last}, text, sizeof(text));
	assert_string_equal(text, "01:committed:::1001 04:compensated:cancelled:by a client:1000 ");
	assert_int_equal(list(fix, (struct journal_flow_list_req){.limit = 2, .before = last}, text, sizeof(text)), 0);
	(void)list(fix, (struct journal_flow_list_req){.limit = 9, .has_uid = true, .uid = 1000}, text, sizeof(text));
	assert_string_equal(text, "02:committed:::1000 04:compensated:cancelled:by a client:1000 ");
	(void)list(fix, (struct journal_flow_list_req){.limit = 9, .has_uid = true, .uid = 7}, text, sizeof(text));
	assert_string_equal(text, "");
	fixture_close(fix);
}

static void ended_ones_beyond_the_count_are_forgotten_with_their_steps(void **state)
{
	struct fixture *fix = *state;

	fix->options.keep_count = 3;
	fixture_open(fix);
	for (uint64_t i = 1; i <= 6; i++) {
		begin(fix, i, 1000, i == 1 ? "k" : NULL);
		end(fix, i, "committed", now_ms());
	}
	begin(fix, 7, 1000, NULL);
	assert_null(find(fix, 1));
	assert_null(find(fix, 3));
	free(find(fix, 4));
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM sagas"), 4);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM saga_steps"), 4);
	begin(fix, 8, 1000, "k"); /* the key is new again */
	fixture_close(fix);
	fix->options.keep_count = 1;
	fixture_open(fix); /* counted anew */
	begin(fix, 9, 1000, NULL);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM sagas WHERE place IS NOT NULL"), 1);
	assert_open(fix, "running/1000/1 running/1000/1 running/1000/1 ");
	fixture_close(fix);
}

static void old_ones_are_forgotten_and_open_ones_never(void **state)
{
	struct fixture *fix = *state;

	fix->options.keep_ms = 60000;
	fixture_open(fix);
	begin(fix, 1, 1000, NULL);
	begin(fix, 2, 1000, NULL);
	end(fix, 2, "committed", now_ms() - 61000);
	begin(fix, 3, 1000, NULL);
	end(fix, 3, "committed", now_ms() - 30000);
	reopen(fix);
	begin(fix, 4, 1000, NULL);
	assert_null(find(fix, 2));
	free(find(fix, 3));
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM saga_steps"), 3);
	assert_open(fix, "running/1000/1 running/1000/1 ");
	fixture_close(fix);
}

static int refuse(void *arg, const struct journal_flow *found)
{
	(void)arg;
	(void)found;
	return -42;
}

static void a_damaged_row_is_named(void **state)
{
	static const char *const damages[] = {
		"UPDATE sagas SET id = 'nobody'",
		"UPDATE saga_steps SET step = 64",
		"UPDATE saga_steps SET step = -1",
	};
	struct fixture *fix = *state;
	struct err err = {0};
	char text[512] = "";

	fixture_open(fix);
	begin(fix, 1, 1000, NULL);
	assert_int_equal(fix->journal->ops->load_flows(fix->journal, refuse, NULL, &err), -42);
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		sqlite3 *sqlite = NULL;

		assert_int_equal(sqlite3_open(fix->path, &sqlite), SQLITE_OK);
		assert_int_equal(sqlite3_exec(sqlite, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_exec(sqlite, damages[i], NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_exec(sqlite, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
		assert_true(fix->journal->ops->load_flows(fix->journal, on_flow, text, &err) < 0);
		assert_non_null(strstr(err.text, "damaged"));
		assert_non_null(strstr(err.text, fix->path));
		assert_int_equal(sqlite3_exec(sqlite, "UPDATE saga_steps SET step = 0", NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(
			sqlite3_exec(sqlite, "UPDATE sagas SET id = (SELECT saga FROM saga_steps)", NULL, NULL, NULL),
			SQLITE_OK);
		assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	}
	assert_open(fix, "running/1000/1 ");
	fixture_close(fix);
}

/* The journal knows by name which states end a flow: they are those that the core says. */
static void the_terminal_states_are_those_of_the_core(void **state)
{
	struct fixture *fix = *state;

	fixture_open(fix);
	for (int at = 0; at < FLOW_STATES; at++) {
		bool is_end = at == FLOW_COMMITTED || at == FLOW_COMPENSATED;
		struct journal_flow *flow;

		begin(fix, (uint64_t)at, 1000, NULL);
		end(fix, (uint64_t)at, flow_state_name((enum flow_state)at), now_ms());
		flow = find(fix, (uint64_t)at);
		assert_non_null(flow);
		assert_int_equal(flow->ended_unix_ms != 0, is_end);
		free(flow);
	}
	fixture_close(fix);
}

#define FLOWS_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOWS_TEST(each_record_is_found_again),
		FLOWS_TEST(only_open_ones_are_loaded_oldest_first),
		FLOWS_TEST(a_known_key_begins_nothing),
		FLOWS_TEST(a_key_is_known_within_one_commit),
		FLOWS_TEST(ended_ones_are_listed_page_by_page),
		FLOWS_TEST(ended_ones_beyond_the_count_are_forgotten_with_their_steps),
		FLOWS_TEST(old_ones_are_forgotten_and_open_ones_never),
		FLOWS_TEST(a_damaged_row_is_named),
		FLOWS_TEST(the_terminal_states_are_those_of_the_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
