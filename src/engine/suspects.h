/* Documents with which a store's process has died, by their content: how often in a row, at which store.
 *
 * A saga forgets when it ends, and the next attempt, or the next job that a client sends, has another id but the same
 * content. Bounded: the one that was seen longest ago goes first. What an accepted job has done stands in the journal
 * as well. */
#ifndef SAGAD_ENGINE_SUSPECTS_H
#define SAGAD_ENGINE_SUSPECTS_H

#include "base/digest.h"
#include "core/saga.h"

#include <stdbool.h>
#include <stdint.h>

#define SUSPECTS_MAX 256

struct suspect {
	uint8_t content_hash[DIGEST_BYTES];
	uint32_t deaths[SAGA_STORES_MAX + 1]; /* the last one: PostgreSQL's */
	uint32_t stores; /* bit i: it must go out under witness there, though none has died so yet */
	uint64_t seen;   /* counts up with each note; 0: this place is free */
};

struct suspects {
	struct suspect at[SUSPECTS_MAX];
	uint64_t n_notes;
};

/* Fills out_deaths with what is known, or with zeroes. */
void suspects_find(const struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES],
		   uint32_t out_deaths[SAGA_STORES_MAX + 1]);

/* Sets the count at one store; 0: it has survived this content. */
void suspects_note(struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES], uint32_t store,
		   uint32_t n_deaths);

/* At which stores (bit i) an earlier saga with this content left it as a suspect: alone in a request that the store's
 * end of the connection didn't survive. Without that a store that is back later than a saga's last try would make each
 * attempt the first one. */
uint32_t suspects_stores(const struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES]);

/* Sets them. */
void suspects_set_stores(struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES], uint32_t stores);

/* What the end of a request says of an item that was in it. `is_cut`: it was alone there, and the store's end of the
 * connection didn't survive; `is_lonely`: under witness, too. Updates *is_suspect. True: that was a death. */
static inline bool suspects_judge(bool *is_suspect, bool is_ok, bool is_cut, bool is_lonely)
{
	*is_suspect = is_cut || (*is_suspect && !is_ok);
	return is_cut && is_lonely;
}

#endif
