/* Between ports.c and ports_targets.c: how each store is reached, for documents and for steps alike. */
#ifndef SAGAD_SAGAD_PORTS_INTERNAL_H
#define SAGAD_SAGAD_PORTS_INTERNAL_H

#include "sagad/ports.h"
#include "stores/neo4j/neo4j.h"
#include "stores/postgres/postgres.h"
#include "stores/qdrant/qdrant.h"
#include "stores/redis/redis.h"

/* The texts are the configuration's. */
struct pg_config ports_truth_config(const struct config *config);
struct qdrant_config ports_qdrant_config(const struct config *config);
struct neo4j_config ports_neo4j_config(const struct config *config);
struct redis_config ports_redis_config(const struct config *config);

/* Gives the new secret to the target that uses the section's as well. The first error of `rc` and its own. */
int ports_renew_target_secret(struct ports *ports, const struct config *config, const char *section, const char *secret,
			      int rc);

#endif
