#include "nearest.h"

#include <ctype.h>

#define NEAREST_MAX_BYTES 40 /* longer ones are no typing errors of ours */

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance with one row; letters compare without their case. */
static uint32_t nearest_distance(struct str a, struct str b)
{
	uint32_t row[NEAREST_MAX_BYTES + 1];

	for (uint32_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= a.len; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= b.len; j++) {
			uint32_t above = row[j];
			bool same = tolower((unsigned char)a.at[i - 1]) == tolower((unsigned char)b.at[j - 1]);

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));
			diagonal = above;
		}
	}
	return row[b.len];
}

const char *nearest_name(struct str typed, const char *const *names, uint32_t n_names)
{
	const char *best = NULL;
	uint32_t best_distance = UINT32_MAX;

	if (typed.len > NEAREST_MAX_BYTES)
		return NULL;
	for (uint32_t i = 0; i < n_names; i++) {
		struct str name = str_of(names[i]);
		uint32_t distance = name.len <= NEAREST_MAX_BYTES ? nearest_distance(typed, name) : UINT32_MAX;

		if (distance < best_distance && distance <= 1 + name.len / 3) {
			best = names[i];
			best_distance = distance;
		}
	}
	return best;
}
