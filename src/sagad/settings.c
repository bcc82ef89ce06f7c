#include "settings.h"

#include <stdio.h>
#include <string.h>

/* Standard streams, loop, journal (three files and a lock), listening sockets, resolver, a reserve. */
#define FDS_OF_THE_PROCESS 48

#define SAGA_TRIES_MAX 1000 /* that a step may ask for */

struct document_limits settings_limits(const struct config *config)
{
	return (struct document_limits){
		.max_content_bytes = config->limits.max_content_bytes,
		.max_chunks = (uint32_t)config->limits.max_chunks,
		.max_dims = (uint32_t)config->limits.max_dims,
		.dims = (uint32_t)config->schema.dims,
		.max_entities = (uint32_t)config->limits.max_entities,
		.max_relationships = (uint32_t)config->limits.max_relationships,
		.max_name_bytes = config->limits.max_name_bytes,
		.max_graph_bytes = config->limits.max_graph_bytes,
		.max_vector_json_bytes = config->limits.max_vector_json_bytes,
		.max_metadata_depth = (uint32_t)config->limits.max_metadata_depth,
		.max_metadata_bytes = config->limits.max_metadata_bytes,
		.refuse_zero_vectors = strcmp(config->schema.distance, "cosine") == 0,
	};
}

struct engine_config settings_engine(const struct config *config)
{
	return (struct engine_config){
		.max_sagas = (uint32_t)config->limits.max_sagas,
		.max_bytes = config->limits.max_bytes,
		.max_waiting = (uint32_t)config->limits.max_waiting,
		.max_errands = (uint32_t)config->limits.max_errands,
		.deadline_ms = config->timeouts.deadline_ms,
		.max_deadline_ms = config->timeouts.max_deadline_ms,
		.store_timeout_ms = config->timeouts.store_ms,
		.truth_timeout_ms = config->timeouts.postgresql_ms,
		.max_tries = (uint32_t)config->retry.max_tries,
		.retry = {.base_ns = config->retry.base_ms * NS_PER_MS, .cap_ns = config->retry.cap_ms * NS_PER_MS},
		.background = {.base_ns = config->retry.background_base_ms * NS_PER_MS,
			       .cap_ns = config->retry.background_cap_ms * NS_PER_MS},
		.late_write_window_ms = config->timeouts.late_write_window_ms,
		.park_after_ms = config->timeouts.park_after_ms,
		.parked_retry_ms = config->timeouts.parked_retry_ms,
		.keep_outcomes_ms = config->timeouts.keep_outcomes_ms,
		.cache_ttl_s = (uint32_t)(config->timeouts.cache_ttl_ms / 1000),
		.slow_saga_ms = config->log.slow_saga_ms,
		.log_successes = config->log.successes,
		.limits = settings_limits(config),
	};
}

static bool settings_has_service(const void *arg, struct str name)
{
	const struct config *config = arg;

	return config_services_find(&config->sagas.services, name) != NULL;
}

static struct flow_limits settings_flow_limits(const struct config *config)
{
	return (struct flow_limits){
		.max_steps = (uint32_t)config->sagas.max_steps,
		.max_depth = (uint32_t)config->sagas.max_depth,
		.max_bytes = config->sagas.max_bytes,
		.max_deadline_ms = config->sagas.max_deadline_ms,
		.max_timeout_ms = config->sagas.max_step_timeout_ms,
		.max_tries = SAGA_TRIES_MAX,
		.has_service = settings_has_service,
		.arg = config,
		.documents = settings_limits(config),
	};
}

struct flow_config settings_flows(const struct config *config)
{
	return (struct flow_config){
		.max_flows = (uint32_t)config->sagas.max_open,
		.max_flow_bytes = config->sagas.max_memory_bytes,
		.max_result_bytes = config->sagas.max_result_bytes,
		.deadline_ms = config->sagas.deadline_ms,
		.step_timeout_ms = config->sagas.step_timeout_ms,
		.max_tries = (uint32_t)config->sagas.max_tries,
		.retry = {.base_ns = config->sagas.retry_base_ms * NS_PER_MS,
			  .cap_ns = config->sagas.retry_cap_ms * NS_PER_MS},
		.undo = {.base_ns = config->sagas.undo_base_ms * NS_PER_MS,
			 .cap_ns = config->sagas.undo_cap_ms * NS_PER_MS},
		.park_after_ms = config->sagas.park_after_ms,
		.parked_retry_ms = config->sagas.parked_retry_ms,
		.limits = settings_flow_limits(config),
	};
}

struct sink_config settings_sink(const struct config *config)
{
	return (struct sink_config){
		.level = config->log.level,
		.format = config->log.format,
		.repeats = (uint32_t)config->log.repeats,
	};
}

struct store_schema settings_schema(const struct config *config)
{
	struct store_schema schema = {
		.dims = (uint32_t)config->schema.dims,
		.hnsw_m = (uint32_t)config->schema.hnsw_m,
		.hnsw_ef_construct = (uint32_t)config->schema.hnsw_ef_construct,
		.on_disk = config->schema.on_disk,
		.quantize_int8 = config->schema.quantize_int8,
		.ann_index = config->schema.ann_index,
	};

	(void)snprintf(schema.distance, sizeof(schema.distance), "%s", config->schema.distance); /* one of four words */
	return schema;
}

/* Of the targets of steps: an upper bound, for not every store need be among them. */
static uint32_t settings_step_fds(const struct config *config)
{
	uint64_t n = config->sagas.stores[0] != '\0' ? 4 * config->sagas.connections : 0;

	for (uint32_t i = 0; i < config->sagas.services.n; i++)
		n += config->sagas.services.at[i].connections;
	return (uint32_t)n;
}

uint32_t settings_spare_fds(const struct config *config)
{
	return settings_step_fds(config) + FDS_OF_THE_PROCESS +
	       (uint32_t)(config->postgresql.connections + config->postgresql.read_connections +
			  config->qdrant.connections + config->neo4j.connections + config->redis.connections);
}

struct server_config settings_server(const struct config *config)
{
	return (struct server_config){
		.fd = -1,
		.socket_gid = (gid_t)-1,
		.max_line_bytes = config->limits.max_line_bytes,
		.max_buffered_bytes = config->limits.max_buffered_bytes,
		.max_clients = (uint32_t)config->limits.max_clients,
		.spare_fds = settings_spare_fds(config),
		.max_jobs = (uint32_t)config->limits.max_client_jobs,
		.max_unsent_bytes = config->limits.max_client_bytes,
		.stall_ms = config->timeouts.client_idle_write_ms,
	};
}
