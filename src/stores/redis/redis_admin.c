/* init and ping: looks at the server, and proves the rights with the very script that removals use. */
#include "stores/redis/redis_internal.h"

#include "base/crash_point.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST_VERSION   5 /* the oldest that still gets fixes somewhere; nothing newer than 2.6 is used */
#define PROBE_TTL_S      1
#define NS_PER_MS_U64    1000000u
#define COMMANDS_AT_MOST 2

struct redis_admin_op {
	struct list node;
	struct store_init_req *req;
	bool is_ping;
	bool is_refused; /* req->verdict and req->err are set */
	bool has_info;
	char version[64];
	char policy[32];
	char role[16];
};

static struct redis_admin *admin_of(struct redis_exchange *exchange)
{
	return container_of(exchange, struct redis_admin, exchange);
}

/* ---- commands ---- */

static int add_words(struct redis_link *link, int n, const char *first, const char *second)
{
	/* no crash point: INFO only reads */
	const char *argv[] = {first, second};
	const size_t lens[] = {strlen(first), strlen(second)};

	return redis_link_add(link, n, argv, lens);
}

/* A removal of a document that can't be (ids have a byte at least), of a saga that never was: its fence stays one
 * second. */
static int add_probe(const struct redis_store *store, struct redis_link *link)
{
	/* no crash point: admin_write() has one */
	const struct leg_write write = {.op = LEG_REMOVE, .saga = UUID_NIL, .document_id = {"", 0}};
	struct redis_codec codec = store->codec;
	struct redis_command command;
	int rc;

	codec.fence_ttl_s = PROBE_TTL_S;
	rc = redis_codec_command(&codec, &write, true, &command);
	if (rc != 0)
		return rc;
	rc = redis_link_add(link, (int)command.argc, command.argv, command.lens);
	redis_codec_free(&command);
	return rc;
}

static int admin_write(struct redis_exchange *exchange, struct redis_link *link)
{
	struct redis_admin *admin = admin_of(exchange);
	bool with_probe = !admin->op->is_ping && !admin->op->req->check_only;
	int rc = admin->op->is_ping ? add_words(link, 2, "INFO", "server") : add_words(link, 1, "INFO", "");

	CRASH_POINT_IF(with_probe, REDIS_INIT_BEFORE);
	if (rc == 0 && with_probe)
		rc = add_probe(admin->owner, link);
	return rc == 0 ? (with_probe ? COMMANDS_AT_MOST : 1) : rc;
}

/* ---- replies ---- */

static void refuse(struct redis_admin_op *op, enum verdict verdict)
{
	if (!op->is_refused)
		op->req->verdict = verdict;
	op->is_refused = true;
}

static void take_info(struct redis_admin_op *op, const redisReply *reply)
{
	struct str info = {reply->str, reply->len};

	op->has_info = true;
	redis_codec_info(info, "redis_version", op->version, sizeof(op->version));
	redis_codec_info(info, "maxmemory_policy", op->policy, sizeof(op->policy));
	redis_codec_info(info, "role", op->role, sizeof(op->role));
}

static void on_info(struct redis_admin *admin, const redisReply *reply)
{
	struct redis_admin_op *op = admin->op;
	enum redis_codec_hint hint;
	enum verdict verdict;

	if (reply->type == REDIS_REPLY_STRING) {
		take_info(op, reply);
		return;
	}
	if (reply->type != REDIS_REPLY_ERROR) {
		(void)err_set(&op->req->err, 0, "redis %s: INFO is answered by something else; is this a Redis?",
			      admin->owner->target.endpoint);
		refuse(op, VERDICT_MISCONFIGURED);
		return;
	}
	verdict = redis_codec_error((struct str){reply->str, reply->len}, &hint);
	if (verdict == VERDICT_MISCONFIGURED || verdict == VERDICT_PERMANENT)
		return; /* no right to ask, or INFO renamed: the version stays unknown, the rest can work */
	(void)err_set(&op->req->err, 0, "redis %s: %.*s", admin->owner->target.endpoint,
		      (int)(reply->len < ERR_TEXT_BYTES ? reply->len : ERR_TEXT_BYTES), reply->str);
	refuse(op, verdict);
}

static void on_probe(struct redis_admin *admin, const redisReply *reply)
{
	struct leg_write write = {.op = LEG_REMOVE, .document_id = {"", 0}};
	bool is_error = reply->type == REDIS_REPLY_ERROR;
	bool is_text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
	struct str text = {is_error || is_text ? reply->str : NULL, is_error || is_text ? reply->len : 0};

	(void)redis_codec_reply(&write,
				is_error  ? REDIS_REPLY_IS_ERROR
				: is_text ? REDIS_REPLY_IS_TEXT
					  : REDIS_REPLY_IS_OTHER,
				text); /* the hint is for requests that are repeated */
	if (write.verdict == VERDICT_OK)
		return;
	if (!admin->op->is_refused)
		(void)err_set(&admin->op->req->err, 0, "redis %s: a probe by script on keys below \"%s:\" failed: %.*s",
			      admin->owner->target.endpoint, admin->owner->key_prefix,
			      (int)(text.len < 200 ? text.len : 200),
			      text.at != NULL ? text.at : "an unknown kind of answer");
	refuse(admin->op, write.verdict == VERDICT_PERMANENT ? VERDICT_MISCONFIGURED : write.verdict);
}

static void admin_reply(struct redis_exchange *exchange, uint32_t index, const redisReply *reply)
{
	struct redis_admin *admin = admin_of(exchange);

	if (index == 0)
		on_info(admin, reply);
	else
		on_probe(admin, reply);
	CRASH_POINT_IF(index > 0, REDIS_INIT_AFTER);
}

/* ---- what is made of them ---- */

static void judge(struct redis_admin *admin)
{
	struct redis_admin_op *op = admin->op;
	const char *endpoint = admin->owner->target.endpoint;

	if (op->is_refused || op->is_ping)
		return;
	if (op->version[0] != '\0' && atoi(op->version) < OLDEST_VERSION) {
		(void)err_set(&op->req->err, 0, "redis %s: this is Redis %s; sagad needs %d.0 or newer", endpoint,
			      op->version, OLDEST_VERSION);
		refuse(op, VERDICT_MISCONFIGURED);
	} else if (strcmp(op->role, "slave") == 0) {
		(void)err_set(&op->req->err, 0, "redis %s: this is a replica, which takes no writes; name the primary",
			      endpoint);
		refuse(op, VERDICT_MISCONFIGURED);
	}
}

/* Staging keys and fences have a TTL, so "volatile-*" may evict them too; "allkeys-*" evicts what others need kept. */
static bool policy_is_fit(const char *policy)
{
	return policy[0] == '\0' || strcmp(policy, "noeviction") == 0 || strncmp(policy, "volatile-", 9) == 0;
}

static void write_report(const struct redis_admin *admin)
{
	const struct redis_admin_op *op = admin->op;
	char *report = op->req->report;
	size_t size_bytes = sizeof(op->req->report);
	int n = snprintf(report, size_bytes, "redis %s at %s: nothing to create, keys begin with \"%s:\"%s",
			 op->version[0] != '\0' ? op->version : "of unknown version", admin->owner->target.endpoint,
			 admin->owner->key_prefix, op->req->check_only ? "" : ", writing works");

	if (!policy_is_fit(op->policy) && n > 0 && (size_t)n < size_bytes)
		(void)snprintf(report + n, size_bytes - (size_t)n,
			       "; WARNING: maxmemory-policy is %s, so a full Redis drops fences of removed documents: "
			       "set noeviction, or a volatile- one",
			       op->policy); /* cut on purpose */
}

static void admin_next(struct redis_admin *admin);

static void answer(struct redis_admin *admin)
{
	struct redis_admin_op *op = admin->op;
	struct store_init_req *req = op->req;

	admin->op = NULL;
	free(op);
	admin_next(admin);
	req->done(req);
}

static void admin_end(struct redis_exchange *exchange)
{
	struct redis_admin *admin = admin_of(exchange);
	struct redis_admin_op *op = admin->op;

	if (exchange->how != REDIS_ANSWERED) {
		op->req->err = exchange->err;
		refuse(op, exchange->how == REDIS_LOST ? VERDICT_DOUBT : exchange->verdict);
	}
	judge(admin);
	if (!op->is_refused) {
		op->req->verdict = VERDICT_OK;
		err_clear(&op->req->err);
		write_report(admin);
		if (op->has_info)
			(void)snprintf(admin->owner->status.version, sizeof(admin->owner->status.version), "%s",
				       op->version);
	}
	redis_store_note(admin->owner, exchange->latency_ns, op->is_refused ? &op->req->err : NULL);
	answer(admin);
}

/* ---- the calls ---- */

static void admin_next(struct redis_admin *admin)
{
	struct list *node;

	if (admin->op != NULL || !redis_conn_is_free(&admin->conn))
		return;
	node = list_take_first(&admin->waiting);
	if (node == NULL)
		return;
	admin->op = container_of(node, struct redis_admin_op, node);
	admin->exchange = (struct redis_exchange){
		.deadline_ns = uv_hrtime() + admin->owner->admin_timeout_ms * (uint64_t)NS_PER_MS_U64,
		.write = admin_write,
		.reply = admin_reply,
		.end = admin_end,
	};
	redis_conn_start(&admin->conn, &admin->exchange);
}

void redis_admin_init(struct redis_admin *admin, struct redis_store *owner)
{
	admin->owner = owner;
	list_init(&admin->waiting);
	redis_conn_init(&admin->conn, owner->loop, &owner->target, owner->log);
}

void redis_admin_ask(struct redis_admin *admin, struct store_init_req *req, bool is_ping)
{
	struct redis_admin_op *op = calloc(1, sizeof(*op));

	MUST(op != NULL); /* some bytes; there is no way to answer later without them */
	op->req = req;
	op->is_ping = is_ping;
	req->report[0] = '\0';
	list_append(&admin->waiting, &op->node);
	admin_next(admin);
}

void redis_admin_close(struct redis_admin *admin, void (*closed)(struct redis_conn *conn))
{
	struct list *node;

	redis_conn_close(&admin->conn, closed); /* ends the one that is out */
	while ((node = list_take_first(&admin->waiting)) != NULL) {
		admin->op = container_of(node, struct redis_admin_op, node);
		(void)err_set(&admin->op->req->err, 0, "redis %s: sagad closes the connection",
			      admin->owner->target.endpoint);
		admin->op->req->verdict = VERDICT_OUTAGE;
		answer(admin);
	}
}
