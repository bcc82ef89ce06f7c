/* What a saga knows of its document from those before it, and leaves to those after: how large a batch it may be in, at
 * which stores it is a suspect, and how often one has died with it (sender.h, suspects.h). */
#ifndef SAGAD_ENGINE_RUN_CARE_H
#define SAGAD_ENGINE_RUN_CARE_H

#include "engine/run.h"

/* Begins with it. */
void run_care_take(struct run *run);

/* Leaves the size of batches to the next attempt of its accepted job. */
void run_care_leave(const struct run *run);

/* Notes what the last event has changed; `before` is what saga.deaths was. */
void run_care_note(struct run *run, const uint32_t before[SAGA_STORES_MAX + 1]);

#endif
