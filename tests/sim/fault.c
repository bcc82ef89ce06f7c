#include "fault.h"

#include "base/must.h"

#include <string.h>

/* `most` is the greatest chance in a thousand draws; what a draw is differs: a request, a document, a quarter of a
 * second, a moment at which a saga is in a rare state, an action. */
static const struct {
	const char *name;
	uint32_t most;
} fault_table[FAULT_KINDS] = {
	[FAULT_LOST_BEFORE] = {"reply_lost_before", 100},
	[FAULT_LOST_AFTER] = {"reply_lost_after", 100},
	[FAULT_RESET] = {"reset", 100},
	[FAULT_LATE] = {"reply_late", 120},
	[FAULT_OUT_OF_ORDER] = {"out_of_order", 150},
	[FAULT_DUPLICATE] = {"duplicated", 150},
	[FAULT_RESENT] = {"resent", 150},
	[FAULT_MALFORMED] = {"malformed", 100},
	[FAULT_CUT_OFF] = {"cut_off", 100},
	[FAULT_DEADLOCK] = {"deadlock", 200},
	[FAULT_PARTIAL] = {"partial", 100},
	[FAULT_STORE_CRASH] = {"store_crash", 60},
	[FAULT_POISON_ALONE] = {"poison_alone", 200},
	[FAULT_POISON_BATCH] = {"poison_batch", 200},
	[FAULT_POISON_KILLS] = {"poison_kills", 80},
	[FAULT_STORE_DOWN] = {"store_down", 60},
	[FAULT_STORE_MISCONFIGURED] = {"store_misconfigured", 40},
	[FAULT_STORE_MUTE] = {"store_mute", 60},
	[FAULT_HALF_OPEN] = {"half_open", 40},
	[FAULT_READ_ONLY] = {"read_only", 40},
	[FAULT_LOADING] = {"loading", 60},
	[FAULT_OUT_OF_MEMORY] = {"out_of_memory", 60},
	[FAULT_RATE_LIMIT] = {"rate_limit", 60},
	[FAULT_REDIS_FORGETS] = {"redis_forgets", 40},
	[FAULT_TRUTH_DOWN] = {"truth_down", 50},
	[FAULT_TRUTH_MUTE] = {"truth_mute", 40},
	[FAULT_TRUTH_READ_ONLY] = {"truth_read_only", 40},
	[FAULT_TRUTH_MISCONFIGURED] = {"truth_misconfigured", 30},
	[FAULT_TRUTH_TRANSIENT] = {"truth_transient", 250},
	[FAULT_TRUTH_LOST] = {"truth_reply_lost", 100},
	[FAULT_DOUBT_COMMITTED] = {"doubt_committed", 400},
	[FAULT_DOUBT_LOST] = {"doubt_lost", 400},
	[FAULT_DOUBT_RUNNING] = {"doubt_running", 800},
	[FAULT_PIVOT_BATCH] = {"pivot_refused", 150},
	[FAULT_PIVOT_KILLS] = {"pivot_kills", 40},
	[FAULT_TRUTH_WENT_BACK] = {"truth_went_back", 40},
	[FAULT_JOURNAL_SLOW] = {"journal_slow", 200},
	[FAULT_JOURNAL_FULL] = {"journal_full", 20},
	[FAULT_JOURNAL_ERROR] = {"journal_error", 10},
	[FAULT_JOURNAL_FSYNC] = {"journal_fsync", 10},
	[FAULT_JOURNAL_TORN] = {"journal_torn", 10},
	[FAULT_JOURNAL_UNREADABLE] = {"journal_unreadable", 300},
	[FAULT_JOURNAL_LOST] = {"journal_lost", 200},
	[FAULT_CRASH] = {"crash", 80},
	[FAULT_CRASH_AT_ACTION] = {"crash_at_action", 4},
	[FAULT_CRASH_IN_RECOVERY] = {"crash_in_recovery", 800},
	[FAULT_CRASH_TWICE] = {"crash_twice", 800},
	[FAULT_ZOMBIE] = {"zombie", 60},
	[FAULT_ZOMBIE_WAKES] = {"zombie_wakes", 60},
	[FAULT_CLOCK_STEP] = {"clock_step", 100},
	[FAULT_CLIENT_VANISHES] = {"client_vanishes", 100},
	[FAULT_OVERLOAD] = {"overload", 1000},
	[FAULT_SAME_KEY] = {"same_key", 200},
	[FAULT_KEY_REUSED] = {"key_reused", 60},
	[FAULT_INTERLEAVED] = {"interleaved", 100},
};

/* What strikes a start needs something that makes starts. */
static const enum fault of_starts[] = {FAULT_CRASH_IN_RECOVERY, FAULT_CRASH_TWICE, FAULT_JOURNAL_UNREADABLE,
				       FAULT_JOURNAL_LOST};

const char *fault_name(enum fault fault)
{
	MUST((unsigned)fault < FAULT_KINDS);
	return fault_table[fault].name;
}

/* In some seeds sagas stay long in the states that otherwise pass in a moment: refusals are many and take long to
 * record, commits stay in doubt. What else is in the mix then meets them there. */
static void draw_slow_states(struct faults *faults, struct rng *rng)
{
	static const struct {
		enum fault fault;
		uint32_t per_mille;
	} kinds[] = {
		{FAULT_POISON_ALONE, 300},
		{FAULT_TRUTH_LOST, 500},
		{FAULT_DOUBT_COMMITTED, 150},
		{FAULT_DOUBT_LOST, 200},
	};
	bool is_slow = rng_chance(rng, 200);

	for (unsigned i = 0; is_slow && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		faults->per_mille[kinds[i].fault] = kinds[i].per_mille;
}

static void draw_mix(struct faults *faults, struct rng *rng)
{
	/* Seeds with few kinds show what one of them does alone; seeds with many, what they do to each other. */
	uint32_t share = 40 + (uint32_t)rng_below(rng, 460);

	for (unsigned i = 0; i < FAULT_KINDS; i++) {
		bool is_in = rng_below(rng, 1000) < share;
		uint32_t per_mille = 1 + (uint32_t)rng_below(rng, fault_table[i].most);

		faults->rng[i].state = rng_next(rng);
		faults->per_mille[i] = is_in ? per_mille : 0;
	}
	draw_slow_states(faults, rng);
	for (unsigned i = 0; i < sizeof(of_starts) / sizeof(of_starts[0]); i++)
		if (faults->per_mille[of_starts[i]] > 0 && faults->per_mille[FAULT_CRASH] == 0)
			faults->per_mille[FAULT_CRASH] = fault_table[FAULT_CRASH].most;
}

void faults_init(struct faults *faults, struct world *world, const struct sim_case *run)
{
	struct rng rng = {rng_next(&world->rng)};

	memset(faults, 0, sizeof(*faults));
	faults->world = world;
	faults->run = run;
	faults->is_on = run->has_faults;
	draw_mix(faults, &rng);
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		if ((run->without & (uint64_t)1 << i) != 0)
			faults->per_mille[i] = 0;
}

bool fault_is_in(const struct faults *faults, enum fault fault)
{
	return faults->is_on && faults->per_mille[fault] > 0;
}

bool fault_strikes(struct faults *faults, enum fault fault)
{
	if (!fault_is_in(faults, fault))
		return false;
	faults->n_draws[fault]++;
	if (rng_below(&faults->rng[fault], 1000) >= faults->per_mille[fault] ||
	    !case_has_strike(faults->run, (uint32_t)fault, faults->n_draws[fault]))
		return false;
	case_note_strike(faults->run, (uint32_t)fault, faults->n_draws[fault]);
	return true;
}

void fault_hit(struct faults *faults, enum fault fault)
{
	uint32_t states = 0;

	for (unsigned state = 0; faults->n_by_state != NULL && state < FAULT_AFTER; state++)
		states |= (uint32_t)(faults->n_by_state[state] > 0) << state;
	if (faults->n_errands != NULL && *faults->n_errands > 0)
		states |= 1u << FAULT_AFTER;
	for (unsigned column = 0; faults->n_flows != NULL && column < FLOW_STATE_ENDED; column++)
		faults->counts.in_flow[fault][column] += faults->n_flows[column] > 0;
	if (faults->trace != NULL)
		trace_line(faults->trace, "", "fault", "%s", fault_table[fault].name);
	fault_hit_in(faults, fault, states);
}

void fault_hit_in(struct faults *faults, enum fault fault, uint32_t states)
{
	faults->counts.hits[fault]++;
	for (unsigned state = 0; state < FAULT_STATES; state++)
		faults->counts.in_state[fault][state] += (states >> state) & 1;
}

void fault_hit_flow(struct faults *faults, enum fault fault, enum flow_column column)
{
	faults->counts.hits[fault]++;
	faults->counts.in_flow[fault][column]++;
}
