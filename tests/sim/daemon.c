#include "sim.h"

#include "base/logform.h"
#include "engine/desk_slots.h"
#include "engine/state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_WITHOUT_TIME 1000 /* more of them is a loop that never sleeps */

static void on_log(struct log *log, const struct log_event *event)
{
	struct daemon *daemon = container_of(log, struct daemon, log);
	struct buf fields = {0};

	logform_fields(&fields, event);
	trace_daemon(&daemon->sim->trace, daemon->number, "logs", "%s: %s%s", log_level_name(event->level), event->text,
		     fields.at != NULL ? fields.at : "");
	buf_fini(&fields);
}

void daemon_touch(struct daemon *daemon)
{
	struct world *world = &daemon->sim->world;
	/* The loop of a real daemon sees what has come in since its last turn: often one thing, sometimes many. */
	uint64_t delay_ns = world_chance(world, 200) ? world_between(world, 0, 2 * NS_PER_MS) : 0;

	if (daemon->is_dead)
		return;
	if (daemon->wake.slot == 0 || daemon->wake.at_ns > world->now_ns + delay_ns)
		world_after(world, &daemon->wake, delay_ns);
}

uint64_t daemon_act(struct daemon *daemon)
{
	struct faults *faults = &daemon->sim->faults;
	bool is_recovering = daemon->stats.phase == ENGINE_CLAIMING || daemon->stats.phase == ENGINE_RECOVERING;

	daemon->n_actions++;
	if (daemon->last_action != 0 || daemon->is_dead)
		return daemon->n_actions;
	if (daemon->doom == DOOM_IN_RECOVERY && is_recovering && daemon->n_actions >= daemon->doom_actions) {
		daemon->last_action = daemon->n_actions;
	} else if (fault_strikes(faults, FAULT_CRASH_AT_ACTION)) {
		daemon->doom = DOOM_NONE;
		daemon->last_action = daemon->n_actions;
	}
	return daemon->n_actions;
}

void daemon_note_lost(struct daemon *daemon)
{
	const struct desk_slots *slots = daemon->engine->desk.slots;

	for (uint32_t i = 0; i < 2 * (slots->n_pivots + 1); i++) {
		const struct saga_fact *fact = facts_find(&daemon->sim->facts, &slots->heard[i].saga);

		if (fact != NULL && fact->is_lost)
			daemon->lost_commit = slots->heard[i].saga;
	}
}

void daemon_note_answer(struct daemon *daemon)
{
	daemon->last_answer = daemon_act(daemon);
}

bool daemon_is_doomed(const struct daemon *daemon)
{
	return daemon->last_action != 0 && daemon->n_actions >= daemon->last_action;
}

/* ---- what must hold after each turn ---- */

/* The bound stops admission and attempts; what the start found, and what each running saga leaves, comes on top. */
static void check_errands(struct daemon *daemon)
{
	const struct engine_config *config = &daemon->sim->config;
	uint64_t most;

	if (daemon->stats.phase != ENGINE_RUNNING || !daemon->has_run) {
		daemon->has_run = daemon->stats.phase == ENGINE_RUNNING;
		daemon->n_errands_found = daemon->stats.n_errands;
	}
	most = daemon->n_errands_found > config->max_errands ? daemon->n_errands_found : config->max_errands;
	if (daemon->stats.n_errands > most + 3 * (uint64_t)config->max_sagas)
		facts_violate(&daemon->sim->facts, 7,
			      "%" PRIu64 " pieces of background work, max_errands is %u, the "
			      "start found %" PRIu64,
			      daemon->stats.n_errands, config->max_errands, daemon->n_errands_found);
}

static void check_bounds(struct daemon *daemon)
{
	struct facts *facts = &daemon->sim->facts;
	const struct engine_config *config = &daemon->sim->config;
	const struct engine_stats *stats = &daemon->stats;
	uint64_t sum = 0;

	for (unsigned state = 0; state < SAGA_ABORTED; state++) /* the ended ones wait for their last requests only */
		sum += stats->n_by_state[state];
	if (sum > stats->n_sagas)
		facts_violate(facts, 7, "stats: %" PRIu64 " sagas by state, %" PRIu64 " in all", sum, stats->n_sagas);
	if (stats->n_sagas > config->max_sagas)
		facts_violate(facts, 7, "%" PRIu64 " sagas, at most are %u", stats->n_sagas, config->max_sagas);
	if (stats->bytes > config->max_bytes)
		facts_violate(facts, 7, "%" PRIu64 " bytes of documents, at most are %zu", stats->bytes,
			      config->max_bytes);
	check_errands(daemon);
}

static void check_halt(struct daemon *daemon)
{
	struct facts *facts = &daemon->sim->facts;
	bool is_halted = daemon->stats.phase == ENGINE_HALTED;

	if (is_halted && !daemon->is_told_of_failure && !daemon->is_told_of_successor)
		facts_violate(facts, 8, "the daemon halts without need: %s", engine_halt_reason(daemon->engine)->text);
	if (!is_halted && daemon->is_told_of_failure)
		facts_violate(facts, 2, "the journal has failed, and the daemon goes on");
	if (!is_halted && daemon->is_told_of_successor)
		facts_violate(facts, 4, "PostgreSQL has named a newer owner, and the daemon goes on");
}

static bool must_die_now(struct daemon *daemon)
{
	struct sim *sim = daemon->sim;

	if (daemon->last_action != 0) {
		/* The turn that ends recovery has begun sagas maybe; but nothing of them was sent. */
		if (daemon->doom == DOOM_IN_RECOVERY)
			fault_hit_in(&sim->faults, FAULT_CRASH_IN_RECOVERY,
				     daemon->stats.n_errands > 0 ? 1u << FAULT_AFTER : 0);
		else
			fault_hit(&sim->faults, FAULT_CRASH_AT_ACTION);
		return true;
	}
	if (daemon->doom != DOOM_AFTER_TURN)
		return false;
	fault_hit(&sim->faults, FAULT_CRASH);
	return true;
}

/* A stopped process does nothing; what comes for it waits. */
static bool sleeps_on(struct daemon *daemon)
{
	struct sim *sim = daemon->sim;
	uint32_t states = 0;

	if (!daemon->is_asleep)
		return false;
	if (sim->world.now_ns < daemon->asleep_ns) {
		world_at(&sim->world, &daemon->wake, daemon->asleep_ns);
		return true;
	}
	daemon->is_asleep = false;
	for (unsigned state = 0; state < FAULT_AFTER; state++)
		states |= (uint32_t)(daemon->stats.n_by_state[state] > 0) << state;
	if (daemon->stats.n_errands > 0)
		states |= 1u << FAULT_AFTER;
	fault_hit_in(&sim->faults, FAULT_ZOMBIE_WAKES, states);
	trace_daemon(&sim->trace, daemon->number, "wakes", "it was stopped, and goes on");
	return false;
}

static void queue_wake(struct daemon *daemon)
{
	struct world *world = &daemon->sim->world;
	uint64_t next_ns = engine_next_ns(daemon->engine);

	if (next_ns != NEVER_NS && (daemon->wake.slot == 0 || daemon->wake.at_ns > next_ns))
		world_at(world, &daemon->wake, next_ns);
}

static void look_at_flows(struct daemon *daemon)
{
	if (!daemon->sim->flow_clients.is_on)
		return;
	engine_flow_stats(daemon->engine, &daemon->flow_stats);
	daemon->n_flows[FLOW_STATE_COMPENSATING] = daemon->flow_stats.n_compensating;
	daemon->n_flows[FLOW_STATE_RUNNING] = daemon->flow_stats.n_open - daemon->flow_stats.n_compensating;
}

static void on_wake(struct event *event)
{
	struct daemon *daemon = container_of(event, struct daemon, wake);
	struct sim *sim = daemon->sim;
	struct moment now = world_moment(&sim->world);

	if (sleeps_on(daemon))
		return;
	daemon->n_turns_now = daemon->turn_ns == sim->world.now_ns ? daemon->n_turns_now + 1 : 0;
	if (daemon->n_turns_now > TURNS_WITHOUT_TIME)
		facts_violate(&sim->facts, 8, "the engine asks for one turn after the other and never waits");
	daemon->turn_ns = sim->world.now_ns;
	daemon->turn_first = daemon->n_actions;
	engine_turn(daemon->engine, &now);
	engine_stats(daemon->engine, &daemon->stats);
	look_at_flows(daemon);
	if (trace_is_on(&sim->trace))
		states_trace(daemon);
	if (daemon->doom == DOOM_IN_RECOVERY && daemon->stats.phase == ENGINE_RUNNING && daemon->last_action == 0)
		daemon->doom = DOOM_NONE;
	check_bounds(daemon);
	check_halt(daemon);
	if (daemon->stats.phase == ENGINE_HALTED) {
		sim_daemon_ended(daemon);
		return;
	}
	if (must_die_now(daemon)) {
		daemon_crash(daemon);
		sim_daemon_ended(daemon);
		return;
	}
	queue_wake(daemon);
	chaos_look(sim, daemon);
}

static void on_death(struct event *event)
{
	struct daemon *daemon = container_of(event, struct daemon, death);

	fault_hit(&daemon->sim->faults, daemon->doom == DOOM_TWICE          ? FAULT_CRASH_TWICE
					: daemon->doom == DOOM_WITH_JOURNAL ? FAULT_JOURNAL_TORN
									    : FAULT_CRASH);
	daemon_crash(daemon);
	sim_daemon_ended(daemon);
}

/* ---- start and end ---- */

static void open_ports(struct daemon *daemon, struct sim_disk *disk)
{
	struct sim *sim = daemon->sim;

	for (uint32_t i = 0; i < SIM_STORES; i++) {
		store_port_init(&daemon->stores[i], &sim->stores[i], daemon);
		daemon->ports[i] = &daemon->stores[i].store;
	}
	truth_port_init(&daemon->truth, &sim->truth, daemon);
	journal_port_init(&daemon->journal, disk, daemon);
}

static void give_targets(struct daemon *daemon)
{
	struct sim *sim = daemon->sim;
	struct target *targets[SIM_TARGETS];

	if (!sim->flow_clients.is_on)
		return;
	for (uint32_t i = 0; i < SIM_TARGETS; i++) {
		target_port_init(&daemon->targets[i], &sim->targets[i], daemon);
		targets[i] = &daemon->targets[i].target;
	}
	MUST(engine_set_targets(daemon->engine, &sim->flow_config, targets, SIM_TARGETS) == 0);
}

struct daemon *daemon_start(struct sim *sim, struct sim_disk *disk, bool take_over)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	struct moment now = world_moment(&sim->world);
	struct err err = {""};
	int rc;

	MUST(daemon != NULL);
	daemon->sim = sim;
	daemon->number = ++sim->n_daemons;
	daemon->wake.fire = on_wake;
	daemon->death.fire = on_death;
	daemon->log = (struct log){LOG_DEBUG_LEVEL, on_log};
	list_init(&daemon->calls);
	open_ports(daemon, disk);
	list_append(&sim->daemons, &daemon->node);
	sim->current = daemon;
	sim->faults.n_by_state = daemon->stats.n_by_state;
	sim->faults.n_errands = &daemon->stats.n_errands;
	sim->faults.n_flows = daemon->n_flows;
	trace_daemon(&sim->trace, daemon->number, "starts", "%s", take_over ? "and takes over" : "");
	rc = engine_create(&sim->config, &daemon->truth.truth, &daemon->journal.journal, daemon->ports, SIM_STORES,
			   sim->trace.mode == TRACE_OFF ? NULL : &daemon->log, rng_next(&sim->world.rng),
			   &daemon->engine);
	MUST(rc == 0);
	give_targets(daemon);
	rc = engine_start(daemon->engine, take_over, &now, &err);
	if (rc != 0 && daemon->journal.is_unreadable) {
		fault_hit_in(&sim->faults, FAULT_JOURNAL_UNREADABLE, 0);
		sim_daemon_ended(daemon);
		return daemon;
	}
	if (rc != 0 || daemon->journal.is_unreadable)
		facts_violate(&sim->facts, 8, "the daemon %s: %s", rc != 0 ? "doesn't start" : "starts all the same",
			      err.text);
	daemon_touch(daemon);
	return daemon;
}

/* Where in the last turn, if that is what was going on, the process came to its end. */
static uint64_t last_action_before_death(struct daemon *daemon)
{
	struct world *world = &daemon->sim->world;
	uint64_t first = daemon->turn_first > daemon->last_answer ? daemon->turn_first : daemon->last_answer;

	if (daemon->last_action != 0)
		return daemon->last_action;
	if (daemon->turn_ns != world->now_ns || first >= daemon->n_actions)
		return daemon->n_actions;
	return world_between(world, first, daemon->n_actions);
}

void daemon_crash(struct daemon *daemon)
{
	struct world *world = &daemon->sim->world;
	uint64_t last = last_action_before_death(daemon);
	struct list *it, *tmp;

	if (daemon->is_dead)
		return;
	trace_daemon(&daemon->sim->trace, daemon->number, "dies",
		     "the last %" PRIu64 " things that it sent, recorded or told never left it",
		     daemon->n_actions - last);
	daemon->is_dead = true;
	daemon->is_asleep = false;
	daemon->sim->facts.last_death_ns = world->now_ns;
	world_cancel(world, &daemon->wake);
	world_cancel(world, &daemon->death);
	list_each (it, tmp, &daemon->calls)
		call_orphan(container_of(it, struct sent, node), last);
	journal_port_crash(&daemon->journal, last);
}

void daemon_bury(struct daemon *daemon)
{
	struct list *it, *tmp;

	daemon_crash(daemon);
	list_each (it, tmp, &daemon->calls)
		call_bury(container_of(it, struct sent, node));
	journal_port_bury(&daemon->journal);
	engine_destroy(daemon->engine);
	states_forget(daemon);
	list_remove(&daemon->node);
	free(daemon);
}

static bool has_effects_ahead(const struct daemon *daemon)
{
	const struct list *it;

	for (it = daemon->calls.next; it != &daemon->calls; it = it->next) {
		const struct sent *call = (const struct sent *)(const void *)it; /* its first member */

		if (call->arrival.slot != 0 || call->again.slot != 0 || call->answer.slot != 0)
			return true;
	}
	return false;
}

bool daemon_is_at_rest(const struct daemon *daemon)
{
	const struct engine_stats *stats = &daemon->stats;
	const struct list *it;

	if (daemon->sim->stores[STORE_NEO4J].collect.slot != 0)
		return false;
	if (daemon->is_dead || stats->phase != ENGINE_RUNNING || stats->n_sagas > 0 || stats->n_errands > 0 ||
	    stats->n_jobs_accepted > 0 || stats->n_parked > 0)
		return false;
	for (it = daemon->sim->daemons.next; it != &daemon->sim->daemons; it = it->next)
		if (has_effects_ahead(
			    (const struct daemon *)(const void *)((const char *)it - offsetof(struct daemon, node))))
			return false;
	return daemon->flow_stats.n_open == daemon->flow_stats.n_parked && !journal_port_is_busy(&daemon->journal);
}
