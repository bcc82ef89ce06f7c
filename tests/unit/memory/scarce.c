#include "scarce.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static __thread size_t left; /* until the failure; 0: none is due */
static __thread bool has_failed;

void scarce_begin(size_t nth)
{
	left = nth;
	has_failed = false;
}

bool scarce_end(void)
{
	left = 0;
	return has_failed;
}

static bool is_due(void)
{
	if (left == 0 || --left > 0)
		return false;
	has_failed = true;
	errno = ENOMEM;
	return true;
}

#ifdef SCARCE_WRAP
/* The linker sends the program's own calls here: -Wl,--wrap=malloc and so on. */
#define REAL(name) __real_##name
#define OURS(name) __wrap_##name
#else
/* The definitions of the program come before those of the C library, for its libraries as well. glibc says which names
 * lead to its own: https://sourceware.org/glibc/manual/2.36/html_node/Replacing-malloc.html */
#define REAL(name) __libc_##name
#define OURS(name) name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *at, size_t size);
void *OURS(malloc)(size_t size);
void *OURS(calloc)(size_t n, size_t size);
void *OURS(realloc)(void *at, size_t size);

void *OURS(malloc)(size_t size)
{
	return is_due() ? NULL : REAL(malloc)(size);
}

void *OURS(calloc)(size_t n, size_t size)
{
	return is_due() ? NULL : REAL(calloc)(n, size);
}

void *OURS(realloc)(void *at, size_t size)
{
	return is_due() ? NULL : REAL(realloc)(at, size);
}

#ifndef SCARCE_WRAP
void __libc_free(void *at);
void free(void *at);

/* With the others, so that a tool which replaces the C library's allocator replaces none of the four or all. */
void free(void *at)
{
	__libc_free(at);
}
#else
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n_max);

char *__wrap_strdup(const char *text)
{
	size_t n_bytes = strlen(text) + 1;
	char *copy = __wrap_malloc(n_bytes);

	return copy != NULL ? memcpy(copy, text, n_bytes) : NULL;
}

char *__wrap_strndup(const char *text, size_t n_max)
{
	size_t n = strnlen(text, n_max);
	char *copy = __wrap_malloc(n + 1);

	if (copy == NULL)
		return NULL;
	copy[n] = '\0';
	return memcpy(copy, text, n);
}
#endif
