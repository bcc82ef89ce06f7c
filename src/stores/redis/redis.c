/* The adapter: configuration, a slot a connection, requests. */
#include "stores/redis/redis.h"

#include "base/crash_point.h"

#include "stores/redis/redis_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_store *store_of(struct store *store)
{
	return container_of(store, struct redis_store, store);
}

void redis_store_note(struct redis_store *store, uint64_t latency_ns, const struct err *err)
{
	store->status.was_tried = true;
	store->status.is_up = err == NULL;
	if (err != NULL) {
		store->status.last_error = *err;
		return;
	}
	store->status.latency_ns = latency_ns;
	err_clear(&store->status.last_error);
}

/* ---- a request on its slot ---- */

static struct redis_slot *slot_of(struct redis_exchange *exchange)
{
	return container_of(exchange, struct redis_slot, exchange);
}

static int slot_write(struct redis_exchange *exchange, struct redis_link *link)
{
	struct redis_slot *slot = slot_of(exchange);
	const struct store_req *req = slot->req;

	CRASH_POINT_OF(REDIS_APPLY_BEFORE, req->writes[0]->op);
	for (uint32_t i = 0; i < req->n_writes; i++) {
		struct redis_command command;
		int rc = redis_codec_command(&slot->owner->codec, req->writes[i], slot->with_text, &command);

		if (rc != 0)
			return rc;
		rc = redis_link_add(link, (int)command.argc, command.argv, command.lens);
		redis_codec_free(&command);
		if (rc != 0)
			return rc;
	}
	return (int)req->n_writes;
}

static void slot_reply(struct redis_exchange *exchange, uint32_t index, const redisReply *reply)
{
	struct redis_slot *slot = slot_of(exchange);
	enum redis_reply_kind kind = REDIS_REPLY_IS_OTHER;
	struct str text = STR_NONE;

	CRASH_POINT_OF(REDIS_APPLY_AFTER, slot->req->writes[index]->op);
	if (reply->type == REDIS_REPLY_ERROR)
		kind = REDIS_REPLY_IS_ERROR;
	else if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
		kind = REDIS_REPLY_IS_TEXT;
	if (kind != REDIS_REPLY_IS_OTHER)
		text = (struct str){reply->str, reply->len};
	switch (redis_codec_reply(slot->req->writes[index], kind, text)) {
	case REDIS_HINT_NONE:
		return;
	case REDIS_HINT_SEND_TEXT:
		slot->wants_text = true;
		return;
	case REDIS_HINT_RECONNECT:
		slot->wants_reconnect = true;
		return;
	}
}

static void give_all(struct store_req *req, uint32_t from, enum verdict verdict, const struct err *err)
{
	for (uint32_t i = from; i < req->n_writes; i++) {
		req->writes[i]->verdict = verdict;
		req->writes[i]->err = *err;
	}
}

/* What the server said about itself, and not about a document. */
static const struct err *find_store_fault(const struct store_req *req)
{
	for (uint32_t i = 0; i < req->n_writes; i++)
		if (req->writes[i]->verdict == VERDICT_OUTAGE || req->writes[i]->verdict == VERDICT_MISCONFIGURED)
			return &req->writes[i]->err;
	return NULL;
}

static void slot_end(struct redis_exchange *exchange);

static void slot_start(struct redis_slot *slot, uint64_t deadline_ns)
{
	slot->exchange = (struct redis_exchange){
		.deadline_ns = deadline_ns,
		.write = slot_write,
		.reply = slot_reply,
		.end = slot_end,
	};
	slot->wants_text = false;
	slot->wants_reconnect = false;
	redis_conn_start(&slot->conn, &slot->exchange);
}

static void slot_end(struct redis_exchange *exchange)
{
	struct redis_slot *slot = slot_of(exchange);
	struct redis_store *store = slot->owner;
	struct store_req *req = slot->req;

	/* After NOSCRIPT everything goes out again, with the script's text this time: it happens once after a restart
	 * of the server, and each write may be repeated. */
	if (exchange->how == REDIS_ANSWERED && slot->wants_text && !slot->with_text && !slot->wants_reconnect) {
		slot->with_text = true;
		slot_start(slot, exchange->deadline_ns);
		return;
	}
	if (exchange->how == REDIS_NOT_SENT)
		give_all(req, 0, exchange->verdict, &exchange->err);
	if (exchange->how == REDIS_LOST)
		give_all(req, exchange->n_replies, VERDICT_DOUBT, &exchange->err);
	req->is_shared = exchange->how == REDIS_LOST && exchange->n_replies == 0;
	req->is_cut = exchange->how == REDIS_LOST && exchange->is_cut;
	redis_store_note(store, exchange->latency_ns,
			 exchange->how == REDIS_ANSWERED ? find_store_fault(req) : &exchange->err);
	if (exchange->how == REDIS_ANSWERED && slot->wants_reconnect)
		redis_conn_drop(&slot->conn);
	slot->req = NULL;
	req->done(req);
}

/* ---- the port's operations ---- */

/* One that is up, so that a second connection is made only when the first one is in use. */
static struct redis_slot *pick_slot(struct redis_store *store)
{
	struct redis_slot *picked = NULL;

	for (uint32_t i = 0; i < store->store.max_requests; i++) {
		struct redis_slot *slot = &store->slots[i];
		if (slot->req != NULL || !redis_conn_is_free(&slot->conn))
			continue;
		if (slot->conn.state == REDIS_CONN_IDLE)
			return slot;
		if (picked == NULL)
			picked = slot;
	}
	return picked;
}

static void op_submit(struct store *base, struct store_req *req)
{
	struct redis_slot *slot = pick_slot(store_of(base));
	uint64_t now_ns = uv_hrtime();

	MUST(slot != NULL); /* the engine has at most max_requests out */
	slot->req = req;
	slot->with_text = false;
	slot_start(slot, req->timeout_ns < UINT64_MAX - now_ns ? now_ns + req->timeout_ns : UINT64_MAX);
}

static void op_init(struct store *base, struct store_init_req *req)
{
	redis_admin_ask(&store_of(base)->admin, req, false);
}

static void op_ping(struct store *base, struct store_init_req *req)
{
	redis_admin_ask(&store_of(base)->admin, req, true);
}

static bool is_connected(const struct redis_conn *conn)
{
	return conn->state == REDIS_CONN_IDLE || conn->state == REDIS_CONN_BUSY || conn->state == REDIS_CONN_GREETING;
}

static void op_status(const struct store *base, struct store_status *out_status)
{
	const struct redis_store *store = (const struct redis_store *)(const void *)base; /* its first member */

	*out_status = store->status;
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "%s", store->target.endpoint);
	out_status->n_connections = is_connected(&store->admin.conn);
	for (uint32_t i = 0; i < store->store.max_requests; i++)
		out_status->n_connections += is_connected(&store->slots[i].conn);
}

/* Every document has a live value. */
static bool op_publishes(const struct store *base, const struct document *document)
{
	(void)base;
	(void)document;
	return true;
}

static size_t op_write_bytes(const struct store *base, const struct leg_write *write)
{
	(void)base;
	return redis_codec_bytes(write);
}

static void store_free(struct redis_store *store)
{
	redis_target_fini(&store->target);
	free(store->key_prefix);
	free(store->slots);
	free(store);
}

static void store_on_conn_closed(struct redis_store *store)
{
	void (*closed)(void *arg) = store->closed;
	void *arg = store->closed_arg;

	if (--store->n_open > 0)
		return;
	store_free(store);
	closed(arg);
}

static void on_slot_closed(struct redis_conn *conn)
{
	store_on_conn_closed(container_of(conn, struct redis_slot, conn)->owner);
}

static void on_admin_closed(struct redis_conn *conn)
{
	store_on_conn_closed(container_of(conn, struct redis_admin, conn)->owner);
}

static void op_close(struct store *base, void (*closed)(void *arg), void *arg)
{
	struct redis_store *store = store_of(base);

	MUST(!store->is_closing);
	store->is_closing = true;
	store->closed = closed;
	store->closed_arg = arg;
	redis_admin_close(&store->admin, on_admin_closed);
	for (uint32_t i = 0; i < store->store.max_requests; i++)
		redis_conn_close(&store->slots[i].conn, on_slot_closed);
}

static int op_renew_secret(struct store *base, const char *secret)
{
	return redis_target_renew(&store_of(base)->target, secret);
}

static const struct store_ops redis_ops = {
	.submit = op_submit,
	.init = op_init,
	.status = op_status,
	.ping = op_ping,
	.publishes = op_publishes,
	.write_bytes = op_write_bytes,
	.renew_secret = op_renew_secret,
	.close = op_close,
};

/* ---- making it ---- */

static uint32_t number_or(uint32_t number, uint32_t fallback)
{
	return number != 0 ? number : fallback;
}

static void configure(struct redis_store *store, const struct redis_config *config)
{
	store->admin_timeout_ms = number_or(config->admin_timeout_ms, 5000);
	store->codec.key_prefix = store->key_prefix;
	store->codec.staging_ttl_s = number_or(config->staging_ttl_s, 7200);
	store->codec.fence_ttl_s = number_or(config->fence_ttl_s, 86400);
	store->codec.cache_ttl_s = number_or(config->cache_ttl_s, 3600);
	redis_codec_init(&store->codec);
}

static int make_slots(struct redis_store *store)
{
	store->slots = calloc(store->store.max_requests, sizeof(*store->slots));
	if (store->slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < store->store.max_requests; i++) {
		store->slots[i].owner = store;
		redis_conn_init(&store->slots[i].conn, store->loop, &store->target, store->log);
	}
	redis_admin_init(&store->admin, store);
	store->n_open = store->store.max_requests + 1;
	return 0;
}

int redis_store_create(uv_loop_t *loop, const struct redis_config *config, struct log *log, struct store **out_store,
		       struct err *err)
{
	struct redis_store *store = calloc(1, sizeof(*store));
	int rc;

	if (store == NULL)
		return err_set(err, -ENOMEM, "redis: out of memory");
	store->loop = loop;
	store->log = log;
	store->store = (struct store){
		.ops = &redis_ops,
		.name = "redis",
		.max_requests = number_or(config->connections, 2),
		.max_batch = number_or(config->max_batch, 256),
		.max_batch_bytes = config->max_batch_bytes != 0 ? config->max_batch_bytes : 8u << 20,
		.has_fences = true,
	};
	rc = redis_target_make(config, &store->target, &store->key_prefix, err);
	if (rc == 0) {
		configure(store, config);
		rc = make_slots(store);
		if (rc != 0)
			(void)err_set(err, rc, "redis: out of memory");
	}
	if (rc != 0) {
		store_free(store);
		return rc;
	}
	*out_store = &store->store;
	return 0;
}
