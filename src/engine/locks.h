/* Locks by name, first come first served: one table for document ids, one for idempotency keys.
 *
 * Intrusive: a waiter brings the table's entry with it, so taking a lock asks for no memory of its own. */
#ifndef SAGAD_ENGINE_LOCKS_H
#define SAGAD_ENGINE_LOCKS_H

#include "base/list.h"
#include "base/must.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

/* Embed it; all zeroes is one that neither holds nor waits. */
struct lock_wait {
	struct str name; /* borrowed as long as this holds or waits */
	bool is_held;
	bool is_waiting;
	struct list waiters; /* of the holder: those behind it, in their order */
	uint32_t n_waiters;
	struct list node;         /* of a waiter */
	struct lock_wait *holder; /* of a waiter */
	/* The lock has become this waiter's. Called from lock_release() of the one before. */
	void (*granted)(struct lock_wait *wait);
	UT_hash_handle hh; /* of the holder */
};

struct locks {
	struct lock_wait *held;
};

enum lock_answer { LOCK_HELD, LOCK_WAITING, LOCK_FULL, LOCK_NO_MEMORY };

/* Takes the lock `wait->name` or queues for it, behind at most max_waiting others. granted() is not called for
 * LOCK_HELD. */
enum lock_answer lock_take(struct locks *locks, struct lock_wait *wait, uint32_t max_waiting) WARN_UNUSED;

/* Gives the lock to the next, or leaves the queue. Does nothing for one that neither holds nor waits. */
void lock_release(struct locks *locks, struct lock_wait *wait);

/* Who holds this lock; NULL: nobody. */
struct lock_wait *lock_find(struct locks *locks, struct str name);

#endif
