/* One request that a daemon has sent: what may still happen because of it.
 *
 * A request can have its effect without an answer, an answer without an effect, and an effect after the daemon that
 * sent it has died. So a call outlives its answer until nothing more can come of it. */
#ifndef SAGAD_SIM_CALL_H
#define SAGAD_SIM_CALL_H

#include "base/list.h"
#include "port/verdict.h"
#include "world.h"

#include <stdbool.h>

struct daemon;

struct sent {
	struct list node; /* in the daemon's calls */
	struct daemon *daemon;
	uint64_t action;      /* its place among all that this daemon has sent */
	struct event arrival; /* it reaches the server */
	struct event again;   /* it reaches it once more, or a transaction that runs on commits */
	struct event answer;
	bool is_answered;
	void (*reply)(struct sent *call); /* gives the caller its answer as it stands, or doubt */
	void (*destroy)(struct sent *call);
	uint32_t (*states)(const struct sent *call); /* of the sagas that it is for, as bits */
	void (*redraw)(struct sent *call);           /* it may be met by a fault after all; NULL: never */
};

/* "doubt"; never NULL. */
const char *verdict_name(enum verdict verdict);

/* Puts the call into the daemon's list and numbers it. */
void call_begin(struct sent *call, struct daemon *daemon);

/* Frees the call when it is answered and nothing is queued for it any more. */
void call_release(struct sent *call);

/* Answers it, unless its daemon is dead. */
void call_finish(struct sent *call);

/* The worst moment for a fault. What is late (its answer was given, a time-out) comes now; what is on its way may be
 * met by a fault of its own. */
void call_worsen(struct sent *call);

/* The daemon dies. What is beyond `last_action` was never sent. The answer never comes; the effect may. */
void call_orphan(struct sent *call, uint64_t last_action);

/* At the end of a run: nothing more may happen, the dead engine gets its memory back. */
void call_bury(struct sent *call);

#endif
