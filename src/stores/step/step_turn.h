/* A target's next turn of the loop: there the calls that have ended are reported, and those that were submitted in one
 * turn go out together. */
#ifndef SAGAD_STORES_STEP_STEP_TURN_H
#define SAGAD_STORES_STEP_STEP_TURN_H

#include "base/list.h"
#include "port/target.h"

#include <uv.h>

/* Embed it; container_of() leads back. */
struct step_turn {
	uv_timer_t timer;
	struct list ended; /* call.node: done() is owed */
	bool is_due;
	/* Called once in the next turn after step_turn_soon(), when what has ended was reported; may be NULL. */
	void (*run)(struct step_turn *turn);
	void (*closed)(struct step_turn *turn);
};

void step_turn_init(struct step_turn *turn, uv_loop_t *loop, void (*run)(struct step_turn *turn));

/* Asks for run(). */
void step_turn_soon(struct step_turn *turn);

/* Takes the call out of the list that it is in; its done() comes in the next turn. */
void step_turn_end(struct step_turn *turn, struct call *call);

/* Reports what has ended, then closes the handle; closed() follows. From a turn of its own, as all closing. */
void step_turn_close(struct step_turn *turn, void (*closed)(struct step_turn *turn));

#endif
