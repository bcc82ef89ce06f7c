/* A borrowed piece of text or bytes. Whoever holds one must know who keeps the bytes alive. */
#ifndef SAGAD_BASE_STR_H
#define SAGAD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *at; /* NULL: absent, which is not the same as empty */
	size_t len;     /* bytes, without a terminator */
};

#define STR_NONE ((struct str){NULL, 0})

/* Arguments for a "%.*s". */
#define STR_ARG(s) ((int)(s).len), ((s).at != NULL ? (s).at : "")

static inline struct str str_of(const char *text)
{
	return (struct str){text, text != NULL ? strlen(text) : 0};
}

static inline bool str_is_equal(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

#endif
