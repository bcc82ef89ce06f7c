#include "pace.h"

#include "base/must.h"

#include <string.h>

/* A window is long enough to tell neighbours apart, and short enough to follow a load that changes. */
#define PACE_WINDOW_REQUESTS 8
#define PACE_WINDOW_NS       ((uint64_t)100 * 1000000u)

/* One that is worked on, and one that is on its way. */
#define PACE_FIRST 2

/* One window in so many tries a neighbour that seemed worse the last time. */
#define PACE_EXPLORE_EVERY 8

/* Less of a difference is noise. */
#define PACE_BETTER 1.03

void pace_init(struct pace *pace, uint32_t max)
{
	MUST(max >= 1 && max <= PACE_MAX);
	*pace = (struct pace){.now = max < PACE_FIRST ? max : PACE_FIRST, .max = max};
}

static void pace_change(struct pace *pace, uint32_t to)
{
	pace->n_settling = to != pace->now ? pace->now : 0;
	pace->now = to;
	pace->has_begun = false;
}

static void pace_begin(struct pace *pace, uint64_t now_ns)
{
	pace->has_begun = true;
	pace->began_ns = now_ns;
	pace->n_requests = 0;
	pace->n_wanted = 0;
	pace->n_writes = 0;
}

/* Down and up in turn; at an end the one neighbour that there is. */
static uint32_t pace_explore(const struct pace *pace)
{
	bool is_up = pace->n_windows / PACE_EXPLORE_EVERY % 2 == 0;

	if (pace->now == 1 || (is_up && pace->now < pace->max))
		return pace->now + 1;
	return pace->now - 1;
}

/* The next number: a neighbour that isn't known, or the best of the three, and of equals the fewest: their batches are
 * the largest, and cost all stores on the machine the least. */
static uint32_t pace_choose(const struct pace *pace)
{
	uint32_t best = pace->now, low = pace->now > 1 ? pace->now - 1 : 1;
	uint32_t high = pace->now < pace->max ? pace->now + 1 : pace->max;

	for (uint32_t i = low; i <= high; i++) {
		if (pace->rates[i] <= 0)
			return i;
		if (pace->rates[i] > pace->rates[best])
			best = i;
	}
	if (pace->n_windows % PACE_EXPLORE_EVERY == 0)
		return pace_explore(pace);
	for (uint32_t i = low; i < best; i++)
		if (pace->rates[i] * PACE_BETTER >= pace->rates[best])
			return i;
	return best;
}

static void pace_learn(struct pace *pace, uint64_t now_ns)
{
	double *rate = &pace->rates[pace->now];
	double seen = (double)pace->n_writes / (double)(now_ns - pace->began_ns);

	*rate = *rate > 0 ? (*rate + seen) / 2 : seen;
	pace->n_windows++;
	pace_change(pace, pace_choose(pace));
}

/* Without load, requests of one write each, a burst shall find all of them free. Under a load that the store keeps up
 * with fewer requests do as well. */
static void pace_end_window(struct pace *pace, uint64_t now_ns)
{
	bool is_full = pace->n_wanted + PACE_WINDOW_REQUESTS / 8 >= pace->n_requests;
	bool is_loaded = pace->n_writes >= 2 * (uint64_t)pace->n_requests;

	if (is_full && pace->max > 1)
		pace_learn(pace, now_ns);
	else if (is_loaded)
		pace_change(pace, pace->now > 1 ? pace->now - 1 : 1);
	else
		pace_change(pace, pace->now < pace->max ? pace->now + 1 : pace->max);
}

void pace_ended(struct pace *pace, uint32_t n_writes, bool is_wanted, bool is_failed, uint64_t now_ns)
{
	/* What was sent before the last change says nothing of the number that is used now. */
	if (pace->n_settling > 0) {
		pace->n_settling--;
		return;
	}
	if (is_failed) {
		memset(pace->rates, 0, sizeof(pace->rates));
		pace_change(pace, pace->now > 1 ? pace->now / 2 : 1);
		return;
	}
	if (!pace->has_begun) {
		pace_begin(pace, now_ns);
		return; /* the window begins with the end of a request, so that each that it counts is in it whole */
	}
	pace->n_requests++;
	pace->n_wanted += is_wanted;
	pace->n_writes += n_writes;
	if (pace->n_requests >= PACE_WINDOW_REQUESTS && now_ns - pace->began_ns >= PACE_WINDOW_NS)
		pace_end_window(pace, now_ns);
}
