#include "ports_internal.h"

#include <errno.h>
#include <string.h>

#include "journal/journal.h"

/* ---- settings of each adapter ---- */

/* An empty text in the configuration means "not given". */
static const char *given(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

struct pg_config ports_truth_config(const struct config *config)
{
	struct pg_config pg = postgres_config_default();

	pg.host = config->postgresql.host;
	pg.port = (uint16_t)config->postgresql.port;
	pg.user = given(config->postgresql.user);
	pg.password = given(config->postgresql.password);
	pg.dbname = given(config->postgresql.database);
	pg.search_path = given(config->postgresql.search_path);
	pg.application_prefix = config->daemon.instance;
	pg.sslmode = given(config->postgresql.sslmode);
	pg.sslrootcert = given(config->postgresql.sslrootcert);
	pg.sslcert = given(config->postgresql.sslcert);
	pg.sslkey = given(config->postgresql.sslkey);
	pg.sslcrl = given(config->postgresql.sslcrl);
	pg.connect_timeout_ms = (uint32_t)config->postgresql.connect_timeout_ms;
	postgres_set_timeout(&pg, config->timeouts.postgresql_ms);
	pg.n_pivot_connections = (uint32_t)config->postgresql.connections;
	pg.n_read_connections = (uint32_t)config->postgresql.read_connections;
	pg.max_batch = (uint32_t)config->postgresql.max_batch;
	pg.max_batch_bytes = config->postgresql.max_batch_bytes;
	return pg;
}

struct qdrant_config ports_qdrant_config(const struct config *config)
{
	return (struct qdrant_config){
		.host = config->qdrant.host,
		.port = (uint16_t)config->qdrant.port,
		.is_tls = config->qdrant.use_tls,
		.ca_file = given(config->qdrant.ca_file),
		.cert_file = given(config->qdrant.cert_file),
		.key_file = given(config->qdrant.key_file),
		.verify = config->qdrant.tls_verify,
		.api_key = given(config->qdrant.api_key),
		.collection = config->qdrant.collection,
		.connect_timeout_ms = (uint32_t)config->qdrant.connect_timeout_ms,
		.admin_timeout_ms = (uint32_t)config->qdrant.admin_timeout_ms,
		.connections = (uint32_t)config->qdrant.connections,
		.max_batch = (uint32_t)config->qdrant.max_batch,
		.max_batch_bytes = config->qdrant.max_batch_bytes,
		.max_points = (uint32_t)config->qdrant.max_points,
		.max_body_bytes = config->qdrant.max_body_bytes,
	};
}

static int qdrant_open(uv_loop_t *loop, const struct config *config, struct log *log, struct store **out_store,
		       struct err *err)
{
	const struct qdrant_config qdrant = ports_qdrant_config(config);

	return qdrant_create(loop, &qdrant, log, out_store, err);
}

struct neo4j_config ports_neo4j_config(const struct config *config)
{
	return (struct neo4j_config){
		.url = config->neo4j.url,
		.ca_file = given(config->neo4j.ca_file),
		.cert_file = given(config->neo4j.cert_file),
		.key_file = given(config->neo4j.key_file),
		.verify = config->neo4j.tls_verify,
		.user = given(config->neo4j.user),
		.password = given(config->neo4j.password),
		.database = config->neo4j.database,
		.connect_timeout_ms = (uint32_t)config->neo4j.connect_timeout_ms,
		.admin_timeout_ms = (uint32_t)config->neo4j.admin_timeout_ms,
		.connections = (uint32_t)config->neo4j.connections,
		.max_batch = (uint32_t)config->neo4j.max_batch,
		.max_batch_bytes = config->neo4j.max_batch_bytes,
		.tombstone_ms = config->neo4j.tombstone_ms,
		.collect_interval_ms = (uint32_t)config->neo4j.collect_interval_ms,
	};
}

static int neo4j_open(uv_loop_t *loop, const struct config *config, struct log *log, struct store **out_store,
		      struct err *err)
{
	const struct neo4j_config neo4j = ports_neo4j_config(config);

	return neo4j_create(loop, &neo4j, log, out_store, err);
}

struct redis_config ports_redis_config(const struct config *config)
{
	return (struct redis_config){
		.host = config->redis.host,
		.port = (uint16_t)config->redis.port,
		.path = given(config->redis.path),
		.is_tls = config->redis.use_tls,
		.ca_file = given(config->redis.ca_file),
		.cert_file = given(config->redis.cert_file),
		.key_file = given(config->redis.key_file),
		.tls_verify = config->redis.tls_verify,
		.user = given(config->redis.user),
		.password = given(config->redis.password),
		.db = (uint32_t)config->redis.database,
		.key_prefix = config->redis.key_prefix,
		.staging_ttl_s = (uint32_t)(config->redis.staging_ttl_ms / 1000),
		.fence_ttl_s = (uint32_t)(config->redis.fence_ttl_ms / 1000),
		.cache_ttl_s = (uint32_t)(config->timeouts.cache_ttl_ms / 1000),
		.connect_timeout_ms = (uint32_t)config->redis.connect_timeout_ms,
		.admin_timeout_ms = (uint32_t)config->redis.admin_timeout_ms,
		.connections = (uint32_t)config->redis.connections,
		.max_batch = (uint32_t)config->redis.max_batch,
		.max_batch_bytes = config->redis.max_batch_bytes,
	};
}

static int redis_open(uv_loop_t *loop, const struct config *config, struct log *log, struct store **out_store,
		      struct err *err)
{
	const struct redis_config redis = ports_redis_config(config);

	return redis_store_create(loop, &redis, log, out_store, err);
}

/* ---- all of them ---- */

/* The names are those in debts, journal and metrics. Their order is that of every array of stores in this process. */
static int (*const store_openers[])(uv_loop_t *loop, const struct config *config, struct log *log,
				    struct store **out_store, struct err *err) = {
	qdrant_open,
	neo4j_open,
	redis_open,
};

static int journal_open_configured(struct ports *ports, uv_loop_t *loop, const struct config *config, struct log *log,
				   struct err *err)
{
	struct journal_options options = journal_options_default();

	options.keep_ms = config->timeouts.keep_outcomes_ms;
	return journal_open(loop, config->daemon.journal, log, &options, &ports->journal, err);
}

int ports_open(struct ports *ports, uv_loop_t *loop, const struct config *config, struct log *log, struct err *err)
{
	const struct pg_config pg = ports_truth_config(config);
	int rc;

	*ports = (struct ports){0};
	rc = journal_open_configured(ports, loop, config, log, err);
	if (rc == 0)
		rc = postgres_create(loop, &pg, log, &ports->truth, err);
	for (uint32_t i = 0; rc == 0 && i < ARRAY_LEN(store_openers); i++) {
		rc = store_openers[i](loop, config, log, &ports->stores[i], err);
		ports->n_stores = i + 1;
	}
	return rc == 0 ? ports_open_targets(ports, loop, config, log, err) : rc;
}

static const char *secret_of(const struct config *config, const char *section)
{
	if (strcmp(section, "postgresql") == 0)
		return config->postgresql.password;
	if (strcmp(section, "qdrant") == 0)
		return config->qdrant.api_key;
	return strcmp(section, "neo4j") == 0 ? config->neo4j.password : config->redis.password;
}

void ports_renew_secret(struct ports *ports, const struct config *config, const char *section, struct log *log)
{
	const char *secret = secret_of(config, section);
	int rc = -ENOENT;

	if (strcmp(section, "postgresql") == 0)
		rc = ports->truth->ops->renew_secret(ports->truth, secret);
	for (uint32_t i = 0; i < ports->n_stores; i++)
		if (strcmp(section, ports->stores[i]->name) == 0 && ports->stores[i]->ops->renew_secret != NULL)
			rc = ports->stores[i]->ops->renew_secret(ports->stores[i], secret);
	rc = ports_renew_target_secret(ports, config, section, secret, rc);
	if (rc != 0)
		log_error(log, "%s: the new password or key can't be used before a restart: %s", section,
			  strerror(-rc));
}

void ports_renew_timeouts(struct ports *ports, const struct config *config)
{
	ports->truth->ops->renew_timeout(ports->truth, config->timeouts.postgresql_ms);
	journal_set_keep(ports->journal, config->timeouts.keep_outcomes_ms);
}

static void journal_closed(void *arg)
{
	struct ports *ports = arg;

	ports->closed(ports);
}

static void port_closed(void *arg)
{
	struct ports *ports = arg;

	ports->n_open--;
	if (ports->n_open == 0)
		ports->journal->ops->close(ports->journal, journal_closed, ports);
}

void ports_close(struct ports *ports, void (*closed)(struct ports *ports))
{
	ports->closed = closed;
	ports->n_open = ports->n_stores + ports->n_targets + 1;
	for (uint32_t i = 0; i < ports->n_targets; i++)
		ports->targets[i]->ops->close(ports->targets[i], port_closed, ports);
	for (uint32_t i = 0; i < ports->n_stores; i++)
		ports->stores[i]->ops->close(ports->stores[i], port_closed, ports);
	ports->truth->ops->close(ports->truth, port_closed, ports);
}
