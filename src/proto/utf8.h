/* UTF-8 made valid. Private to src/proto/. */
#ifndef SAGAD_PROTO_UTF8_H
#define SAGAD_PROTO_UTF8_H

#include <stddef.h>

/* Replaces each byte that belongs to no character by '?'. RFC 3629: no surrogates, no overlong forms, nothing above
 * U+10FFFF. */
void utf8_scrub(char *bytes, size_t n_bytes);

#endif
