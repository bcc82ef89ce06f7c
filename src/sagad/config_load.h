/* The parts of config_load(): each source in a file of its own. Private to the configuration. */
#ifndef SAGAD_SAGAD_CONFIG_LOAD_H
#define SAGAD_SAGAD_CONFIG_LOAD_H

#include "base/err.h"
#include "base/str.h"
#include "sagad/config.h"
#include "sagad/config_keys.h"

/* What is being filled in, and what was found to be wrong so far. */
struct config_loader {
	struct config *config;
	struct buf *faults; /* a line each */
	unsigned n_faults;
	bool is_out_of_memory;
};

/* Notes a fault at a place ("FILE:LINE"). */
void config_fault(struct config_loader *loader, const char *place, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Sets a key from a source unless a stronger one has set it already; a value that doesn't fit is a fault. `origin` is
 * borrowed, its file is copied. */
void config_assign(struct config_loader *loader, size_t index, struct str text, const struct config_origin *origin);

/* The sources. */
void config_file_read(struct config_loader *loader, const char *path, bool may_be_missing);
void config_env_read(struct config_loader *loader);
void config_option_read(struct config_loader *loader, const char *option);

/* Replaces each secret that is to come from a file by that file's content. */
void config_secrets_read(struct config_loader *loader);

/* Looks at how the values fit together. */
void config_check(struct config_loader *loader);

#endif
