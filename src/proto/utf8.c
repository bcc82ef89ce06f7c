#include "utf8.h"

#include "base/must.h"

/* First bytes, by mask; the second byte's range keeps overlong forms, surrogates and what is beyond U+10FFFF out. The
 * narrower rows come first. RFC 3629, section 4. */
static const struct {
	unsigned char mask, lead, low, high;
	size_t len;
} utf8_forms[] = {
	{0x80, 0x00, 0x00, 0x00, 1}, {0xff, 0xe0, 0xa0, 0xbf, 3}, {0xff, 0xed, 0x80, 0x9f, 3},
	{0xf0, 0xe0, 0x80, 0xbf, 3}, {0xff, 0xf0, 0x90, 0xbf, 4}, {0xff, 0xf4, 0x80, 0x8f, 4},
	{0xfc, 0xf0, 0x80, 0xbf, 4}, {0xfe, 0xc0, 0x01, 0x00, 2}, {0xe0, 0xc0, 0x80, 0xbf, 2},
};

/* The length of the character at `at`, or 0 when there is none. */
static size_t utf8_len(const unsigned char *at, size_t left)
{
	size_t i = 0;

	while (i < ARRAY_LEN(utf8_forms) && (at[0] & utf8_forms[i].mask) != utf8_forms[i].lead)
		i++;
	if (i == ARRAY_LEN(utf8_forms) || utf8_forms[i].len > left)
		return 0;
	if (utf8_forms[i].len > 1 && (at[1] < utf8_forms[i].low || at[1] > utf8_forms[i].high))
		return 0;
	for (size_t j = 2; j < utf8_forms[i].len; j++)
		if (at[j] < 0x80 || at[j] > 0xbf)
			return 0;
	return utf8_forms[i].len;
}

void utf8_scrub(char *bytes, size_t n_bytes)
{
	size_t i = 0;

	while (i < n_bytes) {
		size_t len = utf8_len((const unsigned char *)bytes + i, n_bytes - i);

		if (len == 0) {
			bytes[i] = '?';
			len = 1;
		}
		i += len;
	}
}
