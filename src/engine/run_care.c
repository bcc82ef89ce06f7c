#include "run_care.h"

#include "engine/accepted.h"
#include "engine/state.h"

static void run_care_take_of(const struct run *run, uint32_t place, struct batch_item *item, bool *out_is_suspect)
{
	uint32_t cap = run->accepted != NULL ? run->accepted->caps[place] : 0;

	*out_is_suspect = run->saga.deaths[place] > 0 || (run->suspected & (uint32_t)1 << place) != 0;
	if (cap != 0)
		item->cap = cap;
}

/* An attempt that began with the largest batches again would take its neighbours down with it each time. */
void run_care_take(struct run *run)
{
	run->suspected = suspects_stores(&run->engine->suspects, run->saga.plan.content_hash);
	for (uint32_t i = 0; i < run->engine->n_stores; i++)
		run_care_take_of(run, i, &run->legs[i].send.item, &run->legs[i].send.is_suspect);
	run_care_take_of(run, SAGA_TRUTH, &run->pivot.item, &run->pivot.is_suspect);
}

void run_care_leave(const struct run *run)
{
	uint32_t *caps = run->accepted->caps;

	for (uint32_t i = 0; i < run->engine->n_stores; i++)
		caps[i] = run->legs[i].send.item.cap;
	caps[SAGA_TRUTH] = run->pivot.item.cap;
}

/* A death, or a survival, outlives this saga: the next one with this content begins with it. */
static void run_care_note_deaths(struct run *run, const uint32_t before[SAGA_STORES_MAX + 1])
{
	struct engine *engine = run->engine;

	for (uint32_t i = 0; i <= SAGA_TRUTH; i++) {
		uint32_t n_deaths = run->saga.deaths[i];

		if (n_deaths == before[i])
			continue;
		suspects_note(&engine->suspects, run->saga.plan.content_hash, i, n_deaths);
		if (run->accepted != NULL)
			accepted_note_deaths(run->accepted, i, n_deaths);
	}
}

/* Neither does a suspicion, or that it has gone, wait for the saga's end: the same job may be sent again at its answer.
 */
static void run_care_note_suspicion(struct run *run)
{
	uint32_t suspected = run->pivot.is_suspect ? (uint32_t)1 << SAGA_TRUTH : 0;

	for (uint32_t i = 0; i < run->engine->n_stores; i++)
		if (run->legs[i].send.is_suspect)
			suspected |= (uint32_t)1 << i;
	if (suspected != run->suspected)
		suspects_set_stores(&run->engine->suspects, run->saga.plan.content_hash, suspected);
	run->suspected = suspected;
}

void run_care_note(struct run *run, const uint32_t before[SAGA_STORES_MAX + 1])
{
	run_care_note_deaths(run, before);
	run_care_note_suspicion(run);
}
