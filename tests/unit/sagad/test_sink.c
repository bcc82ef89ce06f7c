/* Log lines: one line each whatever clients call their documents, as logfmt, as JSON and for service managers. */
#include "sagad/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <yyjson.h>

static struct sink made(const char *level, const char *format, uint32_t repeats)
{
	struct sink sink;

	sink_init(&sink, &(const struct sink_config){level, format, repeats});
	return sink;
}

static int read_end, saved_stderr;

static void divert(void)
{
	int ends[2];

	saved_stderr = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
	read_end = ends[0];
}

/* What came since divert(). */
static void restore(char *out_text, size_t size_bytes)
{
	ssize_t n;

	assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
	close(saved_stderr);
	n = read(read_end, out_text, size_bytes - 1);
	close(read_end);
	assert_true(n >= 0);
	out_text[n] = '\0';
}

/* What one event writes to standard error. */
static void written(struct sink *sink, enum log_level level, const char *msg, struct str document, char *out_text,
		    size_t size_bytes)
{
	divert();
	log_with(&sink->log, level, LOG_SAGA_FAILED, LOG_FIELDS({"document", document}, {"store", STR_NONE}), "%s",
		 msg);
	restore(out_text, size_bytes);
}

static void a_line_has_time_level_and_fields(void **state)
{
	struct sink sink = made("info", "auto", 0);
	char text[512];

	(void)state;
	written(&sink, LOG_WARN_LEVEL, "saga failed", str_of("plain"), text, sizeof(text));
	assert_memory_equal(text, "time=20", 7);
	assert_non_null(strstr(text, "Z level=warn msg=\"saga failed\" document=plain\n"));
	assert_null(strstr(text, "store"));
}

static void no_value_breaks_the_line(void **state)
{
	struct sink sink = made("info", "logfmt", 0);
	char text[512];

	(void)state;
	written(&sink, LOG_INFO_LEVEL, "m", str_of("a\"b\\ c=\n\x1b[31m"), text, sizeof(text));
	assert_non_null(strstr(text, " msg=m document=\"a\\\"b\\\\ c=\\x0a\\x1b[31m\"\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	written(&sink, LOG_INFO_LEVEL, "m", str_of(""), text, sizeof(text));
	assert_non_null(strstr(text, " document=\"\"\n"));
}

static void json_is_an_object_a_line_and_valid(void **state)
{
	struct sink sink = made("info", "json", 0);
	char text[512];
	yyjson_doc *doc;

	(void)state;
	written(&sink, LOG_WARN_LEVEL, "saga failed", str_of("a\"\\\n\xff \xc3\xa4 \xed\xa0\x80 \xf0\x9f\x98\x80"),
		text, sizeof(text));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	doc = yyjson_read(text, strlen(text), YYJSON_READ_NOFLAG); /* refuses what isn't UTF-8 */
	assert_non_null(doc);
	assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "document")),
			    "a\"\\\n\xef\xbf\xbd \xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80");
	assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "msg")), "saga failed");
	assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "level")), "warn");
	assert_null(yyjson_obj_get(yyjson_doc_get_root(doc), "store"));
	yyjson_doc_free(doc);
}

static void long_values_are_cut(void **state)
{
	struct sink sink = made("info", "logfmt", 0);
	char text[8192], id[4001];

	(void)state;
	memset(id, 'x', 4000);
	id[4000] = '\0';
	written(&sink, LOG_INFO_LEVEL, "m", str_of(id), text, sizeof(text));
	assert_non_null(strstr(text, "xxx...\"\n"));
	assert_true(strlen(text) < 2200);
}

static void lines_below_the_level_are_dropped(void **state)
{
	struct sink sink = made("warn", "logfmt", 0);
	char text[512];

	(void)state;
	written(&sink, LOG_INFO_LEVEL, "m", str_of("x"), text, sizeof(text));
	assert_string_equal(text, "");
}

static void without_its_socket_the_journal_gets_a_priority_and_no_time(void **state)
{
	struct sink sink = made("debug", "journald", 0);
	char text[512];

	(void)state;
	if (access("/run/systemd/journal/socket", F_OK) == 0)
		skip(); /* it would be written to: tests/system/test_log.py reads what arrives there */
	written(&sink, LOG_ERROR_LEVEL, "saga failed", str_of("a b"), text, sizeof(text));
	assert_string_equal(text, "<3>saga failed document=\"a b\"\n");
}

static void repeats_are_told_of_at_the_end(void **state)
{
	struct sink sink = made("info", "logfmt", 3);
	char text[4096];
	unsigned n = 0;

	(void)state;
	divert();
	for (unsigned i = 0; i < 10; i++)
		log_warn(&sink.log, "no room for pid %u", i);
	sink_flush(&sink);
	restore(text, sizeof(text));
	for (const char *at = text; (at = strstr(at, "msg=\"no room")) != NULL; at++)
		n++;
	assert_int_equal(n, 3);
	assert_non_null(strstr(text, "msg=\"... 7 more like this in the last 10 s: no room for pid 0\"\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_and_fields),
		cmocka_unit_test(no_value_breaks_the_line),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(lines_below_the_level_are_dropped),
		cmocka_unit_test(json_is_an_object_a_line_and_valid),
		cmocka_unit_test(without_its_socket_the_journal_gets_a_priority_and_no_time),
		cmocka_unit_test(repeats_are_told_of_at_the_end),
	};

	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
