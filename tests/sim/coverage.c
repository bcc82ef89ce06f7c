/* Fault x state of a saga: what was met, and what can be. */
#include "base/must.h"
#include "fault.h"

#include <inttypes.h>
#include <stdio.h>

#define BIT(state)  (1u << (state))
#define EVERY_STATE (BIT(FAULT_STATES) - 1)
#define AFTER       BIT(FAULT_AFTER)

/* In which states a saga can be when a fault of this group meets it, and why in no other. */
static const struct scope {
	uint32_t states;
	const char *why;
} scopes[] = {
	{BIT(SAGA_PROJECTING) | BIT(SAGA_OWING) | BIT(SAGA_CLEANING) | AFTER,
	 "a saga has a request out to a store in these states only; in cleaning it is one of before the refusal"},
#define OF_REQUEST (&scopes[0])
	{BIT(SAGA_PROJECTING) | AFTER, "only an apply carries the document, and its refusal is what leads to cleaning"},
#define OF_APPLY (&scopes[1])
	{EVERY_STATE & ~(BIT(SAGA_QUEUED) | BIT(SAGA_PREPARING)), "nothing has been sent to a store yet"},
#define OF_LATE_EFFECT (&scopes[2])
	{BIT(SAGA_PREPARING) | BIT(SAGA_PIVOTING) | BIT(SAGA_IN_DOUBT) | BIT(SAGA_OWING) | BIT(SAGA_CLEANING) | AFTER,
	 "PostgreSQL is asked about sagas in these states only (in owing: was the last commit lost by an outage?)"},
#define OF_TRUTH (&scopes[3])
	{BIT(SAGA_PREPARING) | BIT(SAGA_IN_DOUBT) | BIT(SAGA_OWING) | BIT(SAGA_CLEANING) | AFTER,
	 "as above; what a pivot's lost reply leaves has kinds of its own"},
#define OF_TRUTH_BUT_PIVOTS (&scopes[4])
	{BIT(SAGA_PIVOTING) | BIT(SAGA_IN_DOUBT) | BIT(SAGA_OWING) | BIT(SAGA_CLEANING) | AFTER,
	 "as above, and reads work"},
#define OF_TRUTH_BUT_READS (&scopes[5])
	{BIT(SAGA_PIVOTING) | AFTER, "it is the pivot's"},
#define OF_PIVOT (&scopes[6])
	{EVERY_STATE, ""},
#define OF_ALL (&scopes[7])
	{AFTER, "no saga runs before recovery has ended; background work of its own may"},
#define OF_RECOVERY (&scopes[8])
	{0, "nothing runs yet"},
#define OF_START (&scopes[9])
};

static const struct scope *const scope_of[FAULT_KINDS] = {
	[FAULT_LOST_BEFORE] = OF_REQUEST,
	[FAULT_LOST_AFTER] = OF_REQUEST,
	[FAULT_RESET] = OF_REQUEST,
	[FAULT_LATE] = OF_LATE_EFFECT,
	[FAULT_OUT_OF_ORDER] = OF_REQUEST,
	[FAULT_DUPLICATE] = OF_LATE_EFFECT,
	[FAULT_RESENT] = OF_REQUEST,
	[FAULT_MALFORMED] = OF_REQUEST,
	[FAULT_CUT_OFF] = OF_REQUEST,
	[FAULT_DEADLOCK] = OF_REQUEST,
	[FAULT_PARTIAL] = OF_REQUEST,
	[FAULT_STORE_CRASH] = OF_REQUEST,
	[FAULT_POISON_ALONE] = OF_APPLY,
	[FAULT_POISON_BATCH] = OF_APPLY,
	[FAULT_POISON_KILLS] = OF_APPLY,
	[FAULT_STORE_DOWN] = OF_REQUEST,
	[FAULT_STORE_MISCONFIGURED] = OF_REQUEST,
	[FAULT_STORE_MUTE] = OF_REQUEST,
	[FAULT_HALF_OPEN] = OF_REQUEST,
	[FAULT_READ_ONLY] = OF_REQUEST,
	[FAULT_LOADING] = OF_REQUEST,
	[FAULT_OUT_OF_MEMORY] = OF_REQUEST,
	[FAULT_RATE_LIMIT] = OF_REQUEST,
	[FAULT_REDIS_FORGETS] = OF_ALL,
	[FAULT_TRUTH_DOWN] = OF_TRUTH,
	[FAULT_TRUTH_MUTE] = OF_TRUTH,
	[FAULT_TRUTH_READ_ONLY] = OF_TRUTH_BUT_READS,
	[FAULT_TRUTH_MISCONFIGURED] = OF_TRUTH,
	[FAULT_TRUTH_TRANSIENT] = OF_TRUTH,
	[FAULT_TRUTH_LOST] = OF_TRUTH_BUT_PIVOTS,
	[FAULT_DOUBT_COMMITTED] = OF_PIVOT,
	[FAULT_DOUBT_LOST] = OF_PIVOT,
	[FAULT_DOUBT_RUNNING] = OF_PIVOT,
	[FAULT_PIVOT_BATCH] = OF_PIVOT,
	[FAULT_PIVOT_KILLS] = OF_PIVOT,
	[FAULT_TRUTH_WENT_BACK] = OF_ALL,
	[FAULT_JOURNAL_SLOW] = OF_ALL,
	[FAULT_JOURNAL_FULL] = OF_ALL,
	[FAULT_JOURNAL_ERROR] = OF_ALL,
	[FAULT_JOURNAL_FSYNC] = OF_ALL,
	[FAULT_JOURNAL_TORN] = OF_ALL,
	[FAULT_JOURNAL_UNREADABLE] = OF_START,
	[FAULT_JOURNAL_LOST] = OF_START,
	[FAULT_CRASH] = OF_ALL,
	[FAULT_CRASH_AT_ACTION] = OF_ALL,
	[FAULT_CRASH_IN_RECOVERY] = OF_RECOVERY,
	[FAULT_CRASH_TWICE] = OF_ALL,
	[FAULT_ZOMBIE] = OF_ALL,
	[FAULT_ZOMBIE_WAKES] = OF_ALL,
	[FAULT_CLOCK_STEP] = OF_ALL,
	[FAULT_CLIENT_VANISHES] = OF_ALL,
	[FAULT_OVERLOAD] = OF_ALL,
	[FAULT_SAME_KEY] = OF_ALL,
	[FAULT_KEY_REUSED] = OF_ALL,
	[FAULT_INTERLEAVED] = OF_ALL,
};

void fault_counts_add(struct fault_counts *sum, const struct fault_counts *counts)
{
	for (unsigned i = 0; i < FAULT_KINDS; i++) {
		sum->hits[i] += counts->hits[i];
		for (unsigned state = 0; state < FAULT_STATES; state++)
			sum->in_state[i][state] += counts->in_state[i][state];
		for (unsigned column = 0; column < FLOW_COLUMNS; column++)
			sum->in_flow[i][column] += counts->in_flow[i][column];
	}
}

static const char *column_name(unsigned state)
{
	return state == FAULT_AFTER ? "after" : saga_state_name((enum saga_state)state);
}

static void print_row(const struct fault_counts *counts, unsigned fault)
{
	printf("%-20s %8" PRIu64 " |", fault_name((enum fault)fault), counts->hits[fault]);
	for (unsigned state = 0; state < FAULT_STATES; state++) {
		uint64_t n = counts->in_state[fault][state];

		if (n == 0 && (scope_of[fault]->states & BIT(state)) == 0)
			printf(" %11s", "-");
		else
			printf(" %11" PRIu64, n);
	}
	putchar('\n');
}

static void print_reasons(void)
{
	puts("\nCells with a dash can't occur:");
	for (unsigned i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		const char *before = "  ";

		if (scopes[i].states == EVERY_STATE)
			continue;
		for (unsigned fault = 0; fault < FAULT_KINDS; fault++) {
			if (scope_of[fault] != &scopes[i])
				continue;
			printf("%s%s", before, fault_name((enum fault)fault));
			before = ", ";
		}
		printf(": %s\n", scopes[i].why);
	}
}

void fault_counts_print(const struct fault_counts *counts, bool is_why)
{
	printf("%-20s %8s |", "fault", "hits");
	for (unsigned state = 0; state < FAULT_STATES; state++)
		printf(" %11s", column_name(state));
	puts("   (hits on a saga in this state; after: on one that had ended)");
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		print_row(counts, i);
	if (is_why)
		print_reasons();
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

unsigned fault_counts_empty(const struct fault_counts *counts)
{
	unsigned n_empty = 0;

	for (unsigned i = 0; i < FAULT_KINDS; i++)
		for (unsigned state = 0; state < FAULT_STATES; state++) {
			bool can_occur = (scope_of[i]->states & BIT(state)) != 0;

			if (can_occur == (counts->in_state[i][state] > 0))
				continue;
			printf("fault %s %s a saga in state %s\n", fault_name((enum fault)i),
			       can_occur ? "never met" : "can't meet, but did,", column_name(state));
			n_empty++;
		}
	return n_empty;
}
