/* A new configuration for a daemon that runs. Loop's thread. */
#ifndef SAGAD_SAGAD_RELOAD_H
#define SAGAD_SAGAD_RELOAD_H

#include "engine/engine.h"
#include "sagad/config.h"
#include "sagad/dispatch.h"
#include "sagad/ops.h"
#include "sagad/ports.h"
#include "sagad/sink.h"
#include "sagad/sockets.h"

/* Everything that is told of new values; borrowed. */
struct reload_targets {
	struct engine *engine;
	struct dispatch *dispatch;
	struct sockets *sockets;
	struct ops *ops;
	struct ports *ports;
	struct sink *sink;
};

/* Reads the sources again and puts what changed in force; says in the log what changed, what needs a restart, or why
 * the old configuration stays. Errors as config_reload(). */
int reload(struct config *config, const struct config_sources *sources, const struct reload_targets *targets,
	   struct config_changes *out_changes, struct buf *out_faults);

#endif
