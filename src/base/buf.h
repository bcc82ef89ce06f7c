/* A growing run of bytes. The first allocation that fails marks the buffer; later appends do nothing, and one look at
 * buf_is_failed() at the end of a message is enough. */
#ifndef SAGAD_BASE_BUF_H
#define SAGAD_BASE_BUF_H

#include "must.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *at;   /* owned; NULL while nothing was appended; always followed by a NUL that len does not count */
	size_t len; /* bytes in use */
	size_t size_bytes; /* bytes allocated */
	bool failed;       /* an append found no memory; the content is not whole */
};

/* An empty buffer; allocates nothing. All zeroes is the same. */
void buf_init(struct buf *buf);

/* Frees the bytes. Takes NULL and zeroes. */
void buf_fini(struct buf *buf);

/* Makes room for `more` bytes beyond len; 0 or -ENOMEM (and marks the buffer). */
int buf_reserve(struct buf *buf, size_t more);

/* Appends. `bytes` is borrowed for the call. */
void buf_append(struct buf *buf, const void *bytes, size_t n_bytes);
void buf_append_str(struct buf *buf, struct str text);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_format(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends integers in network byte order, as PostgreSQL's binary formats want them. */
void buf_append_be16(struct buf *buf, uint16_t value);
void buf_append_be32(struct buf *buf, uint32_t value);
void buf_append_be64(struct buf *buf, uint64_t value);

/* Drops the first n_bytes (at most len). */
void buf_consume(struct buf *buf, size_t n_bytes);

/* Forgets the content and a failure, keeps the memory. */
void buf_clear(struct buf *buf);

static inline struct str buf_str(const struct buf *buf)
{
	return (struct str){buf->at, buf->len};
}

#endif
