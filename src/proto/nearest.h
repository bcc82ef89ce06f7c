/* The known name that a mistyped one was most likely meant to be. Private to src/proto/. */
#ifndef SAGAD_PROTO_NEAREST_H
#define SAGAD_PROTO_NEAREST_H

#include "base/str.h"

#include <stdint.h>

/* The name with the smallest edit distance, or NULL when none is near enough to be a help. */
const char *nearest_name(struct str typed, const char *const *names, uint32_t n_names);

#endif
