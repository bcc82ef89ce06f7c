/* Memory that runs out: the n-th allocation from now on finds none, once. Of this program and of the libraries that it
 * uses; with a sanitizer, whose allocator can't be replaced, of the program only.
 *
 * It concerns the calling thread alone. */
#ifndef SAGAD_TEST_MEMORY_SCARCE_H
#define SAGAD_TEST_MEMORY_SCARCE_H

#include <stdbool.h>
#include <stddef.h>

/* Lets the nth allocation fail, 1 being the next one. */
void scarce_begin(size_t nth);

/* Ends it. True: an allocation has failed. */
bool scarce_end(void);

#endif
