#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Texts may carry what a store or a client sent: they go to logs and terminals, so nothing that steers either, and
 * no half character at the cut. */
static void err_make_printable(char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			text[i] = c == '\n' ? ' ' : '?';
	}
	if (len + 1 < ERR_TEXT_BYTES)
		return;
	while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
		len--;
	if (len > 0 && (unsigned char)text[len - 1] >= 0x80)
		len--;
	text[len] = '\0';
}

int err_set(struct err *err, int rc, const char *fmt, ...)
{
	if (err != NULL) {
		struct err made;
		va_list args;

		va_start(args, fmt);
		(void)vsnprintf(made.text, sizeof(made.text), fmt, args); /* cut on purpose */
		va_end(args);
		err_make_printable(made.text);
		*err = made;
	}
	return rc;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	struct err made;
	va_list args;
	size_t used;

	if (err == NULL)
		return;
	va_start(args, fmt);
	(void)vsnprintf(made.text, sizeof(made.text), fmt, args); /* cut on purpose */
	va_end(args);
	used = strlen(made.text);
	(void)snprintf(made.text + used, sizeof(made.text) - used, "%s", err->text);
	err_make_printable(made.text);
	*err = made;
}

void err_clear(struct err *err)
{
	if (err != NULL)
		err->text[0] = '\0';
}
