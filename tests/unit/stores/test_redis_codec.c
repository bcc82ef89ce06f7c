#include "lib/documents.h"
#include "stores/redis/redis_codec.h"
#include "stores/redis/redis_url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include <cmocka.h>

static struct redis_codec codec = {
	.key_prefix = "sagad", .staging_ttl_s = 7200, .fence_ttl_s = 86400, .cache_ttl_s = 3600};

#define FULL                                                                                                           \
	"{\"id\":\"d}\\\"1\",\"title\":\"T\\u00e4\",\"source\":\"s\",\"content\":\"one\\ntwo\","                       \
	"\"metadata\":{\"n\":1.50,\"deep\":{\"a\":[null]}},\"chunks\":[{\"id\":\"b\",\"text\":\"x\",\"embedding\":"    \
	"[1,2]},{\"text\":\"y\",\"embedding\":[3,4]}]}"

static bool arg_is(const struct redis_command *command, uint32_t at, const char *text)
{
	struct str arg = {command->argv[at], command->lens[at]};

	assert_true(at < command->argc);
	return str_is_equal(arg, str_of(text));
}

/* ---- the value ---- */

static void the_value_begins_with_its_version(void **state)
{
	struct document *document = documents_make(FULL);
	struct uuid saga = documents_saga(7);
	char version[UUID_TEXT_BYTES];
	size_t len = 0;
	char *value = redis_codec_value(document, &saga, &len);

	(void)state;
	assert_non_null(value);
	uuid_format(&saga, version);
	assert_memory_equal(value, "{\"version\":\"", 12);
	assert_memory_equal(value + 12, version, 36); /* bytes 12 to 47: the scripts rest on it */
	assert_int_equal(value[48], '"');
	free(value);
	document_destroy(document);
}

static void the_value_has_every_field(void **state)
{
	struct document *document = documents_make(FULL);
	struct uuid saga = documents_saga(7);
	size_t len = 0;
	char *value = redis_codec_value(document, &saga, &len);
	yyjson_doc *json = yyjson_read(value, len, 0);
	yyjson_val *root = yyjson_doc_get_root(json);

	(void)state;
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "id")), "d}\"1");
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "title")), "T\xc3\xa4");
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "source")), "s");
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "content")), "one\ntwo");
	assert_true(yyjson_is_null(yyjson_ptr_get(root, "/metadata/deep/a/0")));
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "chunks")), 2);
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/chunks/0")), "b");
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/chunks/1")), "1");
	assert_non_null(strstr(value, "\"n\":1.5,"));
	yyjson_doc_free(json);
	free(value);
	document_destroy(document);
}

static void what_was_not_given_is_left_out(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct uuid saga = documents_saga(7);
	size_t len = 0;
	char *value = redis_codec_value(document, &saga, &len);

	(void)state;
	assert_null(strstr(value, "title"));
	assert_null(strstr(value, "metadata"));
	assert_non_null(strstr(value, "\"chunks\":[]"));
	free(value);
	document_destroy(document);
}

/* ---- commands ---- */

static void an_apply_names_its_three_keys(void **state)
{
	struct document *document = documents_make(FULL);
	struct leg_write write = {
		.op = LEG_APPLY, .saga = documents_saga(1), .document_id = document->id, .document = document};
	struct redis_command command;
	char saga[UUID_TEXT_BYTES], key[128];

	(void)state;
	uuid_format(&write.saga, saga);
	assert_int_equal(redis_codec_command(&codec, &write, false, &command), 0);
	assert_int_equal(command.argc, 9);
	assert_true(arg_is(&command, 0, "EVALSHA"));
	assert_true(arg_is(&command, 1, codec.sha[LEG_APPLY]));
	assert_true(arg_is(&command, 2, "3"));
	assert_true(arg_is(&command, 3, "sagad:doc:{d}\"1}"));
	(void)snprintf(key, sizeof(key), "sagad:stage:{d}\"1}:%s", saga);
	assert_true(arg_is(&command, 4, key));
	(void)snprintf(key, sizeof(key), "sagad:dead:{d}\"1}:%s", saga);
	assert_true(arg_is(&command, 5, key));
	assert_true(arg_is(&command, 6, saga));
	assert_memory_equal(command.argv[7], "{\"version\":\"", 12);
	assert_true(arg_is(&command, 8, "7200"));
	assert_true(redis_codec_bytes(&write) >= command.lens[7]);
	redis_codec_free(&command);
	document_destroy(document);
}

static void a_publish_has_a_value_when_it_is_known(void **state)
{
	struct document *document = documents_make(FULL);
	struct leg_write write = {.op = LEG_PUBLISH,
				  .saga = documents_saga(1),
				  .document_id = document->id,
				  .document = document,
				  .cache_ttl_s = 60};
	struct redis_command command;

	(void)state;
	assert_int_equal(redis_codec_command(&codec, &write, true, &command), 0);
	assert_int_equal(command.argc, 9);
	assert_true(arg_is(&command, 0, "EVAL"));
	assert_true(arg_is(&command, 1, redis_scripts_text(LEG_PUBLISH)));
	assert_true(arg_is(&command, 7, "60"));
	redis_codec_free(&command);
	write.document = NULL;
	write.cache_ttl_s = 0;
	assert_int_equal(redis_codec_command(&codec, &write, false, &command), 0);
	assert_int_equal(command.argc, 8);
	assert_true(arg_is(&command, 7, "3600"));
	redis_codec_free(&command);
	document_destroy(document);
}

static void a_removal_takes_the_saga_only(void **state)
{
	struct leg_write write = {.op = LEG_REMOVE, .saga = documents_saga(3), .document_id = {"a\0b", 3}};
	struct redis_command command;

	(void)state;
	assert_int_equal(redis_codec_command(&codec, &write, false, &command), 0);
	assert_int_equal(command.argc, 8);
	assert_int_equal(command.lens[3], strlen("sagad:doc:{}") + 3); /* binary safe */
	assert_true(arg_is(&command, 7, "86400"));
	redis_codec_free(&command);
}

static void every_script_has_its_own_name(void **state)
{
	(void)state;
	for (int op = 0; op < LEG_OPS; op++) {
		assert_int_equal(strlen(codec.sha[op]), 40);
		for (int other = 0; other < op; other++)
			assert_string_not_equal(codec.sha[op], codec.sha[other]);
	}
}

/* ---- replies ---- */

struct error_case {
	const char *text;
	enum verdict verdict;
	enum redis_codec_hint hint;
};

static const struct error_case errors[] = {
	{"NOSCRIPT No matching script. Please use EVAL.", VERDICT_TRANSIENT, REDIS_HINT_SEND_TEXT},
	{"OOM command not allowed when used memory > 'maxmemory'.", VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"MISCONF Redis is configured to save RDB snapshots, but", VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"READONLY You can't write against a read only replica.", VERDICT_OUTAGE, REDIS_HINT_RECONNECT},
	{"MASTERDOWN Link with MASTER is down", VERDICT_OUTAGE, REDIS_HINT_RECONNECT},
	{"ERR max number of clients reached", VERDICT_OUTAGE, REDIS_HINT_RECONNECT},
	{"LOADING Redis is loading the dataset in memory", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	{"BUSY Redis is busy running a script.", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	{"TRYAGAIN Multiple keys request during rehashing", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	{"NOAUTH Authentication required.", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"WRONGPASS invalid username-password pair", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"NOPERM this user has no permissions", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
	{"MOVED 3999 127.0.0.1:6381", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
	{"ERR Error running script (call to f_1): @user_script:3: @user_script: 3: -OOM command not allowed",
	 VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"ERR Error running script (call to f_1): @user_script:3: -READONLY You can't write", VERDICT_OUTAGE,
	 REDIS_HINT_RECONNECT},
	{"ERR Error running script (call to f_1): something - odd -", VERDICT_PERMANENT, REDIS_HINT_NONE},
	{"WRONGTYPE Operation against a key", VERDICT_PERMANENT, REDIS_HINT_NONE},
	{"CROSSSLOT Keys in request don't hash to the same slot", VERDICT_PERMANENT, REDIS_HINT_NONE},
	{"", VERDICT_PERMANENT, REDIS_HINT_NONE},
};

static void errors_have_their_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		enum redis_codec_hint hint;
		enum verdict verdict = redis_codec_error(str_of(errors[i].text), &hint);
		if (verdict != errors[i].verdict || hint != errors[i].hint)
			fail_msg("\"%s\" has verdict %d, hint %d", errors[i].text, verdict, hint);
	}
}

static enum verdict verdict_of(enum leg_op op, enum redis_reply_kind kind, const char *text)
{
	struct leg_write write = {.op = op, .document_id = str_of("d"), .saga = documents_saga(1)};

	(void)redis_codec_reply(&write, kind, str_of(text));
	if (write.verdict != VERDICT_OK) {
		assert_non_null(strstr(write.err.text, "redis"));
		assert_non_null(strstr(write.err.text, "\"d\""));
	}
	return write.verdict;
}

static void words_have_their_meaning(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(LEG_APPLY, REDIS_REPLY_IS_TEXT, "staged"), VERDICT_OK);
	assert_int_equal(verdict_of(LEG_APPLY, REDIS_REPLY_IS_TEXT, "live"), VERDICT_OK);
	assert_int_equal(verdict_of(LEG_APPLY, REDIS_REPLY_IS_TEXT, "dead"), VERDICT_TRANSIENT);
	assert_int_equal(verdict_of(LEG_PUBLISH, REDIS_REPLY_IS_TEXT, "dead"), VERDICT_OK);
	assert_int_equal(verdict_of(LEG_PUBLISH, REDIS_REPLY_IS_TEXT, "newer"), VERDICT_OK);
	assert_int_equal(verdict_of(LEG_REMOVE, REDIS_REPLY_IS_TEXT, "fenced"), VERDICT_OK);
	assert_int_equal(verdict_of(LEG_REMOVE, REDIS_REPLY_IS_TEXT, "staged"), VERDICT_DOUBT);
	assert_int_equal(verdict_of(LEG_APPLY, REDIS_REPLY_IS_TEXT, ""), VERDICT_DOUBT);
	assert_int_equal(verdict_of(LEG_APPLY, REDIS_REPLY_IS_OTHER, NULL), VERDICT_DOUBT);
	assert_int_equal(verdict_of(LEG_APPLY, REDIS_REPLY_IS_ERROR, "OOM command"), VERDICT_OUTAGE);
}

static void info_fields_are_found(void **state)
{
	const struct str info = str_of("# Server\r\nredis_version_x:no\r\nredis_version:7.0.15\r\n\r\nrole:master");
	char text[8];

	(void)state;
	redis_codec_info(info, "redis_version", text, sizeof(text));
	assert_string_equal(text, "7.0.15");
	redis_codec_info(info, "role", text, sizeof(text));
	assert_string_equal(text, "master");
	redis_codec_info(info, "nothing", text, sizeof(text));
	assert_string_equal(text, "");
	redis_codec_info(STR_NONE, "role", text, sizeof(text));
	assert_string_equal(text, "");
}

/* ---- URLs ---- */

static struct redis_url parsed(const char *text)
{
	struct redis_url url = {0};
	struct err err = {0};

	if (redis_url_parse(text, &url, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return url;
}

static void urls_are_read_as_people_write_them(void **state)
{
	struct redis_url url = parsed("redis://localhost");

	(void)state;
	assert_string_equal(url.host, "localhost");
	assert_int_equal(url.port, 6379);
	assert_int_equal(url.db, 0);
	assert_false(url.is_tls);
	url = parsed("redis://:s%40cret%2F@cache.example:7000/3");
	assert_string_equal(url.user, "");
	assert_string_equal(url.password, "s@cret/");
	assert_string_equal(url.host, "cache.example");
	assert_int_equal(url.port, 7000);
	assert_int_equal(url.db, 3);
	url = parsed("redis://me:pw@[::1]:6380/");
	assert_string_equal(url.user, "me");
	assert_string_equal(url.host, "::1");
	assert_int_equal(url.port, 6380);
	url = parsed("rediss://cache.example?db=2");
	assert_true(url.is_tls);
	assert_int_equal(url.db, 2);
	url = parsed("unix:///run/redis/redis.sock?db=4");
	assert_string_equal(url.path, "/run/redis/redis.sock");
	assert_string_equal(url.host, "");
	assert_int_equal(url.db, 4);
	url = parsed("unix://me:pw@/run/redis.sock");
	assert_string_equal(url.path, "/run/redis.sock");
	assert_string_equal(url.password, "pw");
}

static void wrong_urls_are_refused_without_the_password(void **state)
{
	static const char *const wrong[] = {
		"",
		"localhost:6379",
		"http://:hunter2@localhost",
		"redis://:hunter2@",
		"redis://:hunter2@localhost:0",
		"redis://:hunter2@localhost:70000",
		"redis://:hunter2@localhost/notes",
		"redis://:hunter2@localhost/1/2",
		"redis://:hunter2@localhost/99999999999",
		"redis://:hunter2@localhost?timeout=3",
		"redis://:hunter2%00@localhost",
		"redis://me@localhost",
		"unix://relative",
		"unix://run/redis.sock", /* two slashes: "run" would be a host */
		"unix:///",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct redis_url url = {.db = 77};
		struct err err = {0};
		if (redis_url_parse(wrong[i], &url, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i]);
		assert_int_equal(url.db, 77);
		assert_true(err.text[0] != '\0');
		assert_null(strstr(err.text, "hunter2"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_value_begins_with_its_version),
		cmocka_unit_test(the_value_has_every_field),
		cmocka_unit_test(what_was_not_given_is_left_out),
		cmocka_unit_test(an_apply_names_its_three_keys),
		cmocka_unit_test(a_publish_has_a_value_when_it_is_known),
		cmocka_unit_test(a_removal_takes_the_saga_only),
		cmocka_unit_test(every_script_has_its_own_name),
		cmocka_unit_test(errors_have_their_class),
		cmocka_unit_test(words_have_their_meaning),
		cmocka_unit_test(info_fields_are_found),
		cmocka_unit_test(urls_are_read_as_people_write_them),
		cmocka_unit_test(wrong_urls_are_refused_without_the_password),
	};

	redis_codec_init(&codec);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
