#include "sim.h"

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_OK] = "ok",       [VERDICT_TRANSIENT] = "transient", [VERDICT_OUTAGE] = "outage",
		[VERDICT_DOUBT] = "doubt", [VERDICT_PERMANENT] = "permanent", [VERDICT_MISCONFIGURED] = "misconfigured",
	};

	MUST((unsigned)verdict < ARRAY_LEN(names));
	return names[verdict];
}

void call_begin(struct sent *call, struct daemon *daemon)
{
	call->daemon = daemon;
	call->action = daemon_act(daemon);
	list_append(&daemon->calls, &call->node);
}

static void call_free(struct sent *call)
{
	struct world *world = &call->daemon->sim->world;

	world_cancel(world, &call->arrival);
	world_cancel(world, &call->again);
	world_cancel(world, &call->answer);
	list_remove(&call->node);
	call->destroy(call);
}

void call_release(struct sent *call)
{
	if (call->is_answered && call->arrival.slot == 0 && call->again.slot == 0)
		call_free(call);
}

void call_finish(struct sent *call)
{
	if (call->is_answered || call->daemon->is_dead)
		return;
	call->is_answered = true;
	world_cancel(&call->daemon->sim->world, &call->answer);
	call->reply(call);
	daemon_touch(call->daemon);
}

void call_worsen(struct sent *call)
{
	struct world *world = &call->daemon->sim->world;

	if (!call->is_answered && call->arrival.slot != 0 && call->redraw != NULL)
		call->redraw(call);
	if (!call->is_answered)
		return;
	if (call->arrival.slot != 0)
		world_after(world, &call->arrival, 0);
	else if (call->again.slot != 0)
		world_after(world, &call->again, 0);
}

void call_orphan(struct sent *call, uint64_t last_action)
{
	struct world *world = &call->daemon->sim->world;

	world_cancel(world, &call->answer);
	if (call->action > last_action) {
		world_cancel(world, &call->arrival);
		world_cancel(world, &call->again);
	}
}

void call_bury(struct sent *call)
{
	if (!call->is_answered) {
		call->is_answered = true;
		call->reply(call);
	}
	call_free(call);
}
