/* Writes: the engine's requests out and back. The codec knows the bodies, http the connections. */
#include "qdrant_internal.h"

#include "base/crash_point.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_IN_MS        1000000u
#define REPLY_MAX_BYTES (1u << 20)
/* Qdrant closes a connection that was idle for 5 s; curl counts whole seconds. */
#define IDLE_S 3

static struct qdrant *qdrant_of(const struct store *store)
{
	return container_of((struct store *)(uintptr_t)store, struct qdrant, store);
}

/* ---- a call ---- */

static void qdrant_call_end(struct qdrant_call *call)
{
	struct store_req *req = call->req;

	http_store_give_all(req, call->answer.verdict, &call->err);
	qdrant_body_fini(&call->body);
	call->req = NULL; /* the slot is free: done() may submit the next */
	http_store_end(req, &call->http, call->answer.verdict, call->answer.is_shared);
}

static int qdrant_call_body(struct qdrant_call *call)
{
	const struct qdrant *qdrant = call->qdrant;
	const struct store_req *req = call->req;

	switch (req->writes[0]->op) {
	case LEG_APPLY:
		return qdrant_upsert_body(req->writes, req->n_writes, &qdrant->limits, &call->cursor, &call->body,
					  &call->err);
	case LEG_REMOVE:
		return qdrant_remove_body(req->writes, req->n_writes, &qdrant->limits, &call->cursor, &call->body,
					  &call->err);
	case LEG_PUBLISH:
		break;
	}
	return 0; /* what apply has written is what readers see: there is nothing to publish */
}

/* The next HTTP request, or a skip that ends the call later: submit() may be on the stack. */
static void qdrant_call_next(struct qdrant_call *call)
{
	struct qdrant *qdrant = call->qdrant;
	int rc;

	qdrant_body_fini(&call->body);
	rc = qdrant_call_body(call);
	if (rc == -E2BIG)
		call->answer = (struct qdrant_answer){VERDICT_PERMANENT, true};
	else if (rc < 0)
		call->answer = (struct qdrant_answer){VERDICT_TRANSIENT, true};
	if (rc != 1) {
		http_client_skip(qdrant->client, &call->http);
		return;
	}
	call->http.method = call->req->writes[0]->op == LEG_APPLY ? "PUT" : "POST";
	call->http.path = call->req->writes[0]->op == LEG_APPLY ? qdrant->upsert_path : qdrant->remove_path;
	call->http.body = (struct str){call->body.at, call->body.len};
	call->http.timeout_ns = http_store_left_ns(call->req, call->begun_ns);
	CRASH_POINT_IF(call->req->writes[0]->op == LEG_APPLY, QDRANT_APPLY_BEFORE);
	CRASH_POINT_IF(call->req->writes[0]->op == LEG_REMOVE, QDRANT_REMOVE_BEFORE);
	http_client_submit(qdrant->client, &call->http);
}

/* When a later part couldn't be sent, an earlier one still was: the call as a whole is in doubt. */
static void qdrant_call_judge(struct qdrant_call *call)
{
	const struct http_req *http = &call->http;

	if (http->outcome == HTTP_ANSWERED) {
		call->answer =
			qdrant_write_answer(http->status, buf_str(&http->reply), call->qdrant->collection, &call->err);
	} else {
		call->answer.verdict = http_verdict(http);
		/* The request may be what the server's process didn't survive. */
		call->answer.is_shared = call->answer.verdict == VERDICT_DOUBT;
		if (call->was_sent && call->answer.verdict == VERDICT_OUTAGE)
			call->answer.verdict = VERDICT_DOUBT;
		call->err = http->err;
	}
}

static void qdrant_call_done(struct http_req *http)
{
	struct qdrant_call *call = container_of(http, struct qdrant_call, http);

	if (http->outcome == HTTP_SKIPPED) {
		qdrant_call_end(call);
		return;
	}
	CRASH_POINT_IF(call->req->writes[0]->op == LEG_APPLY, QDRANT_APPLY_AFTER);
	CRASH_POINT_IF(call->req->writes[0]->op == LEG_REMOVE, QDRANT_REMOVE_AFTER);
	qdrant_call_judge(call);
	http_store_note(&call->qdrant->status, http, call->answer.verdict, &call->err);
	if (call->answer.verdict != VERDICT_OK) {
		qdrant_call_end(call);
		return;
	}
	call->was_sent = true;
	qdrant_call_next(call);
}

static struct qdrant_call *qdrant_call_take(struct qdrant *qdrant)
{
	for (uint32_t i = 0; i < qdrant->store.max_requests; i++)
		if (qdrant->calls[i].req == NULL)
			return &qdrant->calls[i];
	return NULL;
}

static void qdrant_submit(struct store *store, struct store_req *req)
{
	struct qdrant *qdrant = qdrant_of(store);
	struct qdrant_call *call = qdrant_call_take(qdrant);

	MUST(call != NULL); /* the engine has at most max_requests out */
	*call = (struct qdrant_call){
		.http = {.done = qdrant_call_done}, .qdrant = qdrant, .req = req, .begun_ns = uv_hrtime()};
	req->is_shared = false;
	qdrant_call_next(call);
}

/* ---- the rest of the port ---- */

static size_t qdrant_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	return qdrant_write_bytes(write);
}

static void qdrant_status(const struct store *store, struct store_status *out_status)
{
	const struct qdrant *qdrant = qdrant_of(store);

	*out_status = qdrant->status;
	out_status->n_connections = http_client_connections(qdrant->client);
}

static void qdrant_closed(void *arg)
{
	struct qdrant *qdrant = arg;
	void (*closed)(void *arg) = qdrant->closed;
	void *closed_arg = qdrant->closed_arg;

	free(qdrant->calls);
	free(qdrant);
	closed(closed_arg);
}

static void qdrant_close(struct store *store, void (*closed)(void *arg), void *arg)
{
	struct qdrant *qdrant = qdrant_of(store);

	qdrant->closed = closed;
	qdrant->closed_arg = arg;
	http_client_close(qdrant->client, qdrant_closed, qdrant);
}

int qdrant_renew_key(struct http_client *client, const char *key)
{
	struct buf header = {0};
	int rc;

	/* Without a key a header of that name alone: curl leaves it out (CURLOPT_HTTPHEADER(3)). */
	buf_append_format(&header, key[0] != '\0' ? "api-key: %s" : "api-key:", key);
	rc = header.failed ? -ENOMEM : http_client_renew(client, NULL, header.at);
	if (header.at != NULL)
		explicit_bzero(header.at, header.len);
	buf_fini(&header);
	return rc;
}

static int qdrant_renew_secret(struct store *store, const char *secret)
{
	return qdrant_renew_key(container_of(store, struct qdrant, store)->client, secret);
}

static const struct store_ops qdrant_ops = {
	.submit = qdrant_submit,
	.init = qdrant_init,
	.status = qdrant_status,
	.ping = qdrant_ping,
	.publishes = NULL,
	.write_bytes = qdrant_bytes,
	.renew_secret = qdrant_renew_secret,
	.close = qdrant_close,
};

/* ---- making ---- */

static int qdrant_check(const struct qdrant_config *config, const char *collection, struct err *err)
{
	int rc = http_store_check_name("qdrant", "the collection's name", collection, 255, err);

	return rc == 0 ? http_store_check_bounds("qdrant", config->connections, config->max_batch, err) : rc;
}

void qdrant_fill_http(const struct qdrant_config *config, struct http_config *out_http, struct buf *out_key)
{
	if (config->api_key != NULL && config->api_key[0] != '\0')
		buf_append_format(out_key, "api-key: %s", config->api_key);
	*out_http = (struct http_config){
		.store = "qdrant",
		.host = config->host != NULL ? config->host : "127.0.0.1",
		.port = config->port != 0 ? config->port : 6333,
		.is_tls = config->is_tls,
		.ca_file = config->ca_file,
		.cert_file = config->cert_file,
		.key_file = config->key_file,
		.verify = http_verify_of(config->verify),
		.header = out_key->at,
		.connect_timeout_ms = http_store_or(config->connect_timeout_ms, 3000),
		.idle_s = IDLE_S,
		.reply_max_bytes = REPLY_MAX_BYTES,
	};
}

static int qdrant_make_client(struct qdrant *qdrant, uv_loop_t *loop, const struct qdrant_config *config,
			      struct err *err)
{
	struct buf key = {0};
	struct http_config http;
	int rc;

	qdrant_fill_http(config, &http, &key);
	http.max_idle = qdrant->store.max_requests + 1; /* one for init and ping */
	rc = key.failed ? err_set(err, -ENOMEM, "qdrant: no memory")
			: http_client_create(loop, &http, qdrant->log, &qdrant->client, err);
	buf_fini(&key);
	return rc;
}

static void qdrant_configure(struct qdrant *qdrant, const struct qdrant_config *config, const char *collection)
{
	qdrant->store.ops = &qdrant_ops;
	qdrant->store.name = "qdrant";
	qdrant->store.max_requests = http_store_or(config->connections, 2);
	qdrant->store.max_batch = http_store_or(config->max_batch, 128);
	qdrant->store.max_batch_bytes = config->max_batch_bytes != 0 ? config->max_batch_bytes : 8u << 20;
	qdrant->limits.max_bytes = config->max_body_bytes != 0 ? config->max_body_bytes : 30u << 20;
	qdrant->limits.max_points = http_store_or(config->max_points, 2048);
	qdrant->limits.max_ids = 100000; /* 4 MB of ids */
	qdrant->admin_timeout_ns = (uint64_t)http_store_or(config->admin_timeout_ms, 30000) * NS_IN_MS;
	(void)snprintf(qdrant->collection, sizeof(qdrant->collection), "%s", collection);
	(void)snprintf(qdrant->upsert_path, sizeof(qdrant->upsert_path), "/collections/%s/points?wait=true",
		       qdrant->collection);
	(void)snprintf(qdrant->remove_path, sizeof(qdrant->remove_path), "/collections/%s/points/delete?wait=true",
		       qdrant->collection);
}

int qdrant_create(uv_loop_t *loop, const struct qdrant_config *config, struct log *log, struct store **out_store,
		  struct err *err)
{
	bool is_named = config->collection != NULL && config->collection[0] != '\0';
	const char *collection = is_named ? config->collection : "documents";
	struct qdrant *qdrant;
	int rc = qdrant_check(config, collection, err);

	if (rc != 0)
		return rc;
	qdrant = calloc(1, sizeof(*qdrant));
	if (qdrant == NULL)
		return err_set(err, -ENOMEM, "qdrant: no memory");
	qdrant->log = log;
	qdrant_configure(qdrant, config, collection);
	qdrant->calls = calloc(qdrant->store.max_requests, sizeof(*qdrant->calls));
	if (qdrant->calls == NULL) {
		rc = err_set(err, -ENOMEM, "qdrant: no memory");
		goto free_qdrant;
	}
	rc = qdrant_make_client(qdrant, loop, config, err);
	if (rc != 0)
		goto free_calls;
	(void)snprintf(qdrant->status.endpoint, sizeof(qdrant->status.endpoint), "%.159s",
		       http_client_endpoint(qdrant->client));
	*out_store = &qdrant->store;
	return 0;
free_calls:
	free(qdrant->calls);
free_qdrant:
	free(qdrant);
	return rc;
}
