/* The do, undo and check objects, place by place. */
#include "flow_spec_parts.h"

#include <errno.h>
#include <stdio.h>

#define STATEMENTS_MAX    100
#define PARAMS_MAX        65535 /* PostgreSQL's protocol counts them in 16 bits */
#define COMMANDS_MAX      1000
#define COMMAND_WORDS_MAX 10000

static const char *const body_words[FLOW_BODIES] = {"do", "undo", "check"};

static int body_read_sql(struct flow_place_of *place, const struct member *sql, const struct member *params)
{
	struct reader *reader = place->draft->reader;
	struct str text = STR_NONE;
	int rc = reader_needed_text(reader, *sql, "sql", place->draft->limits->max_bytes, "sagas.max_bytes", &text);

	if (rc != 0 || params->val == NULL)
		return rc;
	reader_enter(reader, str_of("params"));
	if (!yyjson_is_arr(params->val) || yyjson_arr_size(params->val) > PARAMS_MAX)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array of at most %d values, $1 first",
				    PARAMS_MAX);
	rc = flow_value_read(place, params->val, 1);
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

/* Each object of an array, by `read`; the array stands under `name`. */
static int body_read_statements(struct flow_place_of *place, struct member member,
				int (*read)(struct flow_place_of *place, yyjson_val *object))
{
	struct reader *reader = place->draft->reader;
	yyjson_arr_iter iter;
	yyjson_val *val;
	int rc = 0;

	if (member.val == NULL)
		return reader_fault_in(reader, "statements", CODE_MISSING_FIELD,
				       "must be given, an array of statements");
	reader_enter(reader, str_of("statements"));
	if (!yyjson_is_arr(member.val) || yyjson_arr_size(member.val) == 0)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array with a statement or more");
	if (yyjson_arr_size(member.val) > STATEMENTS_MAX)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu statements; one step may have %d",
				    yyjson_arr_size(member.val), STATEMENTS_MAX);
	yyjson_arr_iter_init(member.val, &iter);
	for (size_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = read(place, val);
		if (rc == 0)
			reader_leave(reader);
	}
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int body_read_sql_object(struct flow_place_of *place, yyjson_val *object)
{
	static const char *const names[] = {"sql", "params"};
	struct member members[ARRAY_LEN(names)];
	int rc = reader_members(place->draft->reader, object, "a statement", names, ARRAY_LEN(names), members);

	return rc == 0 ? body_read_sql(place, &members[0], &members[1]) : rc;
}

static int body_read_postgresql(struct flow_place_of *place, yyjson_val *object)
{
	static const char *const names[] = {"sql", "params", "statements"};
	struct member members[ARRAY_LEN(names)];
	struct reader *reader = place->draft->reader;
	int rc = reader_members(reader, object, "a step on postgresql", names, ARRAY_LEN(names), members);

	if (rc != 0)
		return rc;
	if (members[2].val == NULL)
		return body_read_sql(place, &members[0], &members[1]);
	if (members[0].val != NULL || members[1].val != NULL)
		return reader_fault(reader, CODE_INVALID_FIELD, "takes `sql` and `params`, or `statements`, not both");
	return body_read_statements(place, members[2], body_read_sql_object);
}

static int body_read_word(struct flow_place_of *place, yyjson_val *word, bool is_first)
{
	struct reader *reader = place->draft->reader;

	if (is_first && (!yyjson_is_str(word) || yyjson_get_len(word) == 0))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be the command's name, a string");
	if (yyjson_is_str(word) || yyjson_is_num(word) || yyjson_is_raw(word) || flow_value_is_reference(word))
		return flow_value_read(place, word, 1);
	return reader_fault(reader, CODE_INVALID_FIELD, "must be a string, a number or a reference, not %s",
			    reader_kind(word));
}

static int body_read_command(struct flow_place_of *place, yyjson_val *command)
{
	struct reader *reader = place->draft->reader;
	yyjson_arr_iter iter;
	yyjson_val *word;
	int rc = 0;

	if (!yyjson_is_arr(command) || yyjson_arr_size(command) == 0)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array like [\"SET\", \"key\", \"value\"]");
	if (yyjson_arr_size(command) > COMMAND_WORDS_MAX)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu words; a command may have %d",
				    yyjson_arr_size(command), COMMAND_WORDS_MAX);
	yyjson_arr_iter_init(command, &iter);
	for (size_t i = 0; rc == 0 && (word = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = body_read_word(place, word, i == 0);
		if (rc == 0)
			reader_leave(reader);
	}
	return rc;
}

static int body_read_redis(struct flow_place_of *place, yyjson_val *object)
{
	static const char *const names[] = {"commands"};
	struct reader *reader = place->draft->reader;
	struct member members[1];
	yyjson_arr_iter iter;
	yyjson_val *val;
	int rc = reader_members(reader, object, "a step on redis", names, 1, members);

	if (rc != 0)
		return rc;
	if (members[0].val == NULL)
		return reader_fault_in(reader, "commands", CODE_MISSING_FIELD, "must be given, an array of commands");
	reader_enter(reader, str_of("commands"));
	if (!yyjson_is_arr(members[0].val) || yyjson_arr_size(members[0].val) == 0)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array with a command or more");
	if (yyjson_arr_size(members[0].val) > COMMANDS_MAX)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu commands; one step may have %d",
				    yyjson_arr_size(members[0].val), COMMANDS_MAX);
	yyjson_arr_iter_init(members[0].val, &iter);
	for (size_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = body_read_command(place, val);
		if (rc == 0)
			reader_leave(reader);
	}
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int body_read_cypher_object(struct flow_place_of *place, yyjson_val *object)
{
	static const char *const names[] = {"statement", "parameters"};
	struct member members[ARRAY_LEN(names)];
	struct reader *reader = place->draft->reader;
	struct str text = STR_NONE;
	int rc = reader_members(reader, object, "a statement", names, ARRAY_LEN(names), members);

	if (rc == 0)
		rc = reader_needed_text(reader, members[0], "statement", place->draft->limits->max_bytes,
					"sagas.max_bytes", &text);
	if (rc != 0 || members[1].val == NULL)
		return rc;
	reader_enter(reader, str_of("parameters"));
	if (!yyjson_is_obj(members[1].val) || flow_value_is_reference(members[1].val))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an object with a value for each $name");
	rc = flow_value_read(place, members[1].val, 1);
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int body_read_neo4j(struct flow_place_of *place, yyjson_val *object)
{
	static const char *const names[] = {"statements"};
	struct member members[1];
	int rc = reader_members(place->draft->reader, object, "a step on neo4j", names, 1, members);

	return rc == 0 ? body_read_statements(place, members[0], body_read_cypher_object) : rc;
}

static struct str body_span(const struct flow_place_of *place)
{
	const struct flow_span *span = &place->draft->steps[place->step].made.bodies[place->body];

	return (struct str){place->draft->json.at + span->at, span->n_bytes};
}

/* The bytes of an object that begins at `at` of valid JSON. */
static size_t body_object_bytes(struct str json, size_t at)
{
	size_t i = at, depth = 0;
	bool is_text = false;

	do {
		char c = json.at[i];

		if (is_text && c == '\\')
			i++;
		else if (c == '"')
			is_text = !is_text;
		else if (!is_text && (c == '{' || c == '['))
			depth++;
		else if (!is_text && (c == '}' || c == ']'))
			depth--;
		i++;
		MUST(i <= json.len);
	} while (depth > 0);
	return i - at;
}

/* What the step itself says for its document. */
static int body_check_options(struct reader *reader, yyjson_val *params)
{
	static const char *const own[] = {"idempotency_key", "deadline_ms", "wait"};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (yyjson_obj_get(params, own[i]) != NULL)
			return reader_fault_in(
				reader, own[i], CODE_INVALID_FIELD,
				"is no option of a document that is a step: the saga says it; leave it out");
	return 0;
}

/* Without references it can be checked whole now; otherwise when it is sent. */
static int body_check_document(struct flow_place_of *place, struct member params, bool is_delete)
{
	struct reader *reader = place->draft->reader;
	struct str json = body_span(place);
	size_t begin = reader_find_after_key(reader, params.key, '{');
	struct request_fault fault;
	struct request *request;
	size_t used;
	int rc;

	MUST(begin >= (size_t)(json.at - place->draft->json.at));
	json = (struct str){place->draft->json.at + begin, body_object_bytes(place->draft->json, begin)};
	rc = request_parse_job(json, is_delete, &place->draft->limits->documents, &request, &fault);
	if (rc == 0) {
		request_destroy(request);
		return 0;
	}
	if (rc == -ENOMEM)
		return reader_no_memory(reader);
	rc = reader_fault(reader, fault.code, "%s", fault.err.text);
	used = strlen(reader->fault->path);
	(void)snprintf(reader->fault->path + used, sizeof(reader->fault->path) - used, "%s%s",
		       fault.path[0] != '\0' ? "." : "", fault.path); /* cut on purpose */
	return rc;
}

static int body_read_documents(struct flow_place_of *place, yyjson_val *object)
{
	static const char *const names[] = {"method", "params"};
	struct reader *reader = place->draft->reader;
	struct member members[ARRAY_LEN(names)];
	int rc = reader_members(reader, object, "a step on documents", names, ARRAY_LEN(names), members);
	bool is_delete = rc == 0 && yyjson_equals_str(members[0].val, "document.delete");

	if (rc != 0)
		return rc;
	if (!is_delete && !yyjson_equals_str(members[0].val, "document.put"))
		return reader_fault_in(reader, "method",
				       members[0].val == NULL ? CODE_MISSING_FIELD : CODE_INVALID_FIELD,
				       "must be \"document.put\" or \"document.delete\"");
	if (members[1].val == NULL)
		return reader_fault_in(reader, "params", CODE_MISSING_FIELD, "must be given, the document");
	reader_enter(reader, str_of("params"));
	if (!yyjson_is_obj(members[1].val) || flow_value_is_reference(members[1].val))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an object with the fields of %s",
				    is_delete ? "document.delete" : "document.put");
	rc = body_check_options(reader, members[1].val);
	if (rc == 0)
		rc = flow_value_read(place, members[1].val, 1);
	if (rc == 0 && place->n_references == 0)
		rc = body_check_document(place, members[1], is_delete);
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int body_read_at(struct flow_place_of *place, yyjson_val *object)
{
	switch (place->draft->steps[place->step].made.place) {
	case FLOW_AT_POSTGRESQL:
		return body_read_postgresql(place, object);
	case FLOW_AT_REDIS:
		return body_read_redis(place, object);
	case FLOW_AT_NEO4J:
		return body_read_neo4j(place, object);
	case FLOW_AT_QDRANT:
		return flow_http_read(place, object, true);
	case FLOW_AT_SERVICE:
		return flow_http_read(place, object, false);
	case FLOW_AT_DOCUMENTS:
		return body_read_documents(place, object);
	case FLOW_PLACES:
		break;
	}
	MUST(!"a place that is none");
	return -EINVAL;
}

int flow_body_read(struct flow_draft *draft, uint32_t step, enum flow_body body)
{
	struct flow_place_of place = {draft, step, body, 0};
	struct flow_draft_step *it = &draft->steps[step];
	struct member member = it->bodies[body];
	size_t at;
	int rc;

	reader_enter(draft->reader, str_of(body_words[body]));
	if (!yyjson_is_obj(member.val))
		return reader_fault(draft->reader, CODE_INVALID_FIELD, "must be an object, not %s",
				    reader_kind(member.val));
	at = reader_find_after_key(draft->reader, member.key, '{');
	it->made.bodies[body] = (struct flow_span){(uint32_t)at, (uint32_t)body_object_bytes(draft->json, at)};
	rc = body_read_at(&place, member.val);
	if (rc == 0)
		reader_leave(draft->reader);
	return rc;
}
