#include "ops_window.h"

#include <string.h>

static uint64_t answers_of(const struct meter *meter)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < METER_OUTCOMES; i++)
		n += meter->n_outcomes[i];
	return n;
}

static void reading_take(struct window_reading *reading, const struct meter *meter)
{
	memcpy(reading->n_outcomes, meter->n_outcomes, sizeof(reading->n_outcomes));
	reading->saga_ns = meter->saga_ns;
	for (unsigned i = 0; i < METER_STORES; i++) {
		histogram_init(&reading->stores_ns[i], HISTOGRAM_LEAST_NS);
		for (unsigned op = 0; op < METER_OPERATIONS; op++)
			histogram_merge(&reading->stores_ns[i], &meter->stores[i].latency_ns[op]);
	}
}

void window_sample(struct window *window, const struct meter *meter, uint64_t mono_ns)
{
	uint64_t place = window->n_samples % (WINDOW_SAMPLES + 1);

	window->samples[place].mono_ns = mono_ns;
	window->samples[place].n_answers = answers_of(meter);
	if (window->n_samples % WINDOW_STEP == 0)
		reading_take(&window->readings[window->n_readings++ % WINDOW_READINGS], meter);
	window->n_samples++;
}

/* Between the sample that is `older` samples before the newest and the one `newer` before it. */
static double rate_between(const struct window *window, uint64_t older, uint64_t newer)
{
	uint64_t from = (window->n_samples - 1 - older) % (WINDOW_SAMPLES + 1);
	uint64_t to = (window->n_samples - 1 - newer) % (WINDOW_SAMPLES + 1);
	uint64_t ns = window->samples[to].mono_ns - window->samples[from].mono_ns;

	if (ns == 0)
		return 0;
	return (double)(window->samples[to].n_answers - window->samples[from].n_answers) * 1e9 / (double)ns;
}

static uint64_t intervals(const struct window *window)
{
	if (window->n_samples < 2)
		return 0;
	return window->n_samples - 1 < WINDOW_SAMPLES ? window->n_samples - 1 : WINDOW_SAMPLES;
}

double window_rate(const struct window *window)
{
	uint64_t n = intervals(window);

	return n == 0 ? 0 : rate_between(window, n < WINDOW_RATE ? n : WINDOW_RATE, 0);
}

uint32_t window_rates(const struct window *window, double out_rates[WINDOW_SAMPLES])
{
	uint64_t n = intervals(window);

	for (uint64_t i = 0; i < n; i++)
		out_rates[i] = rate_between(window, n - i, n - i - 1);
	return (uint32_t)n;
}

void window_last_minute(const struct window *window, const struct meter *meter, struct window_reading *out_minute)
{
	const struct window_reading *oldest;
	struct window_reading now;

	reading_take(&now, meter);
	if (window->n_readings == 0) {
		*out_minute = now;
		return;
	}
	oldest = &window->readings[window->n_readings < WINDOW_READINGS ? 0 : window->n_readings % WINDOW_READINGS];
	for (unsigned i = 0; i < METER_OUTCOMES; i++)
		out_minute->n_outcomes[i] = now.n_outcomes[i] - oldest->n_outcomes[i];
	histogram_between(&now.saga_ns, &oldest->saga_ns, &out_minute->saga_ns);
	for (unsigned i = 0; i < METER_STORES; i++)
		histogram_between(&now.stores_ns[i], &oldest->stores_ns[i], &out_minute->stores_ns[i]);
}
