/* The collection's making or checking, and ping: a few HTTP requests one after another.
 *
 *     init:  LOOK --(404)--> CREATE --> INDEX_DOCUMENT --> INDEX_SAGA --> MARK --> end
 *              '--(fits)---------------------^
 *     ping:  VERSION --> LOOK --> end
 */
#include "qdrant_internal.h"

#include "base/crash_point.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum qdrant_stage { STAGE_VERSION, STAGE_LOOK, STAGE_CREATE, STAGE_INDEX_DOCUMENT, STAGE_INDEX_SAGA, STAGE_MARK };

struct qdrant_admin {
	struct http_req http;
	struct qdrant *qdrant;
	struct store_init_req *req;
	bool is_ping;
	bool was_created;
	enum qdrant_stage stage;
	struct qdrant_body body;
	struct qdrant_collection found;
	char path[360];
};

static void qdrant_admin_end(struct qdrant_admin *admin, enum verdict verdict)
{
	struct store_init_req *req = admin->req;

	req->verdict = verdict;
	if (verdict == VERDICT_OK)
		err_clear(&req->err);
	qdrant_body_fini(&admin->body);
	free(admin);
	req->done(req);
}

static void qdrant_admin_end_later(struct qdrant_admin *admin, enum verdict verdict)
{
	admin->req->verdict = verdict;
	http_client_skip(admin->qdrant->client, &admin->http);
}

/* ---- what is sent at each stage ---- */

static void qdrant_admin_send(struct qdrant_admin *admin, const char *method, const char *path_end, int body_rc)
{
	if (body_rc != 0) {
		(void)err_set(&admin->req->err, 0, "qdrant: no memory for the request");
		qdrant_admin_end_later(admin, VERDICT_TRANSIENT);
		return;
	}
	(void)snprintf(admin->path, sizeof(admin->path), "/collections/%s%s", admin->qdrant->collection, path_end);
	admin->http.method = method;
	admin->http.path = admin->stage == STAGE_VERSION ? "/" : admin->path;
	admin->http.body = (struct str){admin->body.at, admin->body.len};
	admin->http.timeout_ns = admin->qdrant->admin_timeout_ns;
	CRASH_POINT_IF(admin->http.body.at != NULL, QDRANT_INIT_BEFORE); /* without a body it only looks */
	http_client_submit(admin->qdrant->client, &admin->http);
}

static void qdrant_admin_enter(struct qdrant_admin *admin, enum qdrant_stage stage)
{
	admin->stage = stage;
	qdrant_body_fini(&admin->body);
	switch (stage) {
	case STAGE_VERSION:
	case STAGE_LOOK:
		qdrant_admin_send(admin, "GET", "", 0);
		break;
	case STAGE_CREATE:
		admin->was_created = true;
		qdrant_admin_send(admin, "PUT", "", qdrant_create_body(admin->req->schema, &admin->body));
		break;
	case STAGE_INDEX_DOCUMENT:
		qdrant_admin_send(admin, "PUT", "/index?wait=true", qdrant_index_body("document_id", &admin->body));
		break;
	case STAGE_INDEX_SAGA:
		qdrant_admin_send(admin, "PUT", "/index?wait=true", qdrant_index_body("saga_id", &admin->body));
		break;
	case STAGE_MARK:
		qdrant_admin_send(admin, "PATCH", "", qdrant_mark_body(&admin->body));
		break;
	}
}

/* ---- what the answers lead to ---- */

static void qdrant_admin_report(struct qdrant_admin *admin)
{
	const struct qdrant_collection *found = &admin->found;
	const struct store_schema *schema = admin->req->schema;

	if (admin->was_created)
		(void)snprintf(admin->req->report, sizeof(admin->req->report),
			       "collection %s created: %" PRIu32 " dimensions, distance %s, indexes on document_id and "
			       "saga_id%s%s",
			       admin->qdrant->collection, schema->dims, schema->distance,
			       schema->on_disk ? ", on disk" : "", schema->quantize_int8 ? ", INT8" : "");
	else
		(void)snprintf(admin->req->report, sizeof(admin->req->report),
			       "collection %s found: %" PRIu64 " dimensions, distance %s, HNSW m %" PRIu64
			       " ef_construct %" PRIu64 "%s%s, %" PRIu64 " points",
			       admin->qdrant->collection, found->dims, found->distance, found->hnsw_m,
			       found->hnsw_ef_construct, found->on_disk ? ", on disk" : "",
			       found->is_int8 ? ", INT8" : "", found->n_points);
}

/* The collection is there. */
static void qdrant_admin_compare(struct qdrant_admin *admin)
{
	struct store_init_req *req = admin->req;
	const char *name = admin->qdrant->collection;
	const struct qdrant_collection *found = &admin->found;

	if (qdrant_collection_parse(buf_str(&admin->http.reply), &admin->found) != 0) {
		(void)err_set(&req->err, 0,
			      "qdrant: collection %s: the reply is not a collection's description; "
			      "is that Qdrant's REST port?",
			      name);
		qdrant_admin_end(admin, VERDICT_MISCONFIGURED);
	} else if (admin->is_ping) {
		qdrant_admin_end(admin, VERDICT_OK);
	} else if (qdrant_collection_check(found, req->schema, name, &req->err) != 0) {
		qdrant_admin_end(admin, VERDICT_PERMANENT);
	} else if (!req->check_only) {
		qdrant_admin_enter(admin, STAGE_INDEX_DOCUMENT);
	} else if (!found->has_document_index || !found->has_saga_index) {
		(void)err_set(&req->err, 0, "qdrant: collection %s has no keyword index on %s; run: sagactl init", name,
			      found->has_saga_index ? "document_id" : "saga_id");
		qdrant_admin_end(admin, VERDICT_MISCONFIGURED);
	} else {
		qdrant_admin_report(admin);
		qdrant_admin_end(admin, VERDICT_OK);
	}
}

static void qdrant_admin_go_on(struct qdrant_admin *admin)
{
	switch (admin->stage) {
	case STAGE_VERSION:
		qdrant_version_parse(buf_str(&admin->http.reply), admin->qdrant->status.version,
				     sizeof(admin->qdrant->status.version));
		qdrant_admin_enter(admin, STAGE_LOOK);
		break;
	case STAGE_LOOK:
		qdrant_admin_compare(admin);
		break;
	case STAGE_CREATE:
		qdrant_admin_enter(admin, STAGE_INDEX_DOCUMENT);
		break;
	case STAGE_INDEX_DOCUMENT:
		qdrant_admin_enter(admin, STAGE_INDEX_SAGA);
		break;
	case STAGE_INDEX_SAGA:
		qdrant_admin_enter(admin, STAGE_MARK);
		break;
	case STAGE_MARK:
		qdrant_admin_report(admin);
		qdrant_admin_end(admin, VERDICT_OK);
		break;
	}
}

static void qdrant_admin_done(struct http_req *http)
{
	struct qdrant_admin *admin = container_of(http, struct qdrant_admin, http);
	struct err err = {{0}};
	enum verdict verdict;

	if (http->outcome == HTTP_SKIPPED) {
		qdrant_admin_end(admin, admin->req->verdict);
		return;
	}
	CRASH_POINT_IF(http->body.at != NULL, QDRANT_INIT_AFTER);
	if (http->outcome == HTTP_ANSWERED)
		verdict = qdrant_answer(http->status, buf_str(&http->reply), admin->qdrant->collection, &err).verdict;
	else
		verdict = http_verdict(http);
	if (http->outcome != HTTP_ANSWERED)
		err = http->err;
	http_store_note(&admin->qdrant->status, http, verdict, &err);
	/* A mark is for later versions of sagad; servers before 1.16 have no collection metadata and refuse it. */
	if (verdict == VERDICT_OK || (admin->stage == STAGE_MARK && http->outcome == HTTP_ANSWERED)) {
		qdrant_admin_go_on(admin);
	} else if (admin->stage == STAGE_LOOK && http->status == 404 && !admin->is_ping && !admin->req->check_only) {
		qdrant_admin_enter(admin, STAGE_CREATE);
	} else {
		admin->req->err = err;
		qdrant_admin_end(admin, verdict);
	}
}

static void qdrant_admin_begin(struct store *store, struct store_init_req *req, bool is_ping)
{
	struct qdrant_admin *admin = calloc(1, sizeof(*admin));

	MUST(admin != NULL); /* done() has to come later, and without memory there is nothing to bring it */
	admin->http.done = qdrant_admin_done;
	admin->qdrant = container_of(store, struct qdrant, store);
	admin->req = req;
	admin->is_ping = is_ping;
	req->report[0] = '\0';
	err_clear(&req->err);
	qdrant_admin_enter(admin, is_ping ? STAGE_VERSION : STAGE_LOOK);
}

void qdrant_init(struct store *store, struct store_init_req *req)
{
	qdrant_admin_begin(store, req, false);
}

void qdrant_ping(struct store *store, struct store_init_req *req)
{
	qdrant_admin_begin(store, req, true);
}
