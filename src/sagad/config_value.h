/* Values of configuration keys: from text and back. Every source hands its values in as text, so there is one parser.
 */
#ifndef SAGAD_SAGAD_CONFIG_VALUE_H
#define SAGAD_SAGAD_CONFIG_VALUE_H

#include "base/err.h"
#include "sagad/config_keys.h"

/* Sets key `index` of the configuration. 0, -EINVAL (the text says what was expected), or -ENOMEM. On failure the old
 * value stays. */
int config_value_set(struct config *config, size_t index, struct str text, struct err *err) WARN_UNUSED;

/* Appends the value in the form that config_value_set() takes; a secret as it is. */
void config_value_append(const struct config *config, size_t index, struct buf *out);

/* Appends the range or the choices of a key in words; nothing when there is none to tell. */
void config_value_append_range(const struct config_key *key, struct buf *out);

/* Must the value stand in quotes in a file? */
bool config_value_is_quoted(const struct config_key *key, struct str text);

/* The place of a text value. */
char **config_value_text(struct config *config, size_t offset);

#endif
