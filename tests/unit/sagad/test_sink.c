/* Log lines: one line each whatever clients call their documents, in logfmt or for the journal. */
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

/* What one event writes to standard error. */
static void written(struct sink *sink, enum log_level level, const char *msg, struct str document, char *out_text,
		    size_t size_bytes)
{
	const struct sink_field fields[] = {{"document", document}, {"store", STR_NONE}};
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	sink_event(sink, level, msg, fields, 2);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(ends[1]);
	n = read(ends[0], out_text, size_bytes - 1);
	close(ends[0]);
	assert_true(n >= 0);
	out_text[n] = '\0';
}

static void a_line_has_time_level_and_fields(void **state)
{
	struct sink sink;
	char text[512];

	(void)state;
	sink_init(&sink, LOG_INFO_LEVEL);
	written(&sink, LOG_WARN_LEVEL, "saga failed", str_of("plain"), text, sizeof(text));
	assert_memory_equal(text, "time=20", 7);
	assert_non_null(strstr(text, "Z level=warn msg=\"saga failed\" document=plain\n"));
	assert_null(strstr(text, "store"));
}

static void no_value_breaks_the_line(void **state)
{
	struct sink sink;
	char text[512];

	(void)state;
	sink_init(&sink, LOG_INFO_LEVEL);
	written(&sink, LOG_INFO_LEVEL, "m", str_of("a\"b\\ c=\n\x1b[31m"), text, sizeof(text));
	assert_non_null(strstr(text, " msg=m document=\"a\\\"b\\\\ c=\\x0a\\x1b[31m\"\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	written(&sink, LOG_INFO_LEVEL, "m", str_of(""), text, sizeof(text));
	assert_non_null(strstr(text, " document=\"\"\n"));
}

static void long_values_are_cut(void **state)
{
	struct sink sink;
	char text[2048], id[1001];

	(void)state;
	memset(id, 'x', 1000);
	id[1000] = '\0';
	sink_init(&sink, LOG_INFO_LEVEL);
	written(&sink, LOG_INFO_LEVEL, "m", str_of(id), text, sizeof(text));
	assert_non_null(strstr(text, "xxx...\"\n"));
	assert_true(strlen(text) < 700);
}

static void lines_below_the_level_are_dropped(void **state)
{
	struct sink sink;
	char text[512];

	(void)state;
	sink_init(&sink, sink_level_of("warn"));
	written(&sink, LOG_INFO_LEVEL, "m", str_of("x"), text, sizeof(text));
	assert_string_equal(text, "");
}

static void the_journal_gets_a_priority_and_no_time(void **state)
{
	struct sink sink;
	char text[512];

	(void)state;
	sink_init(&sink, LOG_DEBUG_LEVEL);
	assert_false(sink.is_journal);
	sink.is_journal = true;
	written(&sink, LOG_ERROR_LEVEL, "saga failed", str_of("a b"), text, sizeof(text));
	assert_string_equal(text, "<3>saga failed document=\"a b\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_and_fields),
		cmocka_unit_test(no_value_breaks_the_line),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(lines_below_the_level_are_dropped),
		cmocka_unit_test(the_journal_gets_a_priority_and_no_time),
	};

	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
