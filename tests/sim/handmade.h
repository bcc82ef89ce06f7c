/* A world made by hand, for the tests of the invariants: one document, whole in all stores, and no daemon. */
#ifndef SAGAD_SIM_HANDMADE_H
#define SAGAD_SIM_HANDMADE_H

#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HANDMADE_DOC 3u

extern const struct uuid handmade_first;  /* the document's version at the beginning */
extern const struct uuid handmade_second; /* greater */

/* A write and a pivot of this version: two parts, entity 1 with properties. */
struct write_copy handmade_write(const struct uuid *saga);
struct pivot_copy handmade_pivot(const struct uuid *saga);

/* Its intent is noted and all stores have it; PostgreSQL commits it; all stores publish it. */
void handmade_apply(struct sim *sim, const struct uuid *saga);
void handmade_commit(struct sim *sim, const struct uuid *saga);
void handmade_publish(struct sim *sim, const struct uuid *saga);

/* For cmocka: *state is the struct sim. */
int handmade_set_up(void **state);
int handmade_tear_down(void **state);

/* Invariant `number` must have been broken, with these words. */
void handmade_expect(const struct sim *sim, unsigned number, const char *words);

#endif
