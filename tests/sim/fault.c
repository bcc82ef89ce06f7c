#include "fault.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* `most` is the greatest chance in a thousand draws; what a draw is differs: a request, a document, a second. */
static const struct {
	const char *name;
	uint32_t most;
} fault_table[FAULT_KINDS] = {
	[FAULT_LOST_BEFORE] = {"reply_lost_before", 120},
	[FAULT_LOST_AFTER] = {"reply_lost_after", 120},
	[FAULT_LATE] = {"reply_late", 120},
	[FAULT_DUPLICATE] = {"duplicated", 150},
	[FAULT_TRANSIENT] = {"transient", 200},
	[FAULT_PARTIAL] = {"partial", 100},
	[FAULT_STORE_CRASH] = {"store_crash", 30},
	[FAULT_POISON_ALONE] = {"poison_alone", 80},
	[FAULT_POISON_BATCH] = {"poison_batch", 80},
	[FAULT_POISON_KILLS] = {"poison_kills", 30},
	[FAULT_STORE_DOWN] = {"store_down", 60},
	[FAULT_STORE_MISCONFIGURED] = {"store_misconfigured", 40},
	[FAULT_STORE_MUTE] = {"store_mute", 60},
	[FAULT_TRUTH_DOWN] = {"truth_down", 60},
	[FAULT_TRUTH_TRANSIENT] = {"truth_transient", 120},
	[FAULT_TRUTH_LOST] = {"truth_reply_lost", 100},
	[FAULT_DOUBT_COMMITTED] = {"doubt_committed", 150},
	[FAULT_DOUBT_LOST] = {"doubt_lost", 150},
	[FAULT_DOUBT_RUNNING] = {"doubt_running", 150},
	[FAULT_PIVOT_BATCH] = {"pivot_refused", 60},
	[FAULT_PIVOT_KILLS] = {"pivot_kills", 40},
	[FAULT_TRUTH_WENT_BACK] = {"truth_went_back", 40},
	[FAULT_JOURNAL_SLOW] = {"journal_slow", 200},
	[FAULT_JOURNAL_FAILS] = {"journal_fails", 15},
	[FAULT_CRASH] = {"crash", 80},
	[FAULT_CRASH_IN_RECOVERY] = {"crash_in_recovery", 800},
	[FAULT_CRASH_TWICE] = {"crash_twice", 800},
	[FAULT_ZOMBIE] = {"zombie", 60},
	[FAULT_CLOCK_STEP] = {"clock_step", 100},
	[FAULT_CLIENT_VANISHES] = {"client_vanishes", 100},
	[FAULT_OVERLOAD] = {"overload", 1000},
};

const char *fault_name(enum fault fault)
{
	MUST((unsigned)fault < FAULT_KINDS);
	return fault_table[fault].name;
}

void faults_init(struct faults *faults, struct world *world, bool is_on)
{
	/* Seeds with few kinds show what one of them does alone; seeds with many, what they do to each other. */
	uint32_t share = (uint32_t)world_between(world, 100, 700);

	memset(faults, 0, sizeof(*faults));
	faults->world = world;
	faults->is_on = is_on;
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		if (world_chance(world, share))
			faults->per_mille[i] = (uint32_t)world_between(world, 1, fault_table[i].most);
	/* These need a crash to be there. */
	if (faults->per_mille[FAULT_CRASH_IN_RECOVERY] + faults->per_mille[FAULT_CRASH_TWICE] > 0 &&
	    faults->per_mille[FAULT_CRASH] == 0)
		faults->per_mille[FAULT_CRASH] = fault_table[FAULT_CRASH].most;
}

bool fault_is_in(const struct faults *faults, enum fault fault)
{
	return faults->is_on && faults->per_mille[fault] > 0;
}

bool fault_strikes(struct faults *faults, enum fault fault)
{
	return fault_is_in(faults, fault) && world_chance(faults->world, faults->per_mille[fault]);
}

void fault_hit(struct faults *faults, enum fault fault)
{
	faults->counts.hits[fault]++;
	if (faults->n_by_state == NULL)
		return;
	for (unsigned state = 0; state < SAGA_STATES; state++)
		if (faults->n_by_state[state] > 0)
			faults->counts.in_state[fault][state]++;
}

void fault_counts_add(struct fault_counts *sum, const struct fault_counts *counts)
{
	for (unsigned i = 0; i < FAULT_KINDS; i++) {
		sum->hits[i] += counts->hits[i];
		for (unsigned state = 0; state < SAGA_STATES; state++)
			sum->in_state[i][state] += counts->in_state[i][state];
	}
}

void fault_counts_print(const struct fault_counts *counts)
{
	printf("%-20s %9s |", "fault", "hits");
	for (unsigned state = 0; state < SAGA_ABORTED; state++) /* terminal ones are never waited in */
		printf(" %11s", saga_state_name((enum saga_state)state));
	puts("   (hits while a saga was in this state)");
	for (unsigned i = 0; i < FAULT_KINDS; i++) {
		printf("%-20s %9" PRIu64 " |", fault_name((enum fault)i), counts->hits[i]);
		for (unsigned state = 0; state < SAGA_ABORTED; state++)
			printf(" %11" PRIu64, counts->in_state[i][state]);
		putchar('\n');
	}
}

unsigned fault_counts_below(const struct fault_counts *counts, uint64_t min_hits)
{
	unsigned n_below = 0;

	for (unsigned i = 0; i < FAULT_KINDS; i++) {
		if (counts->hits[i] >= min_hits)
			continue;
		printf("fault %s was hit %" PRIu64 " times only, wanted are %" PRIu64 "\n", fault_name((enum fault)i),
		       counts->hits[i], min_hits);
		n_below++;
	}
	return n_below;
}
