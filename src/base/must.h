/* Assertions and small macros that everything may use.
 *
 * MUST() is for bugs only: it aborts in every build, because the journal makes a restart safer than going on
 * wrong. What a peer or a store can cause is an error, never a MUST(). */
#ifndef SAGAD_BASE_MUST_H
#define SAGAD_BASE_MUST_H

#include <stddef.h>

/* Prints the claim and its place to standard error and aborts. */
_Noreturn void must_fail(const char *claim, const char *file, int line);

#define MUST(claim) ((claim) ? (void)0 : must_fail(#claim, __FILE__, __LINE__))

/* The struct that embeds *ptr as its field `member`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define WARN_UNUSED            __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
