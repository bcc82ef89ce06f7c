/* What steps of clients' own sagas run on: the stores and services that the section `sagas` names. */
#include "ports_internal.h"

#include "stores/neo4j/neo4j_steps.h"
#include "stores/postgres/pg_steps.h"
#include "stores/qdrant/qdrant_steps.h"
#include "stores/redis/redis_steps.h"
#include "stores/service/service.h"

#include <string.h>

_Static_assert(CONFIG_SERVICES_MAX + 5 < TARGETS_MAX, "there is room for the stores, too");

static const char *given(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* ---- stores ---- */

static int open_postgresql(uv_loop_t *loop, const struct config *config, struct log *log, struct target **out_target,
			   struct err *err)
{
	struct pg_steps_config steps = {
		.server = ports_truth_config(config),
		.connections = (uint32_t)config->sagas.connections,
		.max_result_bytes = config->sagas.max_result_bytes,
	};

	if (config->sagas.postgresql_user[0] != '\0') {
		steps.server.user = config->sagas.postgresql_user;
		steps.server.password = given(config->sagas.postgresql_password);
	}
	return pg_steps_create(loop, &steps, log, out_target, err);
}

static int open_redis(uv_loop_t *loop, const struct config *config, struct log *log, struct target **out_target,
		      struct err *err)
{
	const struct redis_steps_config steps = {
		.server = ports_redis_config(config),
		.connections = (uint32_t)config->sagas.connections,
		.barrier_ttl_s = (uint32_t)(config->sagas.barrier_ttl_ms / 1000),
		.max_result_bytes = config->sagas.max_result_bytes,
	};

	return redis_steps_create(loop, &steps, log, out_target, err);
}

static int open_neo4j(uv_loop_t *loop, const struct config *config, struct log *log, struct target **out_target,
		      struct err *err)
{
	const struct neo4j_steps_config steps = {
		.server = ports_neo4j_config(config),
		.connections = (uint32_t)config->sagas.connections,
		.max_result_bytes = config->sagas.max_result_bytes,
	};

	return neo4j_steps_create(loop, &steps, log, out_target, err);
}

static int open_qdrant(uv_loop_t *loop, const struct config *config, struct log *log, struct target **out_target,
		       struct err *err)
{
	const struct qdrant_steps_config steps = {
		.server = ports_qdrant_config(config),
		.connections = (uint32_t)config->sagas.connections,
		.max_result_bytes = config->sagas.max_result_bytes,
	};

	return qdrant_steps_create(loop, &steps, log, out_target, err);
}

static const struct {
	const char *name;
	int (*open)(uv_loop_t *loop, const struct config *config, struct log *log, struct target **out_target,
		    struct err *err);
} target_openers[] = {
	{"postgresql", open_postgresql},
	{"redis", open_redis},
	{"neo4j", open_neo4j},
	{"qdrant", open_qdrant},
};

/* ---- services ---- */

static int open_service(uv_loop_t *loop, const struct config *config, const struct config_service *it, struct log *log,
			struct target **out_target, struct err *err)
{
	const struct service_config service = {
		.name = it->name,
		.url = it->url,
		.ca_file = given(it->ca_file),
		.cert_file = given(it->cert_file),
		.key_file = given(it->key_file),
		.verify = it->tls_verify,
		.secret = given(it->secret),
		.secret_header = given(it->secret_header),
		.connect_timeout_ms = (uint32_t)it->connect_timeout_ms,
		.idle_s = (uint32_t)(it->idle_ms / 1000),
		.connections = (uint32_t)it->connections,
		.max_result_bytes = config->sagas.max_result_bytes,
	};

	return service_create(loop, &service, log, out_target, err);
}

/* ---- all of them ---- */

/* Is the word in a list with commas? */
static bool list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; *at != '\0'; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (len == n && strncmp(at, word, n) == 0)
			return true;
		at += len;
	}
	return false;
}

int ports_open_targets(struct ports *ports, uv_loop_t *loop, const struct config *config, struct log *log,
		       struct err *err)
{
	const struct config_services *services = &config->sagas.services;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(target_openers); i++)
		if (list_has(config->sagas.stores, target_openers[i].name)) {
			rc = target_openers[i].open(loop, config, log, &ports->targets[ports->n_targets], err);
			ports->n_targets += rc == 0;
		}
	for (uint32_t i = 0; rc == 0 && i < services->n; i++) {
		rc = open_service(loop, config, &services->at[i], log, &ports->targets[ports->n_targets], err);
		ports->n_targets += rc == 0;
	}
	ports->has_documents = list_has(config->sagas.stores, "documents");
	return rc;
}

bool ports_has_target(const struct ports *ports, struct str name)
{
	if (str_is_equal(name, str_of("documents")))
		return ports->has_documents;
	for (uint32_t i = 0; i < ports->n_targets; i++)
		if (str_is_equal(name, str_of(ports->targets[i]->name)))
			return true;
	return false;
}

int ports_renew_target_secret(struct ports *ports, const struct config *config, const char *section, const char *secret,
			      int rc)
{
	bool is_own = strcmp(section, "postgresql") == 0 && config->sagas.postgresql_user[0] != '\0';

	for (uint32_t i = 0; i < ports->n_targets && !is_own; i++) {
		struct target *target = ports->targets[i];

		if (!target->is_service && strcmp(target->name, section) == 0 && target->ops->renew_secret != NULL &&
		    rc == 0)
			rc = target->ops->renew_secret(target, secret);
	}
	return rc;
}
