/* Compiled in builds with crash points only. */
#include "sagad/crash.h"

#include "base/crash_point.h"
#include "base/mutant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A seeded bug shows that the judge of the crashes notices one. */
static bool choose_mutant(void)
{
#ifdef SAGAD_MUTANTS
	const char *name = getenv("SAGAD_MUTANT");

	if (name != NULL && mutant_choose(name) != 0) {
		fprintf(stderr, "sagad: SAGAD_MUTANT is \"%s\"; tools/mutants names those that there are\n", name);
		return false;
	}
#endif
	return true;
}

bool crash_arm(void)
{
	const char *text = getenv("SAGAD_CRASH_AT");

	if (!choose_mutant())
		return false;
	if (text == NULL || crash_point_arm(text))
		return true;
	fprintf(stderr, "sagad: SAGAD_CRASH_AT is \"%s\"; write NAME:HIT with a name of --crash-points\n", text);
	return false;
}

void crash_print_names(void)
{
	for (unsigned i = 0; i < CRASH_POINT_COUNT; i++)
		puts(crash_point_name((enum crash_point)i));
}

void crash_write_hits(void)
{
	const char *path = getenv("SAGAD_CRASH_HITS");
	FILE *file = path != NULL ? fopen(path, "w") : NULL;

	if (file == NULL) {
		if (path != NULL)
			fprintf(stderr, "sagad: SAGAD_CRASH_HITS: %s: %s\n", path, strerror(errno));
		return;
	}
	for (unsigned i = 0; i < CRASH_POINT_COUNT; i++)
		fprintf(file, "%s %" PRIu64 "\n", crash_point_name((enum crash_point)i),
			crash_point_hits((enum crash_point)i));
	if (fclose(file) != 0)
		fprintf(stderr, "sagad: SAGAD_CRASH_HITS: %s: %s\n", path, strerror(errno));
}
