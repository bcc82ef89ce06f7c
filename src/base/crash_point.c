/* Compiled in builds with crash points only. */
#include "base/crash_point.h"

#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_AS_IF_KILLED 137 /* what a shell says of SIGKILL */

#define CRASH_POINT_NAME(id, name) name,
static const char *const names[] = {CRASH_POINTS(CRASH_POINT_NAME)};
#undef CRASH_POINT_NAME

static atomic_uint_fast64_t hits[CRASH_POINT_COUNT];
static enum crash_point chosen = CRASH_POINT_COUNT; /* none */
static uint64_t chosen_hit;

void crash_point_reach(enum crash_point point)
{
	uint64_t hit = atomic_fetch_add(&hits[point], 1) + 1;

	if (point == chosen && hit == chosen_hit)
		_exit(EXIT_AS_IF_KILLED);
}

bool crash_point_arm(const char *text)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;

	if (colon == NULL || colon[1] < '1' || colon[1] > '9')
		return false;
	chosen_hit = strtoull(colon + 1, &end, 10);
	for (unsigned i = 0; i < ARRAY_LEN(names) && *end == '\0'; i++) {
		if (strlen(names[i]) != (size_t)(colon - text) || memcmp(names[i], text, strlen(names[i])) != 0)
			continue;
		chosen = (enum crash_point)i;
		return true;
	}
	return false;
}

const char *crash_point_name(enum crash_point point)
{
	return names[point];
}

uint64_t crash_point_hits(enum crash_point point)
{
	return atomic_load(&hits[point]);
}
