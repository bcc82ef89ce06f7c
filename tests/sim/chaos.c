/* The faults that strike by time, whatever is going on: crashes, outages, zombies, clocks. A draw a tick and kind, and
 * one more whenever a saga is in a state that doesn't last. */
#include "sim.h"

#define TICK_NS        (250 * NS_PER_MS)
#define GONE_BACK_MOST 3 /* times in a run */

static struct sim_store *any_store(struct sim *sim)
{
	return &sim->stores[rng_below(&sim->world.rng, SIM_STORES)];
}

static uint64_t until_ns(struct sim *sim, uint64_t most_ns)
{
	return sim->world.now_ns + world_between(&sim->world, 20 * NS_PER_MS, most_ns);
}

/* ---- stores ---- */

static void strike_stores(struct sim *sim)
{
	static const struct {
		enum fault fault;
		enum ill ill;
		uint64_t most_s;
	} kinds[] = {
		{FAULT_STORE_DOWN, ILL_DOWN, 15},
		{FAULT_STORE_MISCONFIGURED, ILL_MISCONFIGURED, 10},
		/* Bounded, since what it took in the meantime still has its effect (see sim_latest_ns). */
		{FAULT_STORE_MUTE, ILL_MUTE, 10},
		{FAULT_READ_ONLY, ILL_READ_ONLY, 10},
		{FAULT_LOADING, ILL_LOADING, 5},
		{FAULT_OUT_OF_MEMORY, ILL_OUT_OF_MEMORY, 10},
		{FAULT_RATE_LIMIT, ILL_RATE_LIMIT, 5},
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		struct sim_store *server;

		if (!fault_strikes(&sim->faults, kinds[i].fault))
			continue;
		server = any_store(sim);
		server->ill_ns[kinds[i].ill] = until_ns(sim, kinds[i].most_s * NS_PER_S);
		trace_line(&sim->trace, server->name, "ails", "%s until %.3f", fault_name(kinds[i].fault),
			   (double)server->ill_ns[kinds[i].ill] / 1e9);
	}
}

static void strike_connections(struct sim *sim)
{
	struct store_port *port;

	if (sim->current == NULL || !fault_strikes(&sim->faults, FAULT_HALF_OPEN))
		return;
	port = &sim->current->stores[rng_below(&sim->world.rng, SIM_STORES)];
	port->half_open_ns = until_ns(sim, 2 * sim->config.store_timeout_ms * NS_PER_MS);
	trace_daemon(&sim->trace, sim->current->number, "ails", "its connections to %s lead nowhere until %.3f",
		     port->server->name, (double)port->half_open_ns / 1e9);
}

/* One that never saved anything forgets all. */
static void strike_redis(struct sim *sim)
{
	struct sim_store *server = &sim->stores[STORE_REDIS];

	if (!fault_is_in(&sim->faults, FAULT_REDIS_FORGETS))
		return;
	if (sim->redis_saves && world_chance(&sim->world, 300))
		sim_store_save(server);
	if (!fault_strikes(&sim->faults, FAULT_REDIS_FORGETS))
		return;
	fault_hit(&sim->faults, FAULT_REDIS_FORGETS);
	server->ill_ns[ILL_DOWN] = until_ns(sim, 2 * NS_PER_S);
	sim_store_forget(server);
	sim->facts.is_cache_lossy = true;
	trace_line(&sim->trace, "redis", "dies", "and forgets %s",
		   server->image != NULL ? "its last writes" : "everything");
}

/* ---- PostgreSQL ---- */

static void strike_truth(struct sim *sim)
{
	static const struct {
		enum fault fault;
		enum truth_ill ill;
	} kinds[] = {
		{FAULT_TRUTH_MUTE, TRUTH_MUTE},
		{FAULT_TRUTH_READ_ONLY, TRUTH_READ_ONLY},
		{FAULT_TRUTH_MISCONFIGURED, TRUTH_MISCONFIGURED},
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!fault_strikes(&sim->faults, kinds[i].fault))
			continue;
		sim->truth.ill_ns[kinds[i].ill] = until_ns(sim, 8 * NS_PER_S);
		trace_line(&sim->trace, "postgresql", "ails", "%s until %.3f", fault_name(kinds[i].fault),
			   (double)sim->truth.ill_ns[kinds[i].ill] / 1e9);
	}
	if (!fault_strikes(&sim->faults, FAULT_TRUTH_DOWN))
		return;
	sim_truth_stop(&sim->truth, until_ns(sim, 10 * NS_PER_S));
	trace_line(&sim->trace, "postgresql", "dies", "is back at %.3f", (double)sim->truth.ill_ns[TRUTH_DOWN] / 1e9);
}

static void strike_history(struct sim *sim, uint32_t most)
{
	struct list *it, *tmp;
	uint32_t n_gone;

	if (sim->n_gone_back >= GONE_BACK_MOST || !fault_strikes(&sim->faults, FAULT_TRUTH_WENT_BACK))
		return;
	/* A quick failover, or a slow restore: only the first is over before the sagas have given up. */
	sim_truth_stop(&sim->truth, until_ns(sim, world_chance(&sim->world, 600) ? 50 * NS_PER_MS : 5 * NS_PER_S));
	n_gone = sim_truth_go_back(&sim->truth, (uint32_t)world_between(&sim->world, 1, most));
	trace_line(&sim->trace, "postgresql", "dies", "and comes back without its last %u transactions", n_gone);
	sim->n_gone_back += n_gone > 0;
	list_each (it, tmp, &sim->daemons)
		daemon_note_lost(container_of(it, struct daemon, node));
	if (n_gone > 0)
		fault_hit(&sim->faults, FAULT_TRUTH_WENT_BACK);
}

/* ---- daemons ---- */

static void strike_daemon(struct sim *sim)
{
	struct daemon *daemon = sim->current;

	if (daemon == NULL || daemon->is_dead || daemon->doom != DOOM_NONE || !fault_strikes(&sim->faults, FAULT_CRASH))
		return;
	if (world_chance(&sim->world, 500)) {
		daemon->doom = DOOM_AFTER_TURN;
		return;
	}
	daemon->doom = DOOM_SOON;
	world_after(&sim->world, &daemon->death, world_between(&sim->world, 0, TICK_NS));
}

static void begin_zombie(struct sim *sim, struct daemon *old)
{
	bool has_same_journal = world_chance(&sim->world, 500) || sim->n_disks == DISKS_MAX;

	trace_daemon(&sim->trace, old->number, "zombie", "a successor starts, with %s journal, and it %s",
		     has_same_journal ? "the same" : "another", old->is_asleep ? "is stopped" : "goes on");
	old->is_zombie = true;
	old->journal.is_fenced = has_same_journal;
	(void)daemon_start(sim, has_same_journal ? old->journal.disk : sim_disk_add(sim), true);
	world_after(&sim->world, &sim->zombie_end, world_between(&sim->world, NS_PER_S, 20 * NS_PER_S));
}

/* The old daemon doesn't notice: a machine that was thought dead, with its journal or without. Or it can't notice: it
 * was stopped, with all that it had in flight. */
static void strike_zombie(struct sim *sim)
{
	struct daemon *old = sim->current;

	if (old == NULL || old->is_dead || old->stats.phase != ENGINE_RUNNING || sim->zombie_end.slot != 0)
		return;
	if (fault_strikes(&sim->faults, FAULT_ZOMBIE)) {
		fault_hit(&sim->faults, FAULT_ZOMBIE);
		begin_zombie(sim, old);
	} else if (fault_strikes(&sim->faults, FAULT_ZOMBIE_WAKES)) {
		old->is_asleep = true;
		old->asleep_ns = until_ns(sim, 12 * NS_PER_S);
		daemon_touch(old);
		begin_zombie(sim, old);
	}
}

static void strike_clock(struct sim *sim)
{
	int64_t range_ms = world_chance(&sim->world, 500) ? 5000 : 3 * 86400 * 1000ll;

	if (!fault_strikes(&sim->faults, FAULT_CLOCK_STEP))
		return;
	fault_hit(&sim->faults, FAULT_CLOCK_STEP);
	sim->facts.has_clock_stepped = true;
	sim->world.step_ms = (int64_t)world_between(&sim->world, 0, (uint64_t)(2 * range_ms)) - range_ms;
	trace_line(&sim->trace, "clock", "steps", "set to %+lld ms", (long long)sim->world.step_ms);
}

static void strike_all(struct sim *sim)
{
	strike_stores(sim);
	sim_targets_strike(sim);
	strike_connections(sim);
	strike_redis(sim);
	strike_truth(sim);
	strike_history(sim, 6);
	strike_daemon(sim);
	strike_zombie(sim);
	strike_clock(sim);
}

static void on_tick(struct event *event)
{
	struct sim *sim = container_of(event, struct sim, tick);

	strike_all(sim);
	operator_acts(sim);
	world_after(&sim->world, &sim->tick, TICK_NS);
}

bool chaos_is_rare(const struct daemon *daemon)
{
	const uint64_t *n = daemon->stats.n_by_state;

	return n[SAGA_PIVOT_READY] + n[SAGA_IN_DOUBT] + n[SAGA_CLEANING] > 0;
}

/* Faults come at the worst moment. */
static void worsen_calls(struct sim *sim, const struct daemon *daemon)
{
	const uint32_t worst = 1u << SAGA_PIVOT_READY | 1u << SAGA_PIVOTING | 1u << SAGA_IN_DOUBT | 1u << SAGA_CLEANING;
	const struct list *it;

	for (it = daemon->calls.next; it != &daemon->calls; it = it->next) {
		struct sent *call = (struct sent *)(uintptr_t)it; /* its first member */

		if ((call->arrival.slot != 0 || call->again.slot != 0) && (call->states(call) & worst) != 0 &&
		    world_chance(&sim->world, 300))
			call_worsen(call);
	}
}

void chaos_look(struct sim *sim, const struct daemon *daemon)
{
	if (!sim->faults.is_on || daemon != sim->current)
		return;
	worsen_calls(sim, daemon);
	if (daemon->stats.n_by_state[SAGA_IN_DOUBT] + daemon->stats.n_by_state[SAGA_CLEANING] > 0 &&
	    sim->current->death.slot != 0 && world_chance(&sim->world, 300))
		world_after(&sim->world, &sim->current->death, 0);
	if (chaos_is_rare(daemon))
		strike_all(sim);
	else if (daemon->stats.n_by_state[SAGA_PIVOTING] > 0)
		strike_daemon(sim);
	/* It has read versions, and seen no commit that it could miss: only the pivot itself finds that one is gone. */
	if (uuid_is_nil(&daemon->last_commit) && daemon->stats.n_by_state[SAGA_PROJECTING] > 0)
		strike_history(sim, 30);
}

/* ---- begin and end ---- */

static void kill_zombies(struct sim *sim)
{
	struct list *it, *tmp;

	list_each (it, tmp, &sim->daemons) {
		struct daemon *daemon = container_of(it, struct daemon, node);

		if (!daemon->is_zombie || daemon->is_dead)
			continue;
		daemon_crash(daemon);
		clients_daemon_died(&sim->clients, daemon);
		flow_clients_daemon_died(&sim->flow_clients, daemon);
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

static void heal(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_STORES; i++)
		for (unsigned ill = 0; ill < ILLS; ill++)
			sim->stores[i].ill_ns[ill] = sim->world.now_ns;
	for (unsigned ill = 0; ill < TRUTH_ILLS; ill++)
		sim->truth.ill_ns[ill] = sim->world.now_ns;
	sim_targets_heal(sim);
	for (uint32_t i = 0; i < sim->n_disks; i++)
		sim->disks[i].full_ns = sim->world.now_ns;
}

void chaos_end(struct sim *sim)
{
	struct list *it, *tmp;

	sim->faults.is_on = false;
	sim->is_safe = true;
	world_cancel(&sim->world, &sim->tick);
	world_cancel(&sim->world, &sim->zombie_end);
	kill_zombies(sim);
	heal(sim);
	list_each (it, tmp, &sim->daemons) {
		struct daemon *daemon = container_of(it, struct daemon, node);

		daemon->doom = DOOM_NONE;
		world_cancel(&sim->world, &daemon->death);
		for (uint32_t i = 0; i < SIM_STORES; i++)
			daemon->stores[i].half_open_ns = sim->world.now_ns;
	}
}
