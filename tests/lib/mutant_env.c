/* Lets SAGAD_MUTANT choose a mutant in a test program; linked to those of a build with mutants only, never to sagad.
 *
 * The reference is weak: a program that has none of the mutated code isn't given the table either, so that the symbol
 * mutant_chosen tells tools/mutants which tests could notice anything. */
#include <stdio.h>
#include <stdlib.h>

int mutant_choose(const char *name) __attribute__((weak));

__attribute__((constructor)) static void mutant_from_environment(void)
{
	const char *name = getenv("SAGAD_MUTANT");

	if (name == NULL || mutant_choose == NULL)
		return;
	if (mutant_choose(name) != 0) {
		fprintf(stderr, "SAGAD_MUTANT: there is no mutant \"%s\"\n", name);
		exit(2);
	}
}
