/* The faults that strike by time, whatever is going on: crashes, outages, zombies, clocks. A draw a tick and kind. */
#include "sim.h"

#define TICK_NS (250 * NS_PER_MS)

static struct sim_store *any_store(struct sim *sim)
{
	return &sim->stores[rng_below(&sim->world.rng, SIM_STORES)];
}

static uint64_t until_ns(struct sim *sim, uint64_t most_ns)
{
	return sim->world.now_ns + world_between(&sim->world, 20 * NS_PER_MS, most_ns);
}

static void strike_stores(struct sim *sim)
{
	struct sim_store *server = any_store(sim);

	if (fault_strikes(&sim->faults, FAULT_STORE_DOWN)) {
		server->down_ns = until_ns(sim, 15 * NS_PER_S);
		trace_line(&sim->trace, "%s is down", server->name);
	}
	if (fault_strikes(&sim->faults, FAULT_STORE_MISCONFIGURED)) {
		server->misconfigured_ns = until_ns(sim, 10 * NS_PER_S);
		trace_line(&sim->trace, "%s is misconfigured", server->name);
	}
	/* Bounded, since what it took in the meantime still has its effect (see sim_latest_ns). */
	if (fault_strikes(&sim->faults, FAULT_STORE_MUTE)) {
		server->mute_ns = until_ns(sim, 10 * NS_PER_S);
		trace_line(&sim->trace, "%s is mute", server->name);
	}
}

static void strike_truth(struct sim *sim)
{
	uint32_t n_gone;

	if (fault_strikes(&sim->faults, FAULT_TRUTH_DOWN)) {
		trace_line(&sim->trace, "postgresql is down");
		sim_truth_stop(&sim->truth, until_ns(sim, 10 * NS_PER_S));
	}
	if (sim->has_gone_back || !fault_strikes(&sim->faults, FAULT_TRUTH_WENT_BACK))
		return;
	sim_truth_stop(&sim->truth, until_ns(sim, 5 * NS_PER_S));
	n_gone = sim_truth_go_back(&sim->truth, (uint32_t)world_between(&sim->world, 1, 6));
	trace_line(&sim->trace, "postgresql comes back without its last %u transactions", n_gone);
	sim->has_gone_back = n_gone > 0;
	if (n_gone > 0)
		fault_hit(&sim->faults, FAULT_TRUTH_WENT_BACK);
}

static void strike_daemon(struct sim *sim)
{
	struct daemon *daemon = sim->current;

	if (daemon == NULL || daemon->is_dead || !fault_strikes(&sim->faults, FAULT_CRASH))
		return;
	if (world_chance(&sim->world, 500)) {
		daemon->doom = DOOM_AFTER_TURN;
		return;
	}
	if (daemon->doom != DOOM_SOON)
		world_after(&sim->world, &daemon->death, world_between(&sim->world, 0, TICK_NS));
}

/* The old daemon doesn't notice: a machine that was thought dead, with its journal or without. */
static void strike_zombie(struct sim *sim)
{
	struct daemon *old = sim->current;
	bool has_same_journal = world_chance(&sim->world, 500) || sim->n_disks == DISKS_MAX;

	if (old == NULL || old->is_dead || old->stats.phase != ENGINE_RUNNING || sim->zombie_end.slot != 0 ||
	    !fault_strikes(&sim->faults, FAULT_ZOMBIE))
		return;
	fault_hit(&sim->faults, FAULT_ZOMBIE);
	trace_line(&sim->trace, "d%u gets a successor, with %s journal, and goes on", old->number,
		   has_same_journal ? "the same" : "another");
	old->is_zombie = true;
	old->journal.is_fenced = has_same_journal;
	(void)daemon_start(sim, has_same_journal ? old->journal.disk : sim_disk_add(sim), true);
	world_after(&sim->world, &sim->zombie_end, world_between(&sim->world, NS_PER_S, 20 * NS_PER_S));
}

static void strike_clock(struct sim *sim)
{
	int64_t range_ms = world_chance(&sim->world, 500) ? 5000 : 3 * 86400 * 1000ll;

	if (!fault_strikes(&sim->faults, FAULT_CLOCK_STEP))
		return;
	fault_hit(&sim->faults, FAULT_CLOCK_STEP);
	sim->facts.has_clock_stepped = true;
	sim->world.step_ms = (int64_t)world_between(&sim->world, 0, (uint64_t)(2 * range_ms)) - range_ms;
	trace_line(&sim->trace, "the clock is set to %+lld ms", (long long)sim->world.step_ms);
}

static void on_tick(struct event *event)
{
	struct sim *sim = container_of(event, struct sim, tick);

	strike_stores(sim);
	strike_truth(sim);
	strike_daemon(sim);
	strike_zombie(sim);
	strike_clock(sim);
	world_after(&sim->world, &sim->tick, TICK_NS);
}

static void kill_zombies(struct sim *sim)
{
	struct list *it, *tmp;

	list_each (it, tmp, &sim->daemons) {
		struct daemon *daemon = container_of(it, struct daemon, node);

		if (!daemon->is_zombie || daemon->is_dead)
			continue;
		daemon_crash(daemon);
		clients_daemon_died(&sim->clients, daemon);
	}
}

static void on_zombie_end(struct event *event)
{
	kill_zombies(container_of(event, struct sim, zombie_end));
}

void chaos_begin(struct sim *sim)
{
	sim->tick.fire = on_tick;
	sim->zombie_end.fire = on_zombie_end;
	if (sim->faults.is_on)
		world_after(&sim->world, &sim->tick, TICK_NS);
}

void chaos_end(struct sim *sim)
{
	struct list *it, *tmp;

	sim->faults.is_on = false;
	sim->is_safe = true;
	world_cancel(&sim->world, &sim->tick);
	world_cancel(&sim->world, &sim->zombie_end);
	kill_zombies(sim);
	for (uint32_t i = 0; i < SIM_STORES; i++) {
		struct sim_store *server = &sim->stores[i];

		server->down_ns = server->misconfigured_ns = server->mute_ns = sim->world.now_ns;
	}
	sim->truth.down_ns = sim->world.now_ns;
	list_each (it, tmp, &sim->daemons) {
		struct daemon *daemon = container_of(it, struct daemon, node);

		daemon->doom = DOOM_NONE;
		world_cancel(&sim->world, &daemon->death);
	}
}
