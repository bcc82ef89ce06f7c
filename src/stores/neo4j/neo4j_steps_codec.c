#include "neo4j_steps_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET         "neo4j"
#define STATEMENTS_MAX 64

/* The node's creation fails when there is one; it waits for a transaction that is just making it. */
#define CYPHER_STEP_DO "CREATE (b:SagadStep {key: $key, state: 'done', changed_ms: timestamp()})"
/* Its own key is set first, for the lock: the state is read after that. Without a done node the division fails, and
 * takes everything back. */
#define CYPHER_STEP_UNDO                                                                                               \
	"OPTIONAL MATCH (b:SagadStep {key: $key}) "                                                                    \
	"FOREACH (x IN CASE WHEN b IS NULL THEN [] ELSE [b] END | SET x.key = x.key) "                                 \
	"WITH b, CASE WHEN b.state = 'done' THEN 1 ELSE 0 END AS n "                                                   \
	"WITH b, 1 / n AS one SET b.state = CASE one WHEN 1 THEN 'undone' END, b.changed_ms = timestamp() "            \
	"REMOVE b.result"
#define CYPHER_STEP_LOOK "MATCH (b:SagadStep {key: $key}) RETURN b.state, b.result, false"
#define CYPHER_STEP_BLOCK                                                                                              \
	"MERGE (b:SagadStep {key: $key}) ON CREATE SET b.state = 'blocked', b.changed_ms = timestamp(), b.made = "     \
	"true "                                                                                                        \
	"WITH b, coalesce(b.made, false) AS made REMOVE b.made RETURN b.state, b.result, made"
#define CYPHER_STEP_KEEP    "MATCH (b:SagadStep {key: $key}) SET b.result = $result"
#define CYPHER_STEP_CHECK   "SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties"
#define CYPHER_STEP_VERSION "CALL dbms.components() YIELD name, versions RETURN name, versions[0] AS version"

/* ---- the client's statements ---- */

static bool neo4j_steps_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The next word in capitals, past all that is none; false: there is none. Comments and strings count as text. */
static bool neo4j_steps_word(const char **at, char *out_word, size_t size_bytes)
{
	size_t n = 0;

	while (**at != '\0' && !neo4j_steps_is_letter(**at))
		(*at)++;
	for (; neo4j_steps_is_letter(**at); (*at)++)
		if (n < size_bytes - 1)
			out_word[n++] = (char)(**at >= 'a' && **at <= 'z' ? **at - 32 : **at);
	out_word[n] = '\0';
	return n > 0;
}

/* LOAD CSV reads the server's files and any URL; USE goes to another database. Escapes could spell either. */
static const char *neo4j_steps_fault(const char *statement)
{
	const char *at = statement;
	char word[16];
	bool is_load = false;

	if (strstr(statement, "\\u") != NULL || strstr(statement, "\\U") != NULL)
		return "a statement must not have \\u escapes; put such texts into parameters";
	while (neo4j_steps_word(&at, word, sizeof(word))) {
		if (is_load && strcmp(word, "CSV") == 0)
			return "LOAD CSV is not allowed";
		if (strcmp(word, "USE") == 0)
			return "USE is not allowed: the database is the configuration's";
		is_load = strcmp(word, "LOAD") == 0;
	}
	return NULL;
}

static bool neo4j_steps_add_statement(yyjson_mut_doc *doc, yyjson_mut_val *statements, yyjson_val *text,
				      yyjson_val *parameters)
{
	yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, statements);

	return object != NULL && yyjson_mut_obj_add_val(doc, object, "statement", yyjson_val_mut_copy(doc, text)) &&
	       (parameters == NULL ||
		yyjson_mut_obj_add_val(doc, object, "parameters", yyjson_val_mut_copy(doc, parameters)));
}

static bool neo4j_steps_check(struct call *call, yyjson_val *one, size_t nth)
{
	yyjson_val *text = yyjson_obj_get(one, "statement"), *parameters = yyjson_obj_get(one, "parameters");
	const char *fault = NULL;

	if (!yyjson_is_str(text) || strlen(yyjson_get_str(text)) != yyjson_get_len(text))
		fault = "it must have a statement, a string";
	else if (parameters != NULL && !yyjson_is_obj(parameters))
		fault = "its parameters must be an object";
	else
		fault = neo4j_steps_fault(yyjson_get_str(text));
	if (fault != NULL)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "statement %zu: %s", nth + 1, fault);
	return fault == NULL;
}

/* False: the call has failed. */
static bool neo4j_steps_add_client(struct call *call, yyjson_mut_doc *doc, yyjson_mut_val *statements)
{
	yyjson_doc *body = step_codec_parse(call, TARGET, YYJSON_READ_NUMBER_AS_RAW);
	yyjson_val *array = yyjson_obj_get(yyjson_doc_get_root(body), "statements"), *one;
	size_t i, n = yyjson_arr_size(array);
	bool is_good = n > 0 && n <= STATEMENTS_MAX;

	if (body != NULL && !is_good)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "statements must be an array of 1 to %d",
				STATEMENTS_MAX);
	for (i = 0; is_good && i < n; i++) {
		one = yyjson_arr_get(array, i);
		is_good = neo4j_steps_check(call, one, i);
		if (is_good && !neo4j_steps_add_statement(doc, statements, yyjson_obj_get(one, "statement"),
							  yyjson_obj_get(one, "parameters"))) {
			step_codec_fail(call, TARGET, VERDICT_TRANSIENT, "no memory for the request");
			is_good = false;
		}
	}
	yyjson_doc_free(body);
	return is_good;
}

/* ---- requests ---- */

static bool neo4j_steps_add_own(yyjson_mut_doc *doc, yyjson_mut_val *statements, const char *text, const char *key,
				struct str result)
{
	yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, statements);
	yyjson_mut_val *parameters = object != NULL ? yyjson_mut_obj_add_obj(doc, object, "parameters") : NULL;

	return parameters != NULL && yyjson_mut_obj_add_str(doc, object, "statement", text) &&
	       (key == NULL || yyjson_mut_obj_add_str(doc, parameters, "key", key)) &&
	       (result.at == NULL || yyjson_mut_obj_add_strn(doc, parameters, "result", result.at, result.len));
}

static const char *neo4j_steps_own(enum neo4j_steps_kind kind)
{
	switch (kind) {
	case NEO4J_STEPS_CHECK:
		return CYPHER_STEP_CHECK;
	case NEO4J_STEPS_DO:
		return CYPHER_STEP_DO;
	case NEO4J_STEPS_UNDO:
		return CYPHER_STEP_UNDO;
	case NEO4J_STEPS_LOOK:
		return CYPHER_STEP_LOOK;
	case NEO4J_STEPS_BLOCK:
		return CYPHER_STEP_BLOCK;
	case NEO4J_STEPS_KEEP:
		break;
	}
	return CYPHER_STEP_KEEP;
}

bool neo4j_steps_codec_body(struct call *call, enum neo4j_steps_kind kind, struct str kept, struct buf *out_body)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = doc != NULL ? yyjson_mut_obj(doc) : NULL, *statements;
	char key[STEP_CODEC_KEY_BYTES], *json = NULL;
	bool is_check = kind == NEO4J_STEPS_CHECK, is_good = true;
	size_t len = 0;

	step_codec_key(call, key);
	statements = root != NULL ? yyjson_mut_obj_add_arr(doc, root, "statements") : NULL;
	step_codec_fail(call, TARGET, VERDICT_TRANSIENT, "no memory for the request"); /* unless it is something else */
	if (statements == NULL ||
	    !neo4j_steps_add_own(doc, statements, neo4j_steps_own(kind), is_check ? NULL : key, kept))
		is_good = false;
	if (is_good && is_check)
		is_good = neo4j_steps_add_own(doc, statements, CYPHER_STEP_VERSION, NULL, STR_NONE);
	if (is_good && (kind == NEO4J_STEPS_DO || kind == NEO4J_STEPS_UNDO))
		is_good = neo4j_steps_add_client(call, doc, statements);
	yyjson_mut_doc_set_root(doc, root);
	if (is_good)
		json = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len);
	yyjson_mut_doc_free(doc);
	if (json == NULL)
		return false;
	buf_fini(out_body);
	*out_body = (struct buf){.at = json, .len = len, .size_bytes = len + 1};
	return true;
}

/* ---- errors ---- */

/* The first prefix that fits. What can't be told apart from the client's own fault is: its statement is refused. */
static const struct neo4j_steps_rule {
	const char *prefix;
	enum verdict verdict;
} neo4j_steps_rules[] = {
	{"Neo.TransientError.General.DatabaseUnavailable", VERDICT_OUTAGE},
	{"Neo.TransientError.", VERDICT_TRANSIENT},
	{"Neo.ClientError.Security.AuthenticationRateLimit", VERDICT_TRANSIENT},
	{"Neo.ClientError.Security.Forbidden", VERDICT_PERMANENT},
	{"Neo.ClientError.Security.", VERDICT_MISCONFIGURED},
	{"Neo.ClientError.Database.", VERDICT_MISCONFIGURED},
	{"Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", VERDICT_MISCONFIGURED},
	{"Neo.ClientError.General.WriteOnReadOnlyAccessDatabase", VERDICT_MISCONFIGURED},
	{"Neo.ClientError.Cluster.", VERDICT_TRANSIENT},
	/* Ended by the server: a time limit, a restart, an open transaction that was idle for too long. */
	{"Neo.ClientError.Transaction.", VERDICT_TRANSIENT},
	{"Neo.ClientError.", VERDICT_PERMANENT},
	{"Neo.DatabaseError.Statement.ExecutionFailed", VERDICT_PERMANENT},
	/* A commit that failed inside of the server. */
	{"Neo.DatabaseError.Transaction.", VERDICT_DOUBT},
	{"", VERDICT_TRANSIENT},
};

static void neo4j_steps_error(yyjson_val *error, struct neo4j_steps_answer *out)
{
	const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
	const char *message = yyjson_get_str(yyjson_obj_get(error, "message"));
	size_t i = 0;

	code = code != NULL ? code : "";
	while (strncmp(code, neo4j_steps_rules[i].prefix, strlen(neo4j_steps_rules[i].prefix)) != 0)
		i++; /* the last one fits everything */
	out->verdict = neo4j_steps_rules[i].verdict;
	out->is_duplicate = strcmp(code, "Neo.ClientError.Schema.ConstraintValidationFailed") == 0;
	out->is_division = strcmp(code, "Neo.ClientError.Statement.ArithmeticError") == 0;
	(void)err_set(&out->err, 0, "%.90s: %.220s", code[0] != '\0' ? code : "an error without a code",
		      message != NULL ? message : "");
}

/* No `errors` in it: the status alone must do. 404 says that an open transaction has gone: it was rolled back. */
static void neo4j_steps_status(uint16_t status, struct neo4j_steps_answer *out)
{
	out->verdict = status == 401 || status == 403  ? VERDICT_MISCONFIGURED
		       : status == 429                 ? VERDICT_TRANSIENT
		       : status >= 300 && status < 500 ? VERDICT_MISCONFIGURED
						       : VERDICT_DOUBT;
	(void)err_set(&out->err, 0, "HTTP %u%s", status,
		      out->verdict == VERDICT_DOUBT ? " and a reply that is not whole; whether it was done is unknown"
		      : status == 401 || status == 403 ? "; check user and password"
		      : out->verdict == VERDICT_TRANSIENT
			      ? "; it will be tried again"
			      : "; is that Neo4j's HTTP port, and is the database's name right?");
}

/* ---- results ---- */

static yyjson_val *neo4j_steps_cell(yyjson_val *row, size_t column)
{
	return yyjson_arr_get(yyjson_obj_get(row, "row"), column);
}

/* {"rows": [{column: value}]} of one statement. */
static yyjson_mut_val *neo4j_steps_rows(yyjson_mut_doc *doc, yyjson_val *result)
{
	yyjson_val *columns = yyjson_obj_get(result, "columns"), *data = yyjson_obj_get(result, "data"), *row;
	yyjson_mut_val *object = yyjson_mut_obj(doc), *rows = yyjson_mut_obj_add_arr(doc, object, "rows");
	size_t i, n;

	yyjson_arr_foreach(data, i, n, row)
	{
		yyjson_mut_val *out = yyjson_mut_arr_add_obj(doc, rows);

		for (size_t k = 0; out != NULL && k < yyjson_arr_size(columns); k++)
			if (!yyjson_mut_obj_add(out, yyjson_val_mut_copy(doc, yyjson_arr_get(columns, k)),
						yyjson_val_mut_copy(doc, neo4j_steps_cell(row, k))))
				return NULL;
	}
	return object;
}

/* Of the client's statements: the results from the second on. */
static void neo4j_steps_result(yyjson_val *results, size_t max_bytes, struct buf *out_json)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	size_t n = yyjson_arr_size(results), len = 0;
	yyjson_mut_val *last = doc != NULL ? neo4j_steps_rows(doc, yyjson_arr_get_last(results)) : NULL, *all;
	char *json;

	if (n > 2 && last != NULL) {
		all = yyjson_mut_obj_add_arr(doc, last, "results");
		for (size_t i = 1; i < n; i++)
			(void)yyjson_mut_arr_append(all, neo4j_steps_rows(doc, yyjson_arr_get(results, i)));
	}
	yyjson_mut_doc_set_root(doc, last);
	json = n > 1 && last != NULL ? yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len) : NULL;
	yyjson_mut_doc_free(doc);
	if (json == NULL || len > max_bytes) {
		free(json);
		return;
	}
	*out_json = (struct buf){.at = json, .len = len, .size_bytes = len + 1};
}

static void neo4j_steps_copy(yyjson_val *val, char *out_text, size_t size_bytes)
{
	(void)snprintf(out_text, size_bytes, "%s", yyjson_is_str(val) ? yyjson_get_str(val) : "");
}

/* A row [state, result, made]. */
static void neo4j_steps_node(yyjson_val *results, struct neo4j_steps_answer *out, struct buf *out_result)
{
	yyjson_val *row = yyjson_arr_get_first(yyjson_obj_get(yyjson_arr_get_first(results), "data"));
	yyjson_val *kept = neo4j_steps_cell(row, 1);

	neo4j_steps_copy(neo4j_steps_cell(row, 0), out->state, sizeof(out->state));
	out->is_made = yyjson_get_bool(neo4j_steps_cell(row, 2));
	if (yyjson_is_str(kept))
		buf_append(out_result, yyjson_get_str(kept), yyjson_get_len(kept));
}

static void neo4j_steps_constraints(yyjson_val *results, struct neo4j_steps_answer *out)
{
	yyjson_val *row;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(yyjson_arr_get_first(results), "data"), i, n, row)
	{
		const char *type = yyjson_get_str(neo4j_steps_cell(row, 0));
		yyjson_val *labels = neo4j_steps_cell(row, 1), *properties = neo4j_steps_cell(row, 2);

		if (type != NULL && strstr(type, "UNIQUENESS") != NULL && strstr(type, "RELATIONSHIP") == NULL &&
		    yyjson_arr_size(properties) == 1 && yyjson_equals_str(yyjson_arr_get_first(labels), "SagadStep") &&
		    yyjson_equals_str(yyjson_arr_get_first(properties), "key"))
			out->has_constraint = true;
	}
	row = yyjson_arr_get_first(yyjson_obj_get(yyjson_arr_get(results, 1), "data"));
	neo4j_steps_copy(neo4j_steps_cell(row, 1), out->version, sizeof(out->version));
}

/* "http://any.name:7474/db/neo4j/tx/7/commit": only its path is believed, and only of this form. */
static void neo4j_steps_commit_path(const char *url, char *out_path, size_t size_bytes)
{
	const char *at = url != NULL ? strstr(url, "/db/") : NULL;
	size_t len = at != NULL ? strlen(at) : 0;

	out_path[0] = '\0';
	if (at == NULL || len >= size_bytes || strstr(at, "/tx/") == NULL || len < 7 ||
	    strcmp(at + len - 7, "/commit") != 0)
		return;
	for (size_t i = 0; i < len; i++)
		if (!neo4j_steps_is_letter(at[i]) && strchr("/-.", at[i]) == NULL)
			return;
	if (strstr(at, "..") == NULL)
		memcpy(out_path, at, len + 1);
}

void neo4j_steps_codec_answer(enum neo4j_steps_kind kind, uint16_t status, struct str reply, size_t max_bytes,
			      struct neo4j_steps_answer *out_answer, struct buf *out_result)
{
	yyjson_doc *doc = reply.at != NULL ? yyjson_read(reply.at, reply.len, YYJSON_READ_NUMBER_AS_RAW) : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc), *errors = yyjson_obj_get(root, "errors");
	yyjson_val *results = yyjson_obj_get(root, "results");

	*out_answer = (struct neo4j_steps_answer){.verdict = VERDICT_OK};
	if (yyjson_is_arr(errors) && yyjson_arr_size(errors) > 0)
		neo4j_steps_error(yyjson_arr_get_first(errors), out_answer);
	else if (!yyjson_is_arr(errors) || !yyjson_is_arr(results) || status >= 300)
		neo4j_steps_status(status, out_answer);
	else
		out_answer->is_ok = true;
	if (out_answer->is_ok && kind == NEO4J_STEPS_CHECK)
		neo4j_steps_constraints(results, out_answer);
	else if (out_answer->is_ok && (kind == NEO4J_STEPS_LOOK || kind == NEO4J_STEPS_BLOCK))
		neo4j_steps_node(results, out_answer, out_result);
	else if (out_answer->is_ok && kind != NEO4J_STEPS_KEEP)
		neo4j_steps_result(results, max_bytes, out_result);
	if (out_answer->is_ok)
		neo4j_steps_commit_path(yyjson_get_str(yyjson_obj_get(root, "commit")), out_answer->commit,
					sizeof(out_answer->commit));
	yyjson_doc_free(doc);
}
