/* What replies mean. Nearly every failure comes as HTTP 200 with `errors`, so a success is a whole JSON text, an empty
 * `errors` *and* the counts that were expected; a text that is cut off is doubt. */
#include "neo4j_codec.h"
#include "neo4j_rows.h"

#include "proto/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* ---- errors: one table, the first prefix that fits ---- */

struct neo4j_rule {
	const char *prefix;
	enum verdict verdict;
	bool is_shared;
	const char *advice;
};

static const struct neo4j_rule neo4j_rules[] = {
	{"Neo.TransientError.General.DatabaseUnavailable", VERDICT_OUTAGE, false,
	 "the database is starting or stopping"},
	/* Memory: less at a time may pass. */
	{"Neo.TransientError.General.", VERDICT_TRANSIENT, true, "see the server's memory settings"},
	{"Neo.TransientError.", VERDICT_TRANSIENT, false, "it will be tried again"},
	/* For 5 s after three wrong passwords of anybody's, also with the right one. */
	{"Neo.ClientError.Security.AuthenticationRateLimit", VERDICT_TRANSIENT, false, "it will be tried again"},
	{"Neo.ClientError.Security.", VERDICT_MISCONFIGURED, false, "check user and password"},
	{"Neo.ClientError.Database.", VERDICT_MISCONFIGURED, false, "check the database's name"},
	{"Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", VERDICT_MISCONFIGURED, false, "make it writable"},
	{"Neo.ClientError.General.WriteOnReadOnlyAccessDatabase", VERDICT_MISCONFIGURED, false, "make it writable"},
	{"Neo.ClientError.Cluster.", VERDICT_TRANSIENT, false, "it will be tried again"},
	/* The next three: the collector deleted an entity between our MERGE and our CREATE, found by the server, by our
	 * count (a division by zero), or as a missing end of a relationship. */
	{"Neo.ClientError.Statement.EntityNotFound", VERDICT_TRANSIENT, false, "an entity went meanwhile"},
	{"Neo.ClientError.Statement.ArithmeticError", VERDICT_TRANSIENT, false, "an entity went meanwhile"},
	{"Neo.ClientError.Statement.ArgumentError", VERDICT_TRANSIENT, false, "an entity went meanwhile"},
	/* We merge under uniqueness constraints and delete without DETACH: only a race with another writer fails. */
	{"Neo.ClientError.Schema.ConstraintValidationFailed", VERDICT_TRANSIENT, false, "another writer was faster"},
	/* Ended by the server: a time limit, or a restart. */
	{"Neo.ClientError.Transaction.", VERDICT_TRANSIENT, true, "it will be tried again"},
	{"Neo.ClientError.Statement.SyntaxError", VERDICT_MISCONFIGURED, false, "Neo4j 5 or later is needed"},
	{"Neo.ClientError.", VERDICT_PERMANENT, true, "correct the document"},
	/* An index key that is too long, an integer over 64 bits: measured on 5.26. */
	{"Neo.DatabaseError.Statement.ExecutionFailed", VERDICT_PERMANENT, true, "correct the document"},
	{"Neo.DatabaseError.", VERDICT_TRANSIENT, true, "see the server's log"},
	{"", VERDICT_TRANSIENT, true, "see the server's log"},
};

static const struct neo4j_rule *neo4j_rule_find(const char *code)
{
	size_t i = 0;

	while (strncmp(code, neo4j_rules[i].prefix, strlen(neo4j_rules[i].prefix)) != 0)
		i++; /* the last one fits everything */
	return &neo4j_rules[i];
}

static struct neo4j_answer neo4j_error(yyjson_val *error, struct err *err)
{
	const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
	const char *message = yyjson_get_str(yyjson_obj_get(error, "message"));
	const struct neo4j_rule *rule = neo4j_rule_find(code != NULL ? code : "");

	(void)err_set(err, 0, "neo4j: %.90s: %.190s; %s", code != NULL ? code : "an error without a code",
		      message != NULL ? message : "", rule->advice);
	return (struct neo4j_answer){rule->verdict, rule->is_shared};
}

/* No `errors` in it: the status alone must do. */
static struct neo4j_answer neo4j_status(uint16_t status, struct err *err)
{
	if (status == 401 || status == 403 || status == 429) {
		(void)err_set(err, 0, "neo4j: HTTP %u; check user and password", status);
		return (struct neo4j_answer){VERDICT_MISCONFIGURED, false};
	}
	if (status >= 300 && status < 500) {
		(void)err_set(err, 0, "neo4j: HTTP %u; is that Neo4j's HTTP port, and is the database's name right?",
			      status);
		return (struct neo4j_answer){VERDICT_MISCONFIGURED, false};
	}
	(void)err_set(err, 0, "neo4j: HTTP %u and a reply that is not whole; whether it was done is unknown", status);
	return (struct neo4j_answer){VERDICT_DOUBT, true};
}

/* Reads a reply. OK: *out_doc is the caller's, whole, and without errors. */
static struct neo4j_answer neo4j_read(uint16_t status, struct str reply, yyjson_doc **out_doc, struct err *err)
{
	yyjson_doc *doc = reply.at != NULL ? yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG) : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc), *errors = yyjson_obj_get(root, "errors");
	struct neo4j_answer answer;

	if (yyjson_is_arr(errors) && yyjson_arr_size(errors) > 0)
		answer = neo4j_error(yyjson_arr_get_first(errors), err);
	else if (yyjson_is_arr(errors) && yyjson_is_arr(yyjson_obj_get(root, "results")) && status < 300)
		answer = (struct neo4j_answer){VERDICT_OK, false};
	else
		answer = neo4j_status(status, err);
	if (answer.verdict == VERDICT_OK)
		*out_doc = doc;
	else
		yyjson_doc_free(doc);
	return answer;
}

struct neo4j_answer neo4j_answer(uint16_t status, struct str reply, struct err *err)
{
	yyjson_doc *doc = NULL;
	struct neo4j_answer answer = neo4j_read(status, reply, &doc, err);

	yyjson_doc_free(doc);
	return answer;
}

/* ---- rows ---- */

/* The rows of a statement's result; NULL when it is missing. */
static yyjson_val *neo4j_result_rows(yyjson_val *result)
{
	return yyjson_obj_get(result, "data");
}

/* A cell of {"row": [...]}. */
static yyjson_val *neo4j_cell(yyjson_val *row, size_t column)
{
	return yyjson_arr_get(yyjson_obj_get(row, "row"), column);
}

static bool neo4j_has_column(yyjson_val *result, size_t column, const char *name)
{
	return yyjson_equals_str(yyjson_arr_get(yyjson_obj_get(result, "columns"), column), name);
}

/* The write that a row's first cell names; -1 for a saga that wasn't asked about. */
static int64_t neo4j_row_write(const struct neo4j_rows *rows, yyjson_val *row)
{
	yyjson_val *cell = neo4j_cell(row, 0);
	struct uuid saga;

	if (!yyjson_is_str(cell) || !uuid_parse((struct str){yyjson_get_str(cell), yyjson_get_len(cell)}, &saga))
		return -1;
	return neo4j_rows_find(rows, &saga);
}

/* ---- apply ---- */

static void neo4j_set(struct leg_write *write, enum verdict verdict, const char *what)
{
	struct str id = write->document_id;

	write->verdict = verdict;
	if (verdict == VERDICT_OK)
		err_clear(&write->err);
	else
		(void)err_set(&write->err, 0, "neo4j: document \"%.*s\": %s", (int)(id.len < 100 ? id.len : 100),
			      id.at != NULL ? id.at : "", what);
}

/* The row [saga, dead, old, mentions] of the last statement. */
static void neo4j_apply_row(struct leg_write *write, yyjson_val *row, uint64_t n_made)
{
	bool is_dead = yyjson_get_bool(neo4j_cell(row, 1)), is_old = yyjson_get_bool(neo4j_cell(row, 2));
	uint64_t n_mentions = yyjson_get_uint(neo4j_cell(row, 3));

	if (is_dead)
		neo4j_set(write, VERDICT_TRANSIENT, "this saga was removed already; nothing was written");
	else if (n_mentions != write->document->n_entities)
		neo4j_set(write, VERDICT_TRANSIENT, "fewer entities are connected than were sent");
	else if (!is_old && n_made != write->document->n_relationships)
		neo4j_set(write, VERDICT_TRANSIENT, "fewer relationships were made than were sent");
	else
		neo4j_set(write, VERDICT_OK, NULL);
}

/* Rows [saga, made]: one result for each statement that creates relationships. */
static void neo4j_count_made(const struct neo4j_rows *rows, yyjson_val *results, uint64_t *made)
{
	yyjson_val *result, *row;
	size_t i, n, k, n_rows;

	yyjson_arr_foreach(results, i, n, result)
	{
		if (!neo4j_has_column(result, 1, "made"))
			continue;
		yyjson_arr_foreach(neo4j_result_rows(result), k, n_rows, row)
		{
			int64_t at = neo4j_row_write(rows, row);
			if (at >= 0)
				made[at] += yyjson_get_uint(neo4j_cell(row, 1));
		}
	}
}

static void neo4j_apply_results(const struct neo4j_rows *rows, yyjson_val *results, const uint64_t *made)
{
	yyjson_val *row;
	size_t i, n;

	for (uint32_t k = 0; k < rows->n_writes; k++)
		neo4j_set(rows->writes[k], VERDICT_TRANSIENT, "the reply doesn't mention it");
	yyjson_arr_foreach(neo4j_result_rows(yyjson_arr_get_last(results)), i, n, row)
	{
		int64_t at = neo4j_row_write(rows, row);
		if (at >= 0)
			neo4j_apply_row(rows->writes[at], row, made[at]);
	}
}

/* -ENOMEM: nothing was set. */
static int neo4j_apply_answer(yyjson_val *results, struct leg_write **writes, uint32_t n_writes)
{
	struct neo4j_rows rows;
	uint64_t *made;

	if (neo4j_rows_init(&rows, writes, n_writes, false) != 0)
		return -ENOMEM;
	made = calloc(n_writes, sizeof(*made));
	if (made != NULL) {
		neo4j_count_made(&rows, results, made);
		neo4j_apply_results(&rows, results, made);
	}
	neo4j_rows_fini(&rows);
	free(made);
	return made != NULL ? 0 : -ENOMEM;
}

/* ---- all writes ---- */

/* A removal answers one row for each saga; a publish none. */
static struct neo4j_answer neo4j_remove_answer(yyjson_val *results, uint32_t n_writes, struct err *err)
{
	size_t n_rows = yyjson_arr_size(neo4j_result_rows(yyjson_arr_get_last(results)));

	if (n_rows == n_writes)
		return (struct neo4j_answer){VERDICT_OK, false};
	(void)err_set(err, 0, "neo4j: of %" PRIu32 " removals only %zu were confirmed", n_writes, n_rows);
	return (struct neo4j_answer){VERDICT_TRANSIENT, false};
}

struct neo4j_answer neo4j_write_answer(uint16_t status, struct str reply, struct leg_write **writes, uint32_t n_writes,
				       struct err *err)
{
	yyjson_doc *doc = NULL;
	struct neo4j_answer answer = neo4j_read(status, reply, &doc, err);
	yyjson_val *results = yyjson_obj_get(yyjson_doc_get_root(doc), "results");
	bool is_apply = writes[0]->op == LEG_APPLY;

	if (answer.verdict == VERDICT_OK && is_apply && neo4j_apply_answer(results, writes, n_writes) != 0) {
		(void)err_set(err, 0, "neo4j: no memory for the reply");
		answer = (struct neo4j_answer){VERDICT_DOUBT, false};
	} else if (answer.verdict == VERDICT_OK && writes[0]->op == LEG_REMOVE) {
		answer = neo4j_remove_answer(results, n_writes, err);
	}
	yyjson_doc_free(doc);
	for (uint32_t i = 0; i < n_writes && !(is_apply && answer.verdict == VERDICT_OK); i++) {
		writes[i]->verdict = answer.verdict;
		writes[i]->err = *err;
	}
	return answer;
}

/* ---- check ---- */

/* A row [type, labelsOrTypes, properties] of SHOW CONSTRAINTS. Newer servers say NODE_PROPERTY_UNIQUENESS. */
static bool neo4j_is_unique(yyjson_val *row, const char *label, const char *property)
{
	const char *type = yyjson_get_str(neo4j_cell(row, 0));
	yyjson_val *labels = neo4j_cell(row, 1), *properties = neo4j_cell(row, 2);
	bool is_unique = type != NULL && (strcmp(type, "UNIQUENESS") == 0 || strcmp(type, "NODE_KEY") == 0 ||
					  strcmp(type, "NODE_PROPERTY_UNIQUENESS") == 0);

	return is_unique && yyjson_arr_size(labels) == 1 && yyjson_arr_size(properties) == 1 &&
	       yyjson_equals_str(yyjson_arr_get_first(labels), label) &&
	       yyjson_equals_str(yyjson_arr_get_first(properties), property);
}

static void neo4j_version_row(yyjson_val *row, struct neo4j_server *server)
{
	const char *name = yyjson_get_str(neo4j_cell(row, 0)), *version = yyjson_get_str(neo4j_cell(row, 1));

	if (name != NULL && version != NULL && strcmp(name, "Neo4j Kernel") == 0)
		(void)snprintf(server->version, sizeof(server->version), "%s", version);
}

int neo4j_check_parse(struct str reply, struct neo4j_server *out_server)
{
	yyjson_doc *doc = yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG);
	yyjson_val *results = yyjson_obj_get(yyjson_doc_get_root(doc), "results"), *row;
	struct neo4j_server server = {0};
	size_t i, n;
	int rc = yyjson_arr_size(results) == 2 ? 0 : -EPROTO;

	yyjson_arr_foreach(neo4j_result_rows(yyjson_arr_get(results, 0)), i, n, row)
	{
		server.has_version_constraint |= neo4j_is_unique(row, "Version", "saga_id");
		server.has_entity_constraint |= neo4j_is_unique(row, "Entity", "key");
	}
	yyjson_arr_foreach(neo4j_result_rows(yyjson_arr_get(results, 1)), i, n, row) neo4j_version_row(row, &server);
	yyjson_doc_free(doc);
	if (rc == 0)
		*out_server = server;
	return rc;
}

int neo4j_check_constraints(const struct neo4j_server *server, struct err *err)
{
	const char *missing = NULL;

	if (!server->has_version_constraint)
		missing = "Version.saga_id";
	else if (!server->has_entity_constraint)
		missing = "Entity.key";
	if (missing == NULL)
		return 0;
	return err_set(err, -EINVAL,
		       "neo4j: the uniqueness constraint on %s is missing, and without it MERGE makes duplicates; "
		       "run: sagactl init",
		       missing);
}

struct neo4j_dialect neo4j_dialect_of(const char *version)
{
	unsigned major = 0, minor = 0;

	if (sscanf(version, "%u.%u", &major, &minor) != 2)
		return (struct neo4j_dialect){false};
	return (struct neo4j_dialect){.has_dynamic_types = major > 5 || (major == 5 && minor >= 26)};
}

/* ---- collector ---- */

bool neo4j_collect_is_full(struct str reply, uint32_t limit)
{
	yyjson_doc *doc = yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG);
	yyjson_val *results = yyjson_obj_get(yyjson_doc_get_root(doc), "results");
	yyjson_val *taken = yyjson_arr_get_first(neo4j_result_rows(yyjson_arr_get_first(results)));
	yyjson_val *expired = yyjson_arr_get_first(neo4j_result_rows(yyjson_arr_get_last(results)));
	bool is_full =
		yyjson_get_uint(neo4j_cell(taken, 0)) >= limit || yyjson_get_uint(neo4j_cell(expired, 0)) >= limit;

	yyjson_doc_free(doc);
	return is_full;
}
