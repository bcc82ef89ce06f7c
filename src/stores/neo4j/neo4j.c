/* Making and ending the store, and what its parts share. */
#include "neo4j_internal.h"

#include "proto/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_IN_MS        1000000u
#define REPLY_MAX_BYTES (8u << 20) /* a batch of 4096 answers some 150 bytes for each document */
/* Neo4j closes a connection that was idle for 30 s. */
#define IDLE_S 20

/* ---- shared ---- */

void neo4j_note(struct neo4j *neo4j, const struct http_req *http, enum verdict verdict, const struct err *err)
{
	http_store_note(&neo4j->status, http, verdict, err);
	/* Behind a lost connection may be another server, or the same one restored from a backup. */
	if (http->outcome != HTTP_ANSWERED)
		neo4j->is_checked = false;
}

enum verdict neo4j_take_check(struct neo4j *neo4j, const struct http_req *http, struct err *err)
{
	struct neo4j_answer answer = neo4j_answer(http->status, buf_str(&http->reply), err);
	struct neo4j_server server;
	bool was_checked = neo4j->is_checked;

	if (answer.verdict != VERDICT_OK)
		return answer.verdict;
	neo4j->is_checked = false;
	if (neo4j_check_parse(buf_str(&http->reply), &server) != 0) {
		(void)err_set(err, 0, "neo4j: the reply to the check is not Neo4j's; is that its HTTP port?");
		return VERDICT_MISCONFIGURED;
	}
	(void)snprintf(neo4j->status.version, sizeof(neo4j->status.version), "%s", server.version);
	neo4j->dialect = neo4j_dialect_of(server.version);
	if (neo4j_check_constraints(&server, err) != 0)
		return VERDICT_MISCONFIGURED;
	neo4j->is_checked = true;
	if (!was_checked) /* what an earlier run has left is collected, too */
		neo4j_collect_soon(neo4j);
	return VERDICT_OK;
}

void neo4j_send(struct neo4j *neo4j, struct http_req *http, const struct neo4j_body *body, uint64_t timeout_ns)
{
	/* no crash point: the operations have theirs */
	http->method = "POST";
	http->path = neo4j->path;
	http->body = (struct str){body->at, body->len};
	http->timeout_ns = timeout_ns;
	http_client_submit(neo4j->client, http);
}

/* ---- the port's small ones ---- */

static const struct neo4j *neo4j_of(const struct store *store)
{
	return container_of((struct store *)(uintptr_t)store, struct neo4j, store);
}

/* Only properties given for an entity reach beyond what apply has written. */
static bool neo4j_publishes(const struct store *store, const struct document *document)
{
	(void)store;
	if (document == NULL)
		return true;
	for (uint32_t i = 0; i < document->n_entities; i++)
		if (document->entities[i].properties_json.at != NULL)
			return true;
	return false;
}

static size_t neo4j_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	return neo4j_write_bytes(write);
}

static void neo4j_status(const struct store *store, struct store_status *out_status)
{
	const struct neo4j *neo4j = neo4j_of(store);

	*out_status = neo4j->status;
	out_status->n_connections = http_client_connections(neo4j->client);
}

/* ---- ending ---- */

static void neo4j_client_closed(void *arg)
{
	struct neo4j *neo4j = arg;
	void (*closed)(void *arg) = neo4j->closed;
	void *closed_arg = neo4j->closed_arg;

	neo4j_body_fini(&neo4j->collect_body);
	free(neo4j->calls);
	free(neo4j);
	closed(closed_arg);
}

static void neo4j_timer_closed(uv_handle_t *handle)
{
	struct neo4j *neo4j = container_of(handle, struct neo4j, collect_timer);

	http_client_close(neo4j->client, neo4j_client_closed, neo4j);
}

static void neo4j_close(struct store *store, void (*closed)(void *arg), void *arg)
{
	struct neo4j *neo4j = container_of(store, struct neo4j, store);

	neo4j->is_closing = true;
	neo4j->closed = closed;
	neo4j->closed_arg = arg;
	uv_close((uv_handle_t *)&neo4j->collect_timer, neo4j_timer_closed);
}

static int neo4j_renew_secret(struct store *store, const char *secret)
{
	return http_client_renew(container_of(store, struct neo4j, store)->client, secret, NULL);
}

static const struct store_ops neo4j_ops = {
	.submit = neo4j_submit,
	.init = neo4j_init,
	.status = neo4j_status,
	.ping = neo4j_ping,
	.publishes = neo4j_publishes,
	.write_bytes = neo4j_bytes,
	.renew_secret = neo4j_renew_secret,
	.close = neo4j_close,
};

/* ---- the URL ---- */

static int neo4j_refuse_url(const char *url, struct err *err)
{
	return err_set(err, -EINVAL,
		       "neo4j: the URL \"%.120s\" must be http://HOST:PORT or https://HOST:PORT (sagad speaks HTTP, "
		       "usually on port 7474, not bolt), with user and password given apart",
		       strchr(url, '@') != NULL ? "...@..." : url); /* what stands before an @ may be a password */
}

/* "[::1]" and "name"; the rest of the text is returned, NULL when it doesn't fit. */
static const char *neo4j_url_host(const char *at, char *out_host, size_t size_bytes)
{
	bool is_v6 = *at == '[';
	size_t len;

	at += is_v6;
	len = strcspn(at, is_v6 ? "]" : ":/");
	if (len == 0 || len >= size_bytes || (is_v6 && at[len] != ']'))
		return NULL;
	memcpy(out_host, at, len);
	out_host[len] = '\0';
	return at + len + is_v6;
}

static int neo4j_url_parse(const char *url, struct neo4j_url *out_url, struct err *err)
{
	struct neo4j_url parsed = {.is_tls = strncmp(url, "https://", 8) == 0};
	const char *rest = NULL;
	unsigned long port;
	char *end;

	if (parsed.is_tls || strncmp(url, "http://", 7) == 0)
		rest = neo4j_url_host(url + (parsed.is_tls ? 8 : 7), parsed.host, sizeof(parsed.host));
	if (rest == NULL || strchr(url, '@') != NULL)
		return neo4j_refuse_url(url, err);
	port = parsed.is_tls ? 7473 : 7474;
	if (*rest == ':') {
		port = rest[1] >= '0' && rest[1] <= '9' ? strtoul(rest + 1, &end, 10) : 0;
		rest = port != 0 ? end : rest;
	}
	if (port == 0 || port > 65535 || (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0))
		return neo4j_refuse_url(url, err);
	parsed.port = (uint16_t)port;
	*out_url = parsed;
	return 0;
}

/* ---- making ---- */

static int neo4j_check(const struct neo4j_config *config, const char *database, struct err *err)
{
	int rc = http_store_check_name("neo4j", "the database's name", database, 63, err);

	return rc == 0 ? http_store_check_bounds("neo4j", config->connections, config->max_batch, err) : rc;
}

int neo4j_http_config(const struct neo4j_config *config, struct neo4j_url *out_url, struct http_config *out_http,
		      struct err *err)
{
	bool has_password = config->password != NULL && config->password[0] != '\0';
	int rc = neo4j_url_parse(config->url != NULL ? config->url : "http://127.0.0.1:7474", out_url, err);

	if (rc != 0)
		return rc;
	*out_http = (struct http_config){
		.store = "neo4j",
		.host = out_url->host,
		.port = out_url->port,
		.is_tls = out_url->is_tls,
		.ca_file = config->ca_file,
		.cert_file = config->cert_file,
		.key_file = config->key_file,
		.verify = http_verify_of(config->verify),
		.user = !has_password          ? NULL
			: config->user != NULL ? config->user
					       : "neo4j",
		.password = config->password,
		.connect_timeout_ms = http_store_or(config->connect_timeout_ms, 3000),
		.idle_s = IDLE_S,
		.reply_max_bytes = REPLY_MAX_BYTES,
	};
	return 0;
}

static int neo4j_make_client(struct neo4j *neo4j, uv_loop_t *loop, const struct neo4j_config *config, struct err *err)
{
	struct neo4j_url url;
	struct http_config http;
	int rc = neo4j_http_config(config, &url, &http, err);

	if (rc != 0)
		return rc;
	http.max_idle = neo4j->store.max_requests + 1; /* one for the collector */
	return http_client_create(loop, &http, neo4j->log, &neo4j->client, err);
}

static void neo4j_configure(struct neo4j *neo4j, const struct neo4j_config *config, const char *database)
{
	neo4j->store.ops = &neo4j_ops;
	neo4j->store.name = "neo4j";
	neo4j->store.max_requests = http_store_or(config->connections, 2);
	neo4j->store.max_batch = http_store_or(config->max_batch, 128);
	neo4j->store.has_fences = true; /* tombstones */
	neo4j->store.max_batch_bytes = config->max_batch_bytes != 0 ? config->max_batch_bytes : 1u << 20;
	neo4j->admin_timeout_ns = (uint64_t)http_store_or(config->admin_timeout_ms, 90000) * NS_IN_MS;
	neo4j->tombstone_ms = config->tombstone_ms != 0 ? config->tombstone_ms : 3600000;
	neo4j->collect_interval_ms = http_store_or(config->collect_interval_ms, 1000);
	(void)snprintf(neo4j->path, sizeof(neo4j->path), "/db/%.63s/tx/commit", database);
}

int neo4j_create(uv_loop_t *loop, const struct neo4j_config *config, struct log *log, struct store **out_store,
		 struct err *err)
{
	bool is_named = config->database != NULL && config->database[0] != '\0';
	const char *database = is_named ? config->database : "neo4j";
	struct neo4j *neo4j;
	int rc = neo4j_check(config, database, err);

	if (rc != 0)
		return rc;
	neo4j = calloc(1, sizeof(*neo4j));
	if (neo4j == NULL)
		return err_set(err, -ENOMEM, "neo4j: no memory");
	neo4j->log = log;
	neo4j_configure(neo4j, config, database);
	neo4j->calls = calloc(neo4j->store.max_requests, sizeof(*neo4j->calls));
	if (neo4j->calls == NULL) {
		rc = err_set(err, -ENOMEM, "neo4j: no memory");
		goto free_neo4j;
	}
	rc = neo4j_make_client(neo4j, loop, config, err);
	if (rc != 0)
		goto free_calls;
	(void)uv_timer_init(loop, &neo4j->collect_timer); /* it always succeeds */
	(void)snprintf(neo4j->status.endpoint, sizeof(neo4j->status.endpoint), "%.159s",
		       http_client_endpoint(neo4j->client));
	*out_store = &neo4j->store;
	return 0;
free_calls:
	free(neo4j->calls);
free_neo4j:
	free(neo4j);
	return rc;
}
