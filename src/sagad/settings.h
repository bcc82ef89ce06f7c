/* The configuration, as the parts of the daemon want it. Pure: nothing here opens or asks anything. The texts stay the
 * configuration's. */
#ifndef SAGAD_SAGAD_SETTINGS_H
#define SAGAD_SAGAD_SETTINGS_H

#include "engine/engine.h"
#include "engine/flows.h"
#include "net/server.h"
#include "port/store.h"
#include "proto/document.h"
#include "sagad/config.h"
#include "sagad/sink.h"

struct document_limits settings_limits(const struct config *config);
struct engine_config settings_engine(const struct config *config);
/* `config` is kept by the limits: they ask it for services. */
struct flow_config settings_flows(const struct config *config);
struct sink_config settings_sink(const struct config *config);
struct store_schema settings_schema(const struct config *config);

/* What both sockets have in common with `config`, without access, path and mode. */
struct server_config settings_server(const struct config *config);

/* Descriptors that everything but clients may need at the same time. */
uint32_t settings_spare_fds(const struct config *config);

#endif
