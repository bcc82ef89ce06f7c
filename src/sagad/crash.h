/* What the environment and the command line of a build with crash points are about; nothing in other builds. */
#ifndef SAGAD_SAGAD_CRASH_H
#define SAGAD_SAGAD_CRASH_H

#include <stdbool.h>

#ifdef SAGAD_CRASH_POINTS

/* Obeys SAGAD_CRASH_AT ("name:hit"), and in a build with mutants SAGAD_MUTANT. False: said on standard error that there
 * is no such point or mutant. */
bool crash_arm(void);

/* Prints every name, one a line. */
void crash_print_names(void);

/* Writes "name hits" of every point to the file that SAGAD_CRASH_HITS names, if it is set. */
void crash_write_hits(void);

#endif
#endif
