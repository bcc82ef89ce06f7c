/* Everything that is open in this engine, for operators: listed page by page, and tried again now.
 *
 * Sagas under way, accepted jobs, and background work with a row for each store that isn't done. All of it is in
 * memory, so nothing here waits. Between two turns; the loop's thread. */
#ifndef SAGAD_ENGINE_ROSTER_H
#define SAGAD_ENGINE_ROSTER_H

#include "engine/state.h"
#include "proto/work.h"

struct roster_list {
	const struct work_filter *filter; /* in */
	/* in: each row of the page, in order; what is passed is borrowed for the call. */
	void (*row)(struct roster_list *list, const struct work_row *row);
	uint64_t n_by_state[WORK_STATES]; /* out: that fit the filter but for its states, on all pages */
	bool has_more;                    /* out: `next` is where the next page begins */
	struct work_place next;
};

/* 0, or -ENOMEM: nothing was shown. */
int roster_list(struct engine *engine, struct roster_list *list) WARN_UNUSED;

/* Ends the wait of everything that fits and waits for its next try: it is tried in the next turn. How much that was. */
uint32_t roster_retry(struct engine *engine, const struct work_order *order);

#endif
