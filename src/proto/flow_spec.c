/* The whole of saga.run's parameters: options, the steps in turn, and one allocation of it all. */
#include "flow_spec_parts.h"

#include "base/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SPEC_KEY, SPEC_DEADLINE, SPEC_WAIT, SPEC_STEPS, SPEC_MEMBERS };
static const char *const spec_names[SPEC_MEMBERS] = {
	[SPEC_KEY] = "idempotency_key", [SPEC_DEADLINE] = "deadline_ms", [SPEC_WAIT] = "wait", [SPEC_STEPS] = "steps"};

static int spec_read_wait(struct reader *reader, struct member member, enum flow_wait *out_wait)
{
	if (member.val == NULL || yyjson_is_null(member.val) || yyjson_equals_str(member.val, "ended"))
		return 0;
	if (!yyjson_equals_str(member.val, "accepted"))
		return reader_fault_in(reader, "wait", CODE_INVALID_FIELD, "must be \"ended\" or \"accepted\"");
	*out_wait = FLOW_WAIT_ACCEPTED;
	return 0;
}

static int spec_read_options(struct flow_draft *draft, const struct member *members, struct flow_spec *made)
{
	struct reader *reader = draft->reader;
	int rc = reader_text(reader, members[SPEC_KEY], "idempotency_key", REQUEST_KEY_BYTES,
			     "the limit of an idempotency key", &made->key);

	if (rc == 0 && made->key.at != NULL && made->key.len == 0)
		return reader_fault_in(reader, "idempotency_key", CODE_INVALID_FIELD,
				       "must not be empty; leave it out when there is none");
	if (rc == 0)
		rc = reader_number(reader, members[SPEC_DEADLINE], "deadline_ms", 1, draft->limits->max_deadline_ms,
				   NULL, &made->deadline_ms);
	if (rc == 0)
		rc = spec_read_wait(reader, members[SPEC_WAIT], &made->wait);
	return rc;
}

static int spec_begin_steps(struct flow_draft *draft, yyjson_val *array)
{
	uint32_t max = draft->limits->max_steps;

	if (array == NULL)
		return reader_fault_in(draft->reader, "steps", CODE_MISSING_FIELD, "must be given, an array of steps");
	if (!yyjson_is_arr(array) || yyjson_arr_size(array) == 0)
		return reader_fault_in(draft->reader, "steps", CODE_INVALID_FIELD,
				       "must be an array with a step or more");
	if (yyjson_arr_size(array) > max)
		return reader_fault_in(draft->reader, "steps", CODE_LIMIT_EXCEEDED,
				       "has %zu steps; sagas.max_steps is %u", yyjson_arr_size(array), max);
	draft->n_steps = (uint32_t)yyjson_arr_size(array);
	draft->steps = reader_alloc(draft->reader, draft->n_steps, sizeof(*draft->steps));
	return draft->steps != NULL ? 0 : -ENOMEM;
}

static int spec_read_step_heads(struct flow_draft *draft, yyjson_val *array)
{
	yyjson_arr_iter iter;
	int rc = 0;

	reader_enter(draft->reader, str_of("steps"));
	yyjson_arr_iter_init(array, &iter);
	for (uint32_t i = 0; rc == 0 && i < draft->n_steps; i++) {
		reader_enter_index(draft->reader, i);
		rc = flow_step_read(draft, i, yyjson_arr_iter_next(&iter));
		if (rc == 0)
			reader_leave(draft->reader);
	}
	if (rc == 0)
		reader_leave(draft->reader);
	return rc;
}

static int spec_read_bodies_of(struct flow_draft *draft, uint32_t step)
{
	int rc = 0;

	reader_enter(draft->reader, str_of("steps"));
	reader_enter_index(draft->reader, step);
	for (unsigned body = 0; rc == 0 && body < FLOW_BODIES; body++) {
		yyjson_val *val = draft->steps[step].bodies[body].val;

		if (body == FLOW_BODY_DO || (val != NULL && !yyjson_is_null(val)))
			rc = flow_body_read(draft, step, (enum flow_body)body);
	}
	if (rc != 0)
		return rc;
	reader_leave(draft->reader);
	reader_leave(draft->reader);
	return 0;
}

static int spec_read_steps(struct flow_draft *draft, yyjson_val *array)
{
	int rc = spec_begin_steps(draft, array);

	if (rc == 0)
		rc = spec_read_step_heads(draft, array);
	if (rc == 0)
		rc = flow_graph_read(draft);
	if (rc == 0)
		rc = flow_graph_check_pivot(draft);
	for (uint32_t i = 0; rc == 0 && i < draft->n_steps; i++)
		rc = spec_read_bodies_of(draft, i);
	return rc;
}

static int spec_hash(struct reader *reader, yyjson_val *array, uint8_t out_hash[32])
{
	struct digest digest;
	size_t len;
	char *text = yyjson_val_write(array, YYJSON_WRITE_NOFLAG, &len);

	if (text == NULL) /* what was read and checked can be written; only memory can be missing */
		return reader_no_memory(reader);
	digest_init(&digest);
	digest_add(&digest, (struct str){text, len});
	digest_finish(&digest, out_hash);
	free(text);
	return 0;
}

/* A refusal names the step beside its place, for a list of steps is read by names. */
static void spec_name_step(const struct flow_draft *draft, struct request_fault *fault)
{
	const struct reader *reader = draft->reader;
	struct str name;

	if (fault->code == CODE_INTERNAL || reader->n_steps < 2 || reader->steps[1].name.at != NULL ||
	    !str_is_equal(reader->steps[0].name, str_of("steps")) || reader->steps[1].index >= draft->n_steps)
		return;
	name = draft->steps[reader->steps[1].index].made.name;
	if (name.at != NULL)
		err_prefix(&fault->err, "step '%.*s': ", STR_ARG(name));
}

static struct str spec_keep(char **at, struct str text)
{
	char *place = *at;

	if (text.at == NULL)
		return STR_NONE;
	memcpy(place, text.at, text.len);
	place[text.len] = '\0';
	*at += text.len + 1;
	return (struct str){place, text.len};
}

static struct flow_spec *spec_pack(const struct flow_draft *draft, const struct flow_spec *head)
{
	size_t n_bytes = sizeof(*head) + draft->n_steps * sizeof(head->steps[0]) + draft->json.len + head->key.len + 2;
	struct flow_spec *made;
	char *at;

	for (uint32_t i = 0; i < draft->n_steps; i++)
		n_bytes += draft->steps[i].made.name.len + draft->steps[i].made.target.len + 2;
	made = malloc(n_bytes);
	if (made == NULL)
		return NULL;
	*made = *head;
	made->n_steps = draft->n_steps;
	at = (char *)&made->steps[draft->n_steps];
	made->json = spec_keep(&at, draft->json);
	made->key = spec_keep(&at, head->key);
	for (uint32_t i = 0; i < draft->n_steps; i++) {
		made->steps[i] = draft->steps[i].made;
		made->steps[i].name = spec_keep(&at, draft->steps[i].made.name);
		made->steps[i].target = spec_keep(&at, draft->steps[i].made.target);
	}
	return made;
}

static int spec_read(struct flow_draft *draft, struct flow_spec **out_spec)
{
	yyjson_val *root = yyjson_doc_get_root(draft->reader->doc);
	struct member members[SPEC_MEMBERS];
	struct flow_spec head = {0};
	int rc = reader_members(draft->reader, root, "saga.run", spec_names, SPEC_MEMBERS, members);

	if (rc == 0)
		rc = spec_read_options(draft, members, &head);
	if (rc == 0)
		rc = spec_read_steps(draft, members[SPEC_STEPS].val);
	if (rc == 0)
		rc = spec_hash(draft->reader, members[SPEC_STEPS].val, head.hash);
	if (rc != 0)
		return rc;
	*out_spec = spec_pack(draft, &head);
	return *out_spec != NULL ? 0 : reader_no_memory(draft->reader);
}

int flow_spec_parse(struct str json, const struct flow_limits *limits, struct flow_spec **out_spec,
		    struct request_fault *out_fault)
{
	struct reader reader;
	struct flow_draft draft = {.reader = &reader, .limits = limits, .json = json};
	int rc;

	MUST(limits->max_steps >= 1 && limits->max_steps <= FLOW_SPEC_STEPS_MAX);
	*out_fault = (struct request_fault){.id_json = "null"};
	if (json.len > limits->max_bytes || json.len >= UINT32_MAX) {
		out_fault->code = CODE_LIMIT_EXCEEDED;
		return err_set(&out_fault->err, -EINVAL, "the saga has %zu bytes; sagas.max_bytes is %zu", json.len,
			       limits->max_bytes);
	}
	rc = reader_open(&reader, json, &limits->documents, out_fault);
	if (rc == 0)
		rc = spec_read(&draft, out_spec);
	if (rc == -EINVAL)
		spec_name_step(&draft, out_fault);
	reader_close(&reader);
	return rc;
}
