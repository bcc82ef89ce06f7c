/* Running out of memory for buckets must not end the process in the middle of a macro. */
#define HASH_NONFATAL_OOM 1
#include "locks.h"

static struct lock_wait *lock_add(struct locks *locks, struct lock_wait *wait)
{
	struct lock_wait *added = wait;

	HASH_ADD_KEYPTR(hh, locks->held, wait->name.at, wait->name.len, added);
	return added->hh.tbl != NULL ? added : NULL;
}

enum lock_answer lock_take(struct locks *locks, struct lock_wait *wait, uint32_t max_waiting)
{
	struct lock_wait *holder = lock_find(locks, wait->name);

	MUST(!wait->is_held && !wait->is_waiting);
	if (holder == NULL) {
		list_init(&wait->waiters);
		wait->n_waiters = 0;
		wait->hh.tbl = NULL;
		if (lock_add(locks, wait) == NULL)
			return LOCK_NO_MEMORY;
		wait->is_held = true;
		return LOCK_HELD;
	}
	if (holder->n_waiters >= max_waiting)
		return LOCK_FULL;
	wait->holder = holder;
	wait->is_waiting = true;
	list_append(&holder->waiters, &wait->node);
	holder->n_waiters++;
	return LOCK_WAITING;
}

/* The first waiter becomes the table's entry and inherits the others. It is added before the old entry goes, so that
 * the table isn't freed and asked for again in between. */
static struct lock_wait *lock_succeed(struct locks *locks, struct lock_wait *from)
{
	struct list *first = list_take_first(&from->waiters), *it, *tmp;
	struct lock_wait *to;

	if (first == NULL)
		return NULL;
	to = container_of(first, struct lock_wait, node);
	list_init(&to->waiters);
	list_splice(&to->waiters, &from->waiters);
	to->n_waiters = from->n_waiters - 1;
	list_each (it, tmp, &to->waiters)
		container_of(it, struct lock_wait, node)->holder = to;
	to->is_waiting = false;
	to->is_held = true;
	to->hh.tbl = NULL;
	MUST(lock_add(locks, to) != NULL);
	return to;
}

void lock_release(struct locks *locks, struct lock_wait *wait)
{
	struct lock_wait *next;

	if (wait->is_waiting) {
		list_remove(&wait->node);
		wait->holder->n_waiters--;
		wait->is_waiting = false;
	} else if (wait->is_held) {
		next = lock_succeed(locks, wait);
		HASH_DELETE(hh, locks->held, wait);
		wait->is_held = false;
		if (next != NULL)
			next->granted(next);
	}
}

struct lock_wait *lock_find(struct locks *locks, struct str name)
{
	struct lock_wait *found = NULL;

	HASH_FIND(hh, locks->held, name.at, name.len, found);
	return found;
}
