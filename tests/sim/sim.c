#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define SHUFFLE_STEP    0x2545f4914f6cdd1du    /* any odd number */
#define CACHE_LIFE_NS   (2 * 3600 * NS_PER_S)  /* longer than any cached value's */
#define SETTLE_LIMIT_NS (12 * 3600 * NS_PER_S) /* a run that has not come to rest by then never does */

uint64_t sim_delay_ns(struct sim *sim)
{
	struct world *world = &sim->world;

	return world_chance(world, 900) ? world_between(world, 50 * 1000, 3 * NS_PER_MS)
					: world_between(world, 3 * NS_PER_MS, 200 * NS_PER_MS);
}

/* With a mute store behind it (10 s) it stays under the window; a removal that comes after the window finds it. */
uint64_t sim_latest_ns(const struct sim *sim)
{
	return sim->config.late_write_window_ms * NS_PER_MS / 2;
}

bool sim_step(struct sim *sim)
{
	if (!world_step(&sim->world))
		return false;
	invariants_after_step(sim);
	if (sim->run->spoil != NULL)
		sim->run->spoil(sim);
	return true;
}

static void draw_config(struct sim *sim)
{
	struct world *world = &sim->world;
	struct engine_config *config = &sim->config;
	struct engine_config small; /* drawn in any case: what else is drawn stays the same */

	*config = engine_config_default();
	config->store_timeout_ms = world_between(world, 800, 4000);
	config->truth_timeout_ms = world_between(world, 800, 4000);
	config->deadline_ms = world_between(world, 3000, 20000);
	config->late_write_window_ms = world_between(world, 40000, 90000);
	config->max_tries = (uint32_t)world_between(world, 2, 8);
	config->retry =
		(struct backoff){world_between(world, 5, 50) * NS_PER_MS, world_between(world, 200, 2000) * NS_PER_MS};
	config->background =
		(struct backoff){world_between(world, 50, 500) * NS_PER_MS, world_between(world, 2, 30) * NS_PER_S};
	config->park_after_ms = world_between(world, 30, 900) * 1000;
	config->parked_retry_ms = world_between(world, 60, 600) * 1000;
	small.max_sagas = (uint32_t)world_between(world, 2, 12);
	small.max_waiting = (uint32_t)world_between(world, 1, 6);
	small.max_errands = (uint32_t)world_between(world, 4, 60);
	small.max_bytes = (size_t)world_between(world, 8000, 60000);
	if (!fault_is_in(&sim->faults, FAULT_OVERLOAD))
		return;
	config->max_sagas = small.max_sagas;
	config->max_waiting = small.max_waiting;
	config->max_errands = small.max_errands;
	config->max_bytes = small.max_bytes;
}

struct sim_disk *sim_disk_add(struct sim *sim)
{
	MUST(sim->n_disks < DISKS_MAX);
	sim_disk_init(&sim->disks[sim->n_disks], sim);
	return &sim->disks[sim->n_disks++];
}

static void on_restart(struct event *event)
{
	struct sim *sim = container_of(event, struct sim, restart);
	struct daemon *daemon;

	if (sim->n_disks < DISKS_MAX && fault_strikes(&sim->faults, FAULT_JOURNAL_LOST)) {
		sim_disk_lose(sim->restart_disk);
		sim->restart_disk = sim_disk_add(sim);
	}
	daemon = daemon_start(sim, sim->restart_disk, true);
	if (daemon->is_dead)
		return;
	if (fault_strikes(&sim->faults, FAULT_CRASH_IN_RECOVERY)) {
		daemon->doom = DOOM_IN_RECOVERY;
		daemon->doom_actions = world_between(&sim->world, 1, 10);
	} else if (fault_strikes(&sim->faults, FAULT_CRASH_TWICE)) {
		daemon->doom = DOOM_TWICE;
		world_after(&sim->world, &daemon->death, world_between(&sim->world, 0, 2 * NS_PER_S));
	}
}

void sim_daemon_ended(struct daemon *daemon)
{
	struct sim *sim = daemon->sim;

	daemon_crash(daemon); /* one that halted exits */
	clients_daemon_died(&sim->clients, daemon);
	flow_clients_daemon_died(&sim->flow_clients, daemon);
	if (daemon != sim->current)
		return;
	sim->restart_disk = daemon->journal.disk;
	world_after(&sim->world, &sim->restart, world_between(&sim->world, 10 * NS_PER_MS, 4 * NS_PER_S));
}

void sim_init(struct sim *sim, const struct sim_case *run, enum trace_mode mode)
{
	memset(sim, 0, sizeof(*sim));
	sim->run = run;
	world_init(&sim->world, run->seed);
	trace_init(&sim->trace, mode, &sim->world);
	faults_init(&sim->faults, &sim->world, run);
	sim->faults.trace = &sim->trace;
	facts_init(&sim->facts, &sim->trace, (1u << SIM_STORES) - 1);
	draw_config(sim);
	sim->facts.max_tries = sim->config.max_tries;
	sim->redis_saves = world_chance(&sim->world, 500);
	sim_truth_init(&sim->truth, sim);
	for (uint32_t i = 0; i < SIM_STORES; i++)
		sim_store_init(&sim->stores[i], sim, i);
	list_init(&sim->daemons);
	sim->restart.fire = on_restart;
	clients_init(&sim->clients, sim);
	sim_targets_init(sim);
	flow_facts_init(&sim->flow_facts, sim);
	flow_clients_init(&sim->flow_clients, sim);
	flow_clients_configure(sim);
}

void sim_fini(struct sim *sim)
{
	struct list *it, *tmp;

	sim->trace.mode = TRACE_OFF; /* what the dead are told is no part of the story */
	list_each (it, tmp, &sim->daemons)
		daemon_bury(container_of(it, struct daemon, node));
	clients_fini(&sim->clients);
	flow_clients_fini(&sim->flow_clients);
	for (uint32_t i = 0; i < sim->n_disks; i++)
		sim_disk_fini(&sim->disks[i]);
	for (uint32_t i = 0; i < SIM_STORES; i++)
		sim_store_fini(&sim->stores[i]);
	sim_truth_fini(&sim->truth);
	flow_facts_fini(&sim->flow_facts);
	facts_fini(&sim->facts);
	trace_fini(&sim->trace);
	world_fini(&sim->world);
}

/* ---- phases ---- */

static void run_until(struct sim *sim, uint64_t end_ns)
{
	while (!sim->facts.is_violated && world_next_ns(&sim->world) <= end_ns && sim_step(sim))
		;
	if (sim->world.now_ns < end_ns && !sim->facts.is_violated)
		sim->world.now_ns = end_ns;
}

static void run_workload(struct sim *sim)
{
	(void)daemon_start(sim, sim_disk_add(sim), false);
	chaos_begin(sim);
	clients_begin(&sim->clients);
	flow_clients_begin(&sim->flow_clients);
	while (!sim->facts.is_violated && sim->clients.n_left > 0 && sim_step(sim))
		;
	run_until(sim, sim->world.now_ns + world_between(&sim->world, 0, 20 * NS_PER_S));
}

/* What the figures don't show, a debt's row that is about to be deleted say, is done within a retry or two. */
static bool is_at_rest_for_long(struct sim *sim)
{
	if (!daemon_is_at_rest(sim->current))
		return false;
	run_until(sim, sim->world.now_ns + 2 * sim->config.background.cap_ns);
	return daemon_is_at_rest(sim->current);
}

/* Time runs on until nothing is left to do. */
static void run_to_rest(struct sim *sim)
{
	uint64_t limit_ns = sim->world.now_ns + SETTLE_LIMIT_NS;

	while (!sim->facts.is_violated && !is_at_rest_for_long(sim)) {
		if (world_next_ns(&sim->world) > limit_ns) {
			facts_violate(&sim->facts, 8,
				      "not at rest: phase %d, %llu sagas, %llu pieces of background "
				      "work (%llu parked), %llu accepted jobs after 12 hours without a fault",
				      (int)sim->current->stats.phase, (unsigned long long)sim->current->stats.n_sagas,
				      (unsigned long long)sim->current->stats.n_errands,
				      (unsigned long long)sim->current->stats.n_parked,
				      (unsigned long long)sim->current->stats.n_jobs_accepted);
			return;
		}
		(void)sim_step(sim);
	}
}

static void restart_now(struct sim *sim, struct sim_disk *disk)
{
	world_cancel(&sim->world, &sim->restart);
	if (!sim->current->is_dead) {
		daemon_crash(sim->current);
		clients_daemon_died(&sim->clients, sim->current);
		flow_clients_daemon_died(&sim->flow_clients, sim->current);
	}
	if (!sim->facts.is_violated)
		(void)daemon_start(sim, disk, true);
}

/* A daemon that has seen a commit which PostgreSQL has lost since must notice, and take no more jobs. */
static void check_blocked(struct sim *sim)
{
	const struct daemon *daemon = sim->current; /* its successor may accept what is there */
	const struct saga_fact *fact = facts_find(&sim->facts, &daemon->last_commit);
	uint64_t n_committed = sim->clients.n_committed;

	if (fact == NULL || !fact->is_lost)
		return;
	for (unsigned i = 0; i < 12 && !sim->facts.is_violated; i++) {
		if (daemon->is_dead || daemon->stats.blocked != NULL)
			return;
		clients_probe(&sim->clients);
		run_until(sim, sim->world.now_ns + 5 * NS_PER_S);
	}
	/* Refusing for another reason (too much background work, say) is as good. */
	if (!sim->facts.is_violated && !daemon->is_dead && daemon->stats.blocked == NULL &&
	    sim->clients.n_committed > n_committed)
		facts_violate(&sim->facts, 2, "PostgreSQL has lost commit %s, and admission goes on",
			      trace_id(&fact->saga));
}

static bool disk_is_empty(const struct sim_disk *disk)
{
	return disk->is_lost || (disk->intents == NULL && sim_disk_waiting(disk) == 0 && !disk_flows_are_open(disk));
}

/* What is parked and can't go on by itself is settled by an operator. */
static void run_flows_to_end(struct sim *sim)
{
	if (sim->facts.is_violated || sim->current->flow_stats.n_open == 0)
		return;
	flow_clients_resolve(&sim->flow_clients);
	run_until(sim, sim->world.now_ns + NS_PER_S);
	if (!sim->facts.is_violated)
		run_to_rest(sim);
}

/* A journal that was left behind is taken up again by a daemon of its own. */
static void run_other_disks(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->n_disks && !sim->facts.is_violated; i++) {
		if (disk_is_empty(&sim->disks[i]))
			continue;
		restart_now(sim, &sim->disks[i]);
		run_to_rest(sim);
		run_flows_to_end(sim);
	}
}

static void run_safety(struct sim *sim)
{
	chaos_end(sim);
	clients_end(&sim->clients);
	flow_clients_end(&sim->flow_clients);
	check_blocked(sim);
	/* A journal may have failed at notes that nobody waits for: the next job would find out. */
	if (sim->current->is_dead || sim->current->journal.has_failed || sim->current->stats.blocked != NULL ||
	    (sim->n_gone_back > 0 && !sim->facts.is_violated))
		restart_now(sim, sim->current->journal.disk);
	if (!sim->facts.is_violated)
		run_to_rest(sim);
	run_flows_to_end(sim);
	run_other_disks(sim);
	if (!sim->facts.is_violated)
		invariants_at_rest(sim);
}

/* What a cache that forgot its last writes holds too long is gone when its life time is over. */
static void run_out_of_cache(struct sim *sim)
{
	run_until(sim, sim->world.now_ns + CACHE_LIFE_NS);
	sim->facts.is_cache_lossy = false;
	if (!sim->facts.is_violated)
		invariants_at_rest(sim);
}

/* At rest a repetition gets the stored answer, and one more start finds nothing to do. */
static void run_epilogue(struct sim *sim)
{
	if (sim->facts.is_violated)
		return;
	clients_ask_again(&sim->clients);
	flow_clients_ask_again(&sim->flow_clients);
	questions_ask_all(sim);
	run_until(sim, sim->world.now_ns + 60 * NS_PER_S);
	if (!sim->facts.is_violated && sim->clients.n_open > 0)
		facts_violate(&sim->facts, 8, "%u jobs have no answer, and nothing is going on", sim->clients.n_open);
	if (!sim->facts.is_violated && sim->flow_clients.n_open > 0)
		facts_violate(&sim->facts, 8, "%u sagas have no answer, and nothing is going on",
			      sim->flow_clients.n_open);
	if (sim->facts.is_violated)
		return;
	restart_now(sim, sim->current->journal.disk);
	run_to_rest(sim);
	if (!sim->facts.is_violated)
		invariants_at_rest(sim);
	if (sim->facts.is_cache_lossy && !sim->facts.is_violated)
		run_out_of_cache(sim);
}

void sim_run(struct sim *sim)
{
	sim->world.rng.state += sim->run->shuffle * SHUFFLE_STEP;
	run_workload(sim);
	if (!sim->facts.is_violated)
		run_safety(sim);
	run_epilogue(sim);
}
