/* The schema's making or checking, and ping.
 *
 *     init:                     SCHEMA --> AWAIT --> CHECK --> end
 *     init (check_only), ping:                       CHECK --> end
 */
#include "neo4j_internal.h"

#include "base/crash_point.h"

#include <stdio.h>
#include <stdlib.h>

enum neo4j_stage { STAGE_SCHEMA, STAGE_AWAIT, STAGE_CHECK };

struct neo4j_admin {
	struct http_req http;
	struct neo4j *neo4j;
	struct store_init_req *req;
	enum neo4j_stage stage;
	struct neo4j_body body;
};

static void neo4j_admin_end(struct neo4j_admin *admin, enum verdict verdict, const struct err *err)
{
	struct store_init_req *req = admin->req;

	req->verdict = verdict;
	req->err = *err;
	if (verdict == VERDICT_OK)
		(void)snprintf(req->report, sizeof(req->report),
			       "Neo4j %s: constraints on Version.saga_id and Entity.key are there",
			       admin->neo4j->status.version);
	neo4j_body_fini(&admin->body);
	free(admin);
	req->done(req);
}

static int neo4j_admin_body(struct neo4j_admin *admin)
{
	switch (admin->stage) {
	case STAGE_SCHEMA:
		return neo4j_schema_body(&admin->body);
	case STAGE_AWAIT:
		return neo4j_await_body(&admin->body);
	case STAGE_CHECK:
		break;
	}
	return neo4j_check_body(&admin->body);
}

static void neo4j_admin_enter(struct neo4j_admin *admin, enum neo4j_stage stage)
{
	admin->stage = stage;
	CRASH_POINT_IF(stage == STAGE_SCHEMA, NEO4J_INIT_BEFORE); /* the other stages only look */
	neo4j_body_fini(&admin->body);
	if (neo4j_admin_body(admin) == 0)
		neo4j_send(admin->neo4j, &admin->http, &admin->body, admin->neo4j->admin_timeout_ns);
	else
		http_client_skip(admin->neo4j->client, &admin->http); /* submit() may be on the stack */
}

static void neo4j_admin_go_on(struct neo4j_admin *admin)
{
	static const struct err none;

	switch (admin->stage) {
	case STAGE_SCHEMA:
		neo4j_admin_enter(admin, STAGE_AWAIT);
		break;
	case STAGE_AWAIT:
		neo4j_admin_enter(admin, STAGE_CHECK);
		break;
	case STAGE_CHECK:
		neo4j_admin_end(admin, VERDICT_OK, &none);
		break;
	}
}

static void neo4j_admin_done(struct http_req *http)
{
	struct neo4j_admin *admin = container_of(http, struct neo4j_admin, http);
	struct err err = {{0}};
	enum verdict verdict = http_verdict(http);

	CRASH_POINT_IF(admin->stage == STAGE_SCHEMA, NEO4J_INIT_AFTER);
	if (http->outcome == HTTP_SKIPPED)
		verdict = VERDICT_TRANSIENT;
	else if (http->outcome != HTTP_ANSWERED)
		err = http->err;
	else if (admin->stage == STAGE_CHECK)
		verdict = neo4j_take_check(admin->neo4j, http, &err);
	else
		verdict = neo4j_answer(http->status, buf_str(&http->reply), &err).verdict;
	if (http->outcome == HTTP_SKIPPED)
		(void)err_set(&err, 0, "neo4j: no memory for the request");
	else
		neo4j_note(admin->neo4j, http, verdict, &err);
	if (verdict == VERDICT_OK)
		neo4j_admin_go_on(admin);
	else
		neo4j_admin_end(admin, verdict, &err);
}

static void neo4j_admin_begin(struct store *store, struct store_init_req *req, enum neo4j_stage stage)
{
	struct neo4j_admin *admin = calloc(1, sizeof(*admin));

	MUST(admin != NULL); /* done() has to come later, and without memory there is nothing to bring it */
	admin->http.done = neo4j_admin_done;
	admin->neo4j = container_of(store, struct neo4j, store);
	admin->req = req;
	req->report[0] = '\0';
	neo4j_admin_enter(admin, stage);
}

void neo4j_init(struct store *store, struct store_init_req *req)
{
	neo4j_admin_begin(store, req, req->check_only ? STAGE_CHECK : STAGE_SCHEMA);
}

void neo4j_ping(struct store *store, struct store_init_req *req)
{
	neo4j_admin_begin(store, req, STAGE_CHECK);
}
