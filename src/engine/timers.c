#include "timers.h"

#include <errno.h>
#include <stdlib.h>

void timers_fini(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}

int timers_reserve(struct timers *timers, uint32_t more)
{
	uint32_t wanted = timers->reserved + more, size = timers->size != 0 ? timers->size : 64;
	struct timer **grown;

	if (wanted < more)
		return -ENOMEM;
	if (wanted > timers->size) {
		while (size < wanted)
			size = size > UINT32_MAX / 2 ? wanted : size * 2;
		grown = realloc(timers->heap, size * sizeof(struct timer *));
		if (grown == NULL)
			return -ENOMEM;
		timers->heap = grown;
		timers->size = size;
	}
	timers->reserved = wanted;
	return 0;
}

void timers_release(struct timers *timers, uint32_t fewer)
{
	MUST(fewer <= timers->reserved && timers->n <= timers->reserved);
	timers->reserved -= fewer;
}

static void timers_put(struct timers *timers, uint32_t place, struct timer *timer)
{
	timers->heap[place - 1] = timer;
	timer->place = place;
}

static void timers_rise(struct timers *timers, struct timer *timer)
{
	uint32_t place = timer->place;

	while (place > 1 && timers->heap[place / 2 - 1]->at_ns > timer->at_ns) {
		timers_put(timers, place, timers->heap[place / 2 - 1]);
		place /= 2;
	}
	timers_put(timers, place, timer);
}

static void timers_sink(struct timers *timers, struct timer *timer)
{
	uint32_t place = timer->place;

	while (2 * place <= timers->n) {
		uint32_t child = 2 * place;

		if (child < timers->n && timers->heap[child]->at_ns < timers->heap[child - 1]->at_ns)
			child++;
		if (timers->heap[child - 1]->at_ns >= timer->at_ns)
			break;
		timers_put(timers, place, timers->heap[child - 1]);
		place = child;
	}
	timers_put(timers, place, timer);
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t at_ns)
{
	timers_cancel(timers, timer);
	MUST(timers->n < timers->reserved);
	timer->at_ns = at_ns;
	timer->place = ++timers->n;
	timers_rise(timers, timer);
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
	struct timer *last;
	uint32_t place = timer->place;

	if (place == 0)
		return;
	timer->place = 0;
	last = timers->heap[--timers->n];
	if (last == timer)
		return;
	timers_put(timers, place, last);
	timers_rise(timers, last);
	timers_sink(timers, last);
}

bool timers_fire(struct timers *timers, uint64_t now_ns)
{
	bool has_fired = false;

	while (timers->n > 0 && timers->heap[0]->at_ns <= now_ns) {
		struct timer *timer = timers->heap[0];

		timers_cancel(timers, timer);
		timer->fire(timer);
		has_fired = true;
	}
	return has_fired;
}

uint64_t timers_next_ns(const struct timers *timers)
{
	return timers->n > 0 ? timers->heap[0]->at_ns : UINT64_MAX;
}
