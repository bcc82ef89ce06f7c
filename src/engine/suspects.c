#include "suspects.h"

#include <string.h>

/* Its place; SUSPECTS_MAX: it has none. */
static uint32_t suspects_of(const struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES])
{
	for (uint32_t i = 0; i < SUSPECTS_MAX; i++)
		if (suspects->at[i].seen != 0 && memcmp(suspects->at[i].content_hash, content_hash, DIGEST_BYTES) == 0)
			return i;
	return SUSPECTS_MAX;
}

void suspects_find(const struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES],
		   uint32_t out_deaths[SAGA_STORES_MAX + 1])
{
	uint32_t at = suspects->n_notes > 0 ? suspects_of(suspects, content_hash) : SUSPECTS_MAX;

	for (uint32_t i = 0; i <= SAGA_STORES_MAX; i++)
		out_deaths[i] = at < SUSPECTS_MAX ? suspects->at[at].deaths[i] : 0;
}

/* The place of the one that was seen longest ago, or a free one. */
static struct suspect *suspects_place(struct suspects *suspects)
{
	struct suspect *place = &suspects->at[0];

	for (uint32_t i = 1; i < SUSPECTS_MAX; i++)
		if (suspects->at[i].seen < place->seen)
			place = &suspects->at[i];
	return place;
}

void suspects_note(struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES], uint32_t store,
		   uint32_t n_deaths)
{
	uint32_t at = suspects_of(suspects, content_hash), n_all = 0;
	struct suspect *suspect = at < SUSPECTS_MAX ? &suspects->at[at] : suspects_place(suspects);

	if (at == SUSPECTS_MAX) {
		if (n_deaths == 0)
			return;
		*suspect = (struct suspect){.seen = 0};
		memcpy(suspect->content_hash, content_hash, DIGEST_BYTES);
	}
	suspect->deaths[store] = n_deaths;
	suspect->seen = ++suspects->n_notes;
	for (uint32_t i = 0; i <= SAGA_STORES_MAX; i++)
		n_all += suspect->deaths[i];
	if (n_all == 0)
		*suspect = (struct suspect){.seen = 0};
}
