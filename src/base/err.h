/* An error's text, set where the fault is first seen and carried outwards unchanged.
 *
 * Functions return 0 or a negative errno; the text says what happened, where, and what to do. */
#ifndef SAGAD_BASE_ERR_H
#define SAGAD_BASE_ERR_H

#include "must.h"

#define ERR_TEXT_BYTES 384

struct err {
	char text[ERR_TEXT_BYTES]; /* NUL-terminated UTF-8, cut at a character's border; empty: no error */
};

/* Sets the text and returns rc, so that a caller can write `return err_set(err, -EINVAL, "...")`.
 * err may be NULL. The formatted text replaces what was there; control characters become '?'. */
int err_set(struct err *err, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts a prefix before the text that is there ("conf/sagad.conf:12: "), cutting at the end. */
void err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Removes the text. */
void err_clear(struct err *err);

#endif
