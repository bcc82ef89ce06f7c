#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *buf)
{
	*buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
	if (buf == NULL)
		return;
	free(buf->at);
	buf_init(buf);
}

int buf_reserve(struct buf *buf, size_t more)
{
	size_t wanted, size = buf->size_bytes != 0 ? buf->size_bytes : BUF_FIRST_BYTES;
	char *grown;

	if (buf->failed)
		return -ENOMEM;
	if (more >= SIZE_MAX / 2 - buf->len)
		goto no_memory;
	wanted = buf->len + more + 1; /* one for the NUL */
	if (wanted <= buf->size_bytes)
		return 0;
	while (size < wanted)
		size += size / 2 + BUF_FIRST_BYTES;
	grown = realloc(buf->at, size);
	if (grown == NULL)
		goto no_memory;
	buf->at = grown;
	buf->size_bytes = size;
	buf->at[buf->len] = '\0';
	return 0;
no_memory:
	buf->failed = true;
	return -ENOMEM;
}

void buf_append(struct buf *buf, const void *bytes, size_t n_bytes)
{
	if (n_bytes == 0 || buf_reserve(buf, n_bytes) != 0)
		return;
	memcpy(buf->at + buf->len, bytes, n_bytes);
	buf->len += n_bytes;
	buf->at[buf->len] = '\0';
}

void buf_append_str(struct buf *buf, struct str text)
{
	buf_append(buf, text.at, text.len);
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_format(struct buf *buf, const char *fmt, ...)
{
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	MUST(n >= 0);
	if (buf_reserve(buf, (size_t)n) == 0) {
		(void)vsnprintf(buf->at + buf->len, (size_t)n + 1, fmt, again); /* measured above */
		buf->len += (size_t)n;
	}
	va_end(again);
}

static void buf_append_be(struct buf *buf, uint64_t value, unsigned n_bytes)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < n_bytes; i++)
		bytes[i] = (unsigned char)(value >> (8 * (n_bytes - 1 - i)));
	buf_append(buf, bytes, n_bytes);
}

void buf_append_be16(struct buf *buf, uint16_t value)
{
	buf_append_be(buf, value, 2);
}

void buf_append_be32(struct buf *buf, uint32_t value)
{
	buf_append_be(buf, value, 4);
}

void buf_append_be64(struct buf *buf, uint64_t value)
{
	buf_append_be(buf, value, 8);
}

void buf_consume(struct buf *buf, size_t n_bytes)
{
	MUST(n_bytes <= buf->len);
	if (n_bytes == 0)
		return;
	memmove(buf->at, buf->at + n_bytes, buf->len - n_bytes);
	buf->len -= n_bytes;
	buf->at[buf->len] = '\0';
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->at != NULL)
		buf->at[0] = '\0';
}
