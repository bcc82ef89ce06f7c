/* An operator says that work is settled: parked work at a store is given up, an accepted job ends without being done.
 *
 * The reason stands in the journal before anything is given up. What was parked is then treated as done: its debt's row
 * goes by its exact key, its intent is closed; what it would have removed or published stays as it is in the store. */
#ifndef SAGAD_ENGINE_RESOLUTION_H
#define SAGAD_ENGINE_RESOLUTION_H

#include "engine/state.h"

/* Looks for the work, writes to the journal; the answer comes through done(), at once when there is no such work. */
void resolution_start(struct engine *engine, struct engine_resolution *resolution);

/* The journal has a resolution; its request is one of resolution.c's. */
void resolution_on_journaled(struct engine *engine, struct journal_req *req);

/* For engine_destroy(): drops those that wait, unanswered. */
void resolution_free_all(struct engine *engine);

#endif
