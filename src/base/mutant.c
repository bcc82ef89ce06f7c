#include "mutant.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MUTANT_LINE(name, where, text) #name "\t" where "\t" text,

enum mutant mutant_chosen = MUTANT_NONE;

static const char *const mutant_lines[] = {MUTANTS(MUTANT_LINE)};

int mutant_choose(const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = 0; i < MUTANT_NONE; i++)
		if (strncmp(mutant_lines[i], name, n) == 0 && mutant_lines[i][n] == '\t') {
			mutant_chosen = (enum mutant)i;
			return 0;
		}
	return -ENOENT;
}

const char *mutant_line(unsigned nth)
{
	return nth < MUTANT_NONE ? mutant_lines[nth] : NULL;
}
