/* In which states a daemon's sagas are. The engine tells nobody, so this looks into it. */
#include "sim.h"

#include "engine/run.h"

#include <stdlib.h>

struct seen_saga {
	struct uuid saga;
	enum saga_state state;
	UT_hash_handle hh;
};

static uint32_t state_bit(const struct run *run)
{
	return 1u << (saga_is_terminal(&run->saga) ? FAULT_AFTER : run->saga.state);
}

uint32_t daemon_states_of(const struct daemon *daemon, enum leg_op op, const struct uuid *version)
{
	struct list *it, *tmp;

	if (daemon->is_dead)
		return 1u << FAULT_AFTER;
	list_each (it, tmp, &daemon->engine->runs) {
		const struct run *run = container_of(it, struct run, node);

		if (uuid_compare(&run->saga.id, version) == 0 || (op == LEG_REMOVE && run->saga.state == SAGA_OWING &&
								  uuid_compare(&run->saga.replaced, version) == 0))
			return state_bit(run);
	}
	return 1u << FAULT_AFTER;
}

uint32_t daemon_states_of_reader(const struct daemon *daemon, const struct truth_read *read)
{
	struct list *it, *tmp;

	list_each (it, tmp, &daemon->engine->runs) {
		const struct run *run = container_of(it, struct run, node);

		if (&run->read.read == read)
			return state_bit(run);
	}
	return 1u << FAULT_AFTER; /* a question */
}

/* ---- for the trace ---- */

static void trace_move(struct daemon *daemon, const struct run *run)
{
	const struct saga *saga = &run->saga;
	struct seen_saga *seen;

	HASH_FIND(hh, daemon->seen, &saga->id, sizeof(saga->id), seen);
	if (seen == NULL) {
		seen = calloc(1, sizeof(*seen));
		MUST(seen != NULL);
		seen->saga = saga->id;
		seen->state = SAGA_QUEUED;
		HASH_ADD(hh, daemon->seen, saga, sizeof(seen->saga), seen);
	}
	if (seen->state == saga->state)
		return;
	trace_daemon(&daemon->sim->trace, daemon->number, "state", "%s of %.*s: %s -> %s", trace_id(&saga->id),
		     STR_ARG(run->document_id), saga_state_name(seen->state), saga_state_name(saga->state));
	seen->state = saga->state;
}

void states_trace(struct daemon *daemon)
{
	struct list *it, *tmp;

	list_each (it, tmp, &daemon->engine->runs)
		trace_move(daemon, container_of(it, struct run, node));
}

void states_forget(struct daemon *daemon)
{
	struct seen_saga *seen, *next;

	HASH_ITER(hh, daemon->seen, seen, next)
	{
		HASH_DEL(daemon->seen, seen);
		free(seen);
	}
}
