/* The last minutes of what the engine counts: totals since the start say little about now. Samples are taken as time
 * goes, so that a reader who comes once sees rates, too. */
#ifndef SAGAD_SAGAD_OPS_WINDOW_H
#define SAGAD_SAGAD_OPS_WINDOW_H

#include "engine/meter.h"

#include <stdint.h>

#define WINDOW_SAMPLE_MS 2000
#define WINDOW_SAMPLES   90 /* three minutes */
#define WINDOW_RATE      5  /* samples that "now" means: ten seconds */
#define WINDOW_STEP      5  /* samples between two readings of the histograms */
#define WINDOW_READINGS  6  /* of them, a minute in all */

/* Totals at one moment, or what came between two. */
struct window_reading {
	uint64_t n_outcomes[METER_OUTCOMES];
	struct histogram saga_ns;
	struct histogram stores_ns[METER_STORES]; /* all operations */
};

struct window {
	struct {
		uint64_t mono_ns;
		uint64_t n_answers;
	} samples[WINDOW_SAMPLES + 1]; /* a ring */
	uint64_t n_samples;            /* ever taken */
	struct window_reading readings[WINDOW_READINGS];
	uint64_t n_readings;
};

/* All zeroes is an empty window. Call it every WINDOW_SAMPLE_MS. */
void window_sample(struct window *window, const struct meter *meter, uint64_t mono_ns);

/* Sagas answered per second, over the last ten seconds. */
double window_rate(const struct window *window);

/* The rate between each two samples, oldest first; returns how many. */
uint32_t window_rates(const struct window *window, double out_rates[WINDOW_SAMPLES]);

/* What came within the last minute, or since the start when that is shorter. */
void window_last_minute(const struct window *window, const struct meter *meter, struct window_reading *out_minute);

#endif
