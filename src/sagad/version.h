/* What `sagad --version` tells. */
#ifndef SAGAD_SAGAD_VERSION_H
#define SAGAD_SAGAD_VERSION_H

#include <stdio.h>

/* Version, libraries as built and as loaded, and what this build can't do. */
void version_print(FILE *out);

#endif
