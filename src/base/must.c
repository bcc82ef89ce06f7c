#include "must.h"

#include <stdio.h>
#include <stdlib.h>

void must_fail(const char *claim, const char *file, int line)
{
	fprintf(stderr, "sagad: bug at %s:%d: %s does not hold; stopping, the journal has what is needed\n", file, line,
		claim);
	abort();
}
