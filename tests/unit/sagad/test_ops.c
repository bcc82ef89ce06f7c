/* What the operations endpoint makes of numbers and texts. */
#include "sagad/ops_internal.h"
#include "sagad/ops_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NBSP "\u00a0"
#define THIN "\u202f"

static void durations_read_well(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0" NBSP "µs"},
		{340000, "340" NBSP "µs"},
		{1400000, "1.4" NBSP "ms"},
		{12000000, "12" NBSP "ms"},
		{999000000, "999" NBSP "ms"},
		{1400000000, "1.4" NBSP "s"},
		{59000000000, "59" NBSP "s"},
		{60000000000, "1" NBSP "min"},
		{200000000000, "3" NBSP "min 20" NBSP "s"},
		{3600000000000, "1" NBSP "h"},
		{93600000000000, "1" NBSP "d 2" NBSP "h"},
	};
	char text[FORMAT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(format_ns(cases[i].ns, text), cases[i].text);
	assert_true(strlen(format_ns(UINT64_MAX, text)) < FORMAT_BYTES);
}

static void counts_and_sizes_read_well(void **state)
{
	char text[FORMAT_BYTES];

	(void)state;
	assert_string_equal(format_count(0, text), "0");
	assert_string_equal(format_count(999, text), "999");
	assert_string_equal(format_count(1234567, text), "1" THIN "234" THIN "567");
	assert_true(strlen(format_count(UINT64_MAX, text)) < FORMAT_BYTES);
	assert_string_equal(format_bytes(512, text), "512" NBSP "B");
	assert_string_equal(format_bytes(3565158, text), "3.4" NBSP "MiB");
	assert_true(strlen(format_bytes(UINT64_MAX, text)) < FORMAT_BYTES);
	assert_string_equal(format_rate(0, text), "0");
	assert_string_equal(format_rate(0.42, text), "0.4");
	assert_string_equal(format_rate(42.4, text), "42");
	assert_string_equal(format_rate(1200, text), "1" THIN "200");
	assert_string_equal(format_time(1795281006000, true, text), "2026-11-21T17:10:06Z");
	assert_string_equal(format_time(1795281006000, false, text), "2026-11-21 17:10:06 UTC");
	assert_true(strlen(format_time(INT64_MAX, true, text)) < FORMAT_BYTES);
}

static void html_is_harmless(void **state)
{
	struct buf out = {0};

	(void)state;
	format_html(&out, str_of("<a href=\"x\" b='y'>&amp;\x01\n\x7f\xe2\x98\x83</a>"));
	assert_string_equal(out.at, "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;???\xe2\x98\x83&lt;/a&gt;");
	buf_clear(&out);
	format_html(&out, STR_NONE);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

static void answer(struct meter *meter, unsigned n)
{
	struct outcome outcome = {.kind = OUTCOME_COMMITTED};

	while (n-- > 0)
		meter_answer(meter, &outcome, str_of("d"), 1000000, 0);
}

static void a_window_knows_now_and_the_last_minute(void **state)
{
	static struct window window;
	static struct meter meter;
	static struct window_reading minute;
	double rates[WINDOW_SAMPLES];
	uint64_t now_ns = 0;

	(void)state;
	meter_init(&meter);
	assert_true(window_rate(&window) == 0);
	assert_int_equal(window_rates(&window, rates), 0);
	answer(&meter, 1000); /* long ago */
	window_sample(&window, &meter, now_ns);
	for (unsigned i = 0; i < 300; i++) {
		now_ns += (uint64_t)WINDOW_SAMPLE_MS * 1000000;
		answer(&meter, 20);
		window_sample(&window, &meter, now_ns);
	}
	assert_true(window_rate(&window) > 9.99 && window_rate(&window) < 10.01);
	assert_int_equal(window_rates(&window, rates), WINDOW_SAMPLES);
	for (unsigned i = 0; i < WINDOW_SAMPLES; i++)
		assert_true(rates[i] > 9.99 && rates[i] < 10.01);
	window_last_minute(&window, &meter, &minute);
	assert_in_range(minute.n_outcomes[METER_COMMITTED], 500, 600); /* 50 to 60 seconds of 10 each */
	assert_int_equal(minute.saga_ns.n, minute.n_outcomes[METER_COMMITTED]);
	assert_true(histogram_quantile(&minute.saga_ns, 0.9) <= 1000000);
}

static void a_young_window_tells_of_the_time_since_the_start(void **state)
{
	static struct window window;
	static struct meter meter;
	static struct window_reading minute;

	(void)state;
	meter_init(&meter);
	answer(&meter, 3);
	window_last_minute(&window, &meter, &minute);
	assert_int_equal(minute.n_outcomes[METER_COMMITTED], 3);
	window_sample(&window, &meter, 0);
	answer(&meter, 4);
	window_last_minute(&window, &meter, &minute);
	assert_int_equal(minute.n_outcomes[METER_COMMITTED], 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_read_well),
		cmocka_unit_test(counts_and_sizes_read_well),
		cmocka_unit_test(html_is_harmless),
		cmocka_unit_test(a_window_knows_now_and_the_last_minute),
		cmocka_unit_test(a_young_window_tells_of_the_time_since_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
