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

static bool suspect_has_deaths(const struct suspect *suspect)
{
	for (uint32_t i = 0; i <= SAGA_STORES_MAX; i++)
		if (suspect->deaths[i] > 0)
			return true;
	return false;
}

/* Does its place go before that of the other? Who was merely there when a store went, before who has killed one. */
static bool suspect_goes_before(const struct suspect *suspect, const struct suspect *other)
{
	bool is_sure = suspect_has_deaths(suspect), is_other_sure = suspect_has_deaths(other);

	return is_sure != is_other_sure ? is_other_sure : suspect->seen < other->seen;
}

static struct suspect *suspects_place(struct suspects *suspects)
{
	struct suspect *place = &suspects->at[0];

	for (uint32_t i = 1; i < SUSPECTS_MAX; i++)
		if (suspect_goes_before(&suspects->at[i], place))
			place = &suspects->at[i];
	return place;
}

/* The content's place, made when it is wanted; NULL: it has none. */
static struct suspect *suspects_at(struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES], bool is_wanted)
{
	uint32_t at = suspects_of(suspects, content_hash);
	struct suspect *suspect;

	if (at < SUSPECTS_MAX)
		return &suspects->at[at];
	if (!is_wanted)
		return NULL;
	suspect = suspects_place(suspects);
	*suspect = (struct suspect){.seen = 0};
	memcpy(suspect->content_hash, content_hash, DIGEST_BYTES);
	return suspect;
}

static void suspects_seen(struct suspects *suspects, struct suspect *suspect)
{
	suspect->seen = ++suspects->n_notes;
	if (suspect->stores == 0 && !suspect_has_deaths(suspect))
		*suspect = (struct suspect){.seen = 0};
}

void suspects_note(struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES], uint32_t store,
		   uint32_t n_deaths)
{
	struct suspect *suspect = suspects_at(suspects, content_hash, n_deaths > 0);

	if (suspect == NULL)
		return;
	suspect->deaths[store] = n_deaths;
	suspects_seen(suspects, suspect);
}

uint32_t suspects_stores(const struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES])
{
	uint32_t at = suspects->n_notes > 0 ? suspects_of(suspects, content_hash) : SUSPECTS_MAX;

	return at < SUSPECTS_MAX ? suspects->at[at].stores : 0;
}

void suspects_set_stores(struct suspects *suspects, const uint8_t content_hash[DIGEST_BYTES], uint32_t stores)
{
	struct suspect *suspect;

	if (stores == 0 && suspects->n_notes == 0)
		return; /* nearly always */
	suspect = suspects_at(suspects, content_hash, stores != 0);
	if (suspect == NULL)
		return;
	suspect->stores = stores;
	suspects_seen(suspects, suspect);
}
