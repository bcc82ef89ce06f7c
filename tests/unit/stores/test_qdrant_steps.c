/* What a client's step may ask of Qdrant, and what the replies mean. */
#include "stores/qdrant/qdrant_steps_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct call call;

/* The path as it is sent; NULL: refused. */
static const char *asked(const char *method, const char *path, enum qdrant_steps_kind *out_kind)
{
	static char sent[600];
	struct step_http http = {.method = method, .path = str_of(path)};
	struct buf out = {0};
	bool is_good;

	call = (struct call){.step = str_of("s")};
	step_codec_begin(&call);
	is_good = qdrant_steps_codec_ask(&call, &http, "documents", &out, out_kind);
	if (is_good)
		(void)snprintf(sent, sizeof(sent), "%s", out.at);
	else
		assert_int_equal(call.verdict, VERDICT_PERMANENT);
	buf_fini(&out);
	return is_good ? sent : NULL;
}

static void assert_sent(const char *method, const char *path, const char *sent, enum qdrant_steps_kind kind)
{
	enum qdrant_steps_kind seen = QDRANT_STEPS_READ;
	const char *text = asked(method, path, &seen);

	if (text == NULL)
		fail_msg("%s %s: %s", method, path, call.err.text);
	assert_string_equal(text, sent);
	assert_int_equal(seen, kind);
}

static void assert_refused(const char *method, const char *path, const char *word)
{
	enum qdrant_steps_kind kind;

	if (asked(method, path, &kind) != NULL)
		fail_msg("%s %s is let through", method, path);
	if (strstr(call.err.text, word) == NULL)
		fail_msg("%s %s: \"%s\" without \"%s\"", method, path, call.err.text, word);
}

/* ---- requests ---- */

static void writes_wait(void **state)
{
	(void)state;
	assert_sent("PUT", "/collections/a/points", "/collections/a/points?wait=true", QDRANT_STEPS_WRITE);
	assert_sent("PUT", "/collections/a/points?wait=true", "/collections/a/points?wait=true", QDRANT_STEPS_WRITE);
	assert_sent("POST", "/collections/a.b-c_1/points/delete?ordering=strong&wait=true",
		    "/collections/a.b-c_1/points/delete?wait=true&ordering=strong", QDRANT_STEPS_WRITE);
	assert_sent("POST", "/collections/a/points/batch", "/collections/a/points/batch?wait=true", QDRANT_STEPS_BATCH);
	assert_sent("PUT", "/collections/a/index", "/collections/a/index?wait=true", QDRANT_STEPS_WRITE);
	assert_sent("DELETE", "/collections/a/index/b%5B%5D.c", "/collections/a/index/b%5B%5D.c?wait=true",
		    QDRANT_STEPS_WRITE);
	assert_sent("POST", "/collections/documents/points/scroll?consistency=all&timeout=3",
		    "/collections/documents/points/scroll?consistency=all&timeout=3", QDRANT_STEPS_READ);
	assert_sent("GET", "/collections/a/points/7", "/collections/a/points/7", QDRANT_STEPS_READ);
	assert_sent("PUT", "/collections/a", "/collections/a", QDRANT_STEPS_CHANGE);
	assert_sent("DELETE", "/collections/a?timeout=9", "/collections/a?timeout=9", QDRANT_STEPS_CHANGE);
}

static void a_write_cannot_be_told_not_to_wait(void **state)
{
	(void)state;
	assert_refused("PUT", "/collections/a/points?wait=false", "wait=true");
	assert_refused("PUT", "/collections/a/points?wait", "wait=true");
	assert_refused("PUT", "/collections/a/points?WAIT=false", "wait=true");
	assert_refused("PUT", "/collections/a/points?wai%74=false", "wait=true");
	assert_refused("PUT", "/collections/a/points?ordering=weak&wait=false", "wait=true");
	assert_refused("PUT", "/collections/a/points?ordering=weak%26wait=false", "wait=true");
	assert_refused("PUT", "/collections/a/points?ordering=weak;wait=false", "wait=true");
	assert_refused("PUT", "/collections/a/points?ordering", "wait=true");
	assert_refused("PUT", "/collections/a/points?&", "wait=true");
}

static void a_path_stays_in_its_collection(void **state)
{
	(void)state;
	assert_refused("POST", "/cluster/peer/1", "/collections/");
	assert_refused("GET", "/collections", "/collections/");
	assert_refused("GET", "/collections/", "name");
	assert_refused("GET", "/collections/..", "name");
	assert_refused("GET", "/collections/.hidden", "name");
	assert_refused("PUT", "/collections/docu%6Dents/points", "name");
	assert_refused("PUT", "/collections/a%2fb/points", "name");
	assert_refused("POST", "/collections/aliases", "only");
	assert_refused("GET", "/collections/a/aliases", "only");
	assert_refused("POST", "/collections/a/snapshots", "only");
	assert_refused("PUT", "/collections/a/snapshots/recover", "only");
	assert_refused("PUT", "/collections/a/shards", "only");
	assert_refused("POST", "/collections/a/cluster", "only");
	assert_refused("DELETE", "/collections/a/points", "only");
	assert_refused("POST", "/collections/a", "only");
	assert_refused("PUT", "/collections/a/", "only");
	assert_refused("PUT", "/collections/a//points", "only");
	assert_refused("DELETE", "/collections/a/index/", "only");
	assert_refused("DELETE", "/collections/a/index/b/c", "only");
	assert_refused("DELETE", "/collections/a/index/b%2Fc", "only");
	assert_refused("DELETE", "/collections/a/index/b%252Fc", "only");
	assert_refused("DELETE", "/collections/a/index/b%5cc", "only");
}

static void the_documents_are_only_read(void **state)
{
	enum qdrant_steps_kind kind;

	(void)state;
	assert_refused("PUT", "/collections/documents/points", "documents");
	assert_refused("POST", "/collections/documents/points/batch", "documents");
	assert_refused("DELETE", "/collections/documents", "documents");
	assert_refused("PUT", "/collections/documents/index", "documents");
	assert_non_null(asked("GET", "/collections/documents/exists", &kind));
	assert_non_null(asked("PUT", "/collections/documents2/points", &kind));
}

static void headers_are_refused(void **state)
{
	yyjson_doc *doc = yyjson_read("{}", 2, 0);
	struct step_http http = {.method = "PUT", .path = str_of("/collections/a/points"), .headers = doc->root};
	struct buf out = {0};
	enum qdrant_steps_kind kind;

	(void)state;
	call = (struct call){.step = str_of("s")};
	step_codec_begin(&call);
	assert_false(qdrant_steps_codec_ask(&call, &http, "documents", &out, &kind));
	assert_int_equal(call.verdict, VERDICT_PERMANENT);
	buf_fini(&out);
	yyjson_doc_free(doc);
}

/* ---- replies ---- */

static void assert_judged(enum qdrant_steps_kind kind, uint16_t status, const char *reply, enum verdict verdict)
{
	call = (struct call){.step = str_of("s")};
	step_codec_begin(&call);
	qdrant_steps_codec_judge(&call, kind, status, 3, str_of(reply), 1000);
	if (call.verdict != verdict)
		fail_msg("kind %d, %u %s: verdict %d, expected %d", kind, status, reply, call.verdict, verdict);
	assert_int_equal(call.retry_after_ms, verdict == VERDICT_TRANSIENT ? 3000 : 0);
	buf_fini(&call.result_json);
}

#define COMPLETED    "{\"result\":{\"operation_id\":0,\"status\":\"completed\"},\"status\":\"ok\"}"
#define ACKNOWLEDGED "{\"result\":{\"operation_id\":0,\"status\":\"acknowledged\"},\"status\":\"ok\"}"

static void only_completed_is_done(void **state)
{
	(void)state;
	assert_judged(QDRANT_STEPS_WRITE, 200, COMPLETED, VERDICT_OK);
	assert_judged(QDRANT_STEPS_WRITE, 200, ACKNOWLEDGED, VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_WRITE, 200, "{\"result\":{\"status\":\"wait_timeout\"},\"status\":\"ok\"}",
		      VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_WRITE, 200, "{\"result\":{\"operation_id\":0,\"sta", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_WRITE, 200, "", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_WRITE, 200, "<html>", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_BATCH, 200,
		      "{\"result\":[{\"status\":\"completed\"},{\"status\":\"completed\"}],\"status\":\"ok\"}",
		      VERDICT_OK);
	assert_judged(QDRANT_STEPS_BATCH, 200,
		      "{\"result\":[{\"status\":\"completed\"},{\"status\":\"acknowledged\"}],\"status\":\"ok\"}",
		      VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_BATCH, 200, COMPLETED, VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_CHANGE, 200, "{\"result\":true,\"status\":\"ok\"}", VERDICT_OK);
	assert_judged(QDRANT_STEPS_CHANGE, 200, "{\"result\":false,\"status\":\"ok\"}", VERDICT_OK);
	assert_judged(QDRANT_STEPS_CHANGE, 200, "{\"status\":\"ok\"}", VERDICT_DOUBT);
}

static void refusals_tell_what_is_known(void **state)
{
	(void)state;
	assert_judged(QDRANT_STEPS_WRITE, 400, "", VERDICT_PERMANENT);
	assert_judged(QDRANT_STEPS_WRITE, 404, "", VERDICT_PERMANENT);
	assert_judged(QDRANT_STEPS_WRITE, 413, "", VERDICT_PERMANENT);
	assert_judged(QDRANT_STEPS_WRITE, 401, "", VERDICT_MISCONFIGURED);
	assert_judged(QDRANT_STEPS_WRITE, 403, "", VERDICT_MISCONFIGURED);
	assert_judged(QDRANT_STEPS_WRITE, 429, "", VERDICT_TRANSIENT);
	assert_judged(QDRANT_STEPS_WRITE, 408, "", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_WRITE, 500, "", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_WRITE, 302, "", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_BATCH, 400, "", VERDICT_DOUBT);
	assert_judged(QDRANT_STEPS_BATCH, 401, "", VERDICT_MISCONFIGURED);
	assert_judged(QDRANT_STEPS_CHANGE, 409, "", VERDICT_PERMANENT);
	assert_judged(QDRANT_STEPS_READ, 404, "", VERDICT_PERMANENT);
	assert_judged(QDRANT_STEPS_READ, 500, "", VERDICT_TRANSIENT);
	assert_judged(QDRANT_STEPS_READ, 200, "rubbish", VERDICT_TRANSIENT);
}

static void the_servers_words_are_passed_on(void **state)
{
	(void)state;
	assert_judged(QDRANT_STEPS_WRITE, 400, "{\"status\":{\"error\":\"Wrong input:\\ndim 3\"}}", VERDICT_PERMANENT);
	assert_non_null(strstr(call.err.text, "HTTP 400: refused: Wrong input: dim 3"));
}

static void a_result_is_status_and_body(void **state)
{
	(void)state;
	call = (struct call){.step = str_of("s")};
	step_codec_begin(&call);
	qdrant_steps_codec_judge(&call, QDRANT_STEPS_READ, 200, 0,
				 str_of("{\"result\": {\"id\": 18446744073709551615}, \"status\": \"ok\"}"), 1000);
	assert_string_equal(call.result_json.at,
			    "{\"status\":200,\"body\":{\"result\":{\"id\":18446744073709551615},\"status\":\"ok\"}}");
	buf_fini(&call.result_json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_wait),
		cmocka_unit_test(a_write_cannot_be_told_not_to_wait),
		cmocka_unit_test(a_path_stays_in_its_collection),
		cmocka_unit_test(the_documents_are_only_read),
		cmocka_unit_test(headers_are_refused),
		cmocka_unit_test(only_completed_is_done),
		cmocka_unit_test(refusals_tell_what_is_known),
		cmocka_unit_test(the_servers_words_are_passed_on),
		cmocka_unit_test(a_result_is_status_and_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
