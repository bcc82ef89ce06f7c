/* A step's own members. */
#include "flow_spec_parts.h"

#include "nearest.h"

#include <string.h>

#define RETRY_MS_MAX 86400000u /* a day */

enum {
	STEP_NAME,
	STEP_STORE,
	STEP_SERVICE,
	STEP_DO,
	STEP_UNDO,
	STEP_CHECK,
	STEP_AFTER,
	STEP_RETRY,
	STEP_TIMEOUT,
	STEP_OPTIONAL,
	STEP_PIVOT,
	STEP_IDEMPOTENT,
	STEP_MEMBERS
};
static const char *const step_names[STEP_MEMBERS] = {
	[STEP_NAME] = "name",          [STEP_STORE] = "store",
	[STEP_SERVICE] = "service",    [STEP_DO] = "do",
	[STEP_UNDO] = "undo",          [STEP_CHECK] = "check",
	[STEP_AFTER] = "after",        [STEP_RETRY] = "retry",
	[STEP_TIMEOUT] = "timeout_ms", [STEP_OPTIONAL] = "optional",
	[STEP_PIVOT] = "pivot",        [STEP_IDEMPOTENT] = "idempotent",
};

/* By enum flow_place. A service is none of the stores. */
static const char *const place_words[FLOW_PLACES] = {
	[FLOW_AT_POSTGRESQL] = "postgresql", [FLOW_AT_REDIS] = "redis", [FLOW_AT_NEO4J] = "neo4j",
	[FLOW_AT_QDRANT] = "qdrant",         [FLOW_AT_SERVICE] = "",    [FLOW_AT_DOCUMENTS] = "documents",
};

static bool step_is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '.';
}

static int step_read_name(struct flow_draft *draft, uint32_t step, struct member member)
{
	struct str name = STR_NONE;
	int rc = reader_needed_text(draft->reader, member, "name", FLOW_STEP_NAME_BYTES, "the limit of a step's name",
				    &name);

	for (size_t i = 0; rc == 0 && i < name.len; i++)
		if (!step_is_name_char(name.at[i]))
			return reader_fault_in(draft->reader, "name", CODE_INVALID_FIELD,
					       "may have letters, digits, '_', '-' and '.' only");
	for (uint32_t i = 0; rc == 0 && i < step; i++)
		if (str_is_equal(draft->steps[i].made.name, name))
			return reader_fault_in(draft->reader, "name", CODE_INVALID_FIELD,
					       "is the name of steps[%u] as well; each step needs one of its own", i);
	draft->steps[step].made.name = name;
	return rc;
}

static int step_read_store(struct flow_draft *draft, struct flow_spec_step *made, struct member member)
{
	struct str name = STR_NONE;
	const char *nearest;
	int rc = reader_needed_text(draft->reader, member, "store", FLOW_STEP_NAME_BYTES,
				    "the length of a store's name", &name);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < FLOW_PLACES; i++)
		if (str_is_equal(name, str_of(place_words[i]))) {
			made->place = (enum flow_place)i;
			made->target = name;
			return 0;
		}
	nearest = nearest_name(name, place_words, FLOW_PLACES);
	return reader_fault_in(draft->reader, "store", CODE_INVALID_FIELD,
			       "there is no store '%.63s'%s%s%s; postgresql, redis, neo4j, qdrant and documents are "
			       "known, and each service under `service`",
			       name.at, nearest != NULL ? ", did you mean '" : "", nearest != NULL ? nearest : "",
			       nearest != NULL ? "'?" : "");
}

static int step_read_service(struct flow_draft *draft, struct flow_spec_step *made, struct member member)
{
	const struct flow_limits *limits = draft->limits;
	struct str name = STR_NONE;
	int rc = reader_needed_text(draft->reader, member, "service", FLOW_STEP_NAME_BYTES,
				    "the length of a service's name", &name);

	if (rc != 0)
		return rc;
	if (limits->has_service == NULL || !limits->has_service(limits->arg, name))
		return reader_fault_in(draft->reader, "service", CODE_INVALID_FIELD,
				       "there is no service '%.63s' in the configuration (section sagas, services); a "
				       "URL can't be given here",
				       name.at);
	made->place = FLOW_AT_SERVICE;
	made->target = name;
	return 0;
}

static int step_read_target(struct flow_draft *draft, struct flow_spec_step *made, const struct member *members)
{
	if (members[STEP_STORE].val != NULL && members[STEP_SERVICE].val != NULL)
		return reader_fault_in(draft->reader, "service", CODE_INVALID_FIELD,
				       "a step has a `store` or a `service`, not both");
	if (members[STEP_SERVICE].val != NULL)
		return step_read_service(draft, made, members[STEP_SERVICE]);
	if (members[STEP_STORE].val == NULL)
		return reader_fault_in(draft->reader, "store", CODE_MISSING_FIELD,
				       "must be given, or `service`: where the step runs");
	return step_read_store(draft, made, members[STEP_STORE]);
}

static int step_read_retry(struct flow_draft *draft, struct flow_spec_step *made, struct member member)
{
	static const char *const names[] = {"max", "base_ms", "cap_ms"};
	struct reader *reader = draft->reader;
	struct member members[ARRAY_LEN(names)];
	uint64_t max = 0;
	int rc;

	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	reader_enter(reader, str_of("retry"));
	rc = reader_members(reader, member.val, "a retry", names, ARRAY_LEN(names), members);
	if (rc == 0)
		rc = reader_number(reader, members[0], names[0], 1, draft->limits->max_tries, NULL, &max);
	if (rc == 0)
		rc = reader_number(reader, members[1], names[1], 1, RETRY_MS_MAX, NULL, &made->base_ms);
	if (rc == 0)
		rc = reader_number(reader, members[2], names[2], 1, RETRY_MS_MAX, NULL, &made->cap_ms);
	if (rc != 0)
		return rc;
	if (made->base_ms != 0 && made->cap_ms != 0 && made->cap_ms < made->base_ms)
		return reader_fault_in(reader, "cap_ms", CODE_INVALID_FIELD, "must not be less than base_ms");
	made->max_tries = (uint32_t)max;
	made->has_retry = true;
	reader_leave(reader);
	return 0;
}

static int step_read_flags(struct flow_draft *draft, struct flow_spec_step *made, const struct member *members)
{
	struct reader *reader = draft->reader;
	int rc = reader_bool(reader, members[STEP_OPTIONAL], "optional", NULL, &made->is_optional);

	if (rc == 0)
		rc = reader_bool(reader, members[STEP_PIVOT], "pivot", NULL, &made->is_pivot);
	if (rc == 0)
		rc = reader_bool(reader, members[STEP_IDEMPOTENT], "idempotent", NULL, &made->is_idempotent);
	if (rc == 0)
		rc = reader_number(reader, members[STEP_TIMEOUT], "timeout_ms", 1, draft->limits->max_timeout_ms, NULL,
				   &made->timeout_ms);
	if (rc == 0 && made->is_pivot && made->is_optional)
		return reader_fault_in(reader, "optional", CODE_INVALID_FIELD,
				       "the pivot decides the saga; it can't be optional");
	return rc;
}

/* Which of them are there; what is in them comes when the graph is known. */
static int step_note_bodies(struct flow_draft *draft, struct flow_draft_step *it, const struct member *members)
{
	struct flow_spec_step *made = &it->made;

	if (members[STEP_DO].val == NULL)
		return reader_fault_in(draft->reader, "do", CODE_MISSING_FIELD, "must be given: what the step does");
	if (members[STEP_CHECK].val != NULL && made->place != FLOW_AT_SERVICE)
		return reader_fault_in(draft->reader, "check", CODE_INVALID_FIELD,
				       "is for services; what a store has done its barrier tells, or `idempotent`");
	it->bodies[FLOW_BODY_DO] = members[STEP_DO];
	it->bodies[FLOW_BODY_UNDO] = members[STEP_UNDO];
	it->bodies[FLOW_BODY_CHECK] = members[STEP_CHECK];
	made->has_undo = members[STEP_UNDO].val != NULL && !yyjson_is_null(members[STEP_UNDO].val);
	made->has_check = members[STEP_CHECK].val != NULL && !yyjson_is_null(members[STEP_CHECK].val);
	return 0;
}

int flow_step_read(struct flow_draft *draft, uint32_t step, yyjson_val *object)
{
	struct flow_draft_step *it = &draft->steps[step];
	struct member members[STEP_MEMBERS];
	int rc = reader_members(draft->reader, object, "a step", step_names, STEP_MEMBERS, members);

	if (rc == 0)
		rc = step_read_name(draft, step, members[STEP_NAME]);
	if (rc == 0)
		rc = step_read_target(draft, &it->made, members);
	if (rc == 0)
		rc = step_read_retry(draft, &it->made, members[STEP_RETRY]);
	if (rc == 0)
		rc = step_read_flags(draft, &it->made, members);
	if (rc == 0)
		rc = step_note_bodies(draft, it, members);
	it->after = members[STEP_AFTER];
	return rc;
}
