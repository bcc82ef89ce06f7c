/* Values that may hold references, and the references. */
#include "flow_spec_parts.h"

#include <math.h>
#include <stdlib.h>

#define POINTER_BYTES 512

enum { REF_FROM, REF_POINTER, REF_DEFAULT, REF_MEMBERS };
static const char *const reference_names[REF_MEMBERS] = {
	[REF_FROM] = "$from", [REF_POINTER] = "pointer", [REF_DEFAULT] = "default"};

bool flow_value_is_reference(yyjson_val *val)
{
	return yyjson_is_obj(val) && yyjson_obj_get(val, "$from") != NULL;
}

/* The step of that name, or n_steps. */
static uint32_t value_find_step(const struct flow_draft *draft, struct str name)
{
	uint32_t i = 0;

	while (i < draft->n_steps && !str_is_equal(draft->steps[i].made.name, name))
		i++;
	return i;
}

/* Is there a result of `other` when this body is sent? */
static int value_check_from(struct flow_place_of *place, uint32_t other)
{
	struct flow_draft *draft = place->draft;
	const struct flow_draft_step *step = &draft->steps[place->step];

	if (step->ancestors >> other & 1)
		return 0;
	if (other != place->step)
		return reader_fault_in(draft->reader, "$from", CODE_INVALID_FIELD,
				       "'%.63s' does not come before this step, so there can't be a result of it yet; "
				       "name it in `after`",
				       draft->steps[other].made.name.at);
	if (place->body == FLOW_BODY_UNDO)
		return 0;
	return reader_fault_in(draft->reader, "$from", CODE_INVALID_FIELD,
			       "is this step itself, whose result can't exist yet; only its undo may use it");
}

/* RFC 6901: empty, or parts that each begin with '/'; a '~' is followed by 0 or 1. */
static bool value_is_pointer(struct str pointer)
{
	if (pointer.len > 0 && pointer.at[0] != '/')
		return false;
	for (size_t i = 0; i < pointer.len; i++)
		if (pointer.at[i] == '~' && (i + 1 == pointer.len || (pointer.at[i + 1] & ~1) != '0'))
			return false;
	return true;
}

static int value_read_pointer(struct reader *reader, struct member member)
{
	struct str pointer = STR_NONE;
	int rc = reader_text(reader, member, "pointer", POINTER_BYTES, "the limit of a pointer", &pointer);

	if (rc == 0 && !value_is_pointer(pointer))
		return reader_fault_in(
			reader, "pointer", CODE_INVALID_FIELD,
			"must be a JSON pointer like \"/rows/0/id\" (RFC 6901), or \"\" for the whole result");
	return rc;
}

/* A default is a plain value: what stands in for a result needs no result. */
static int value_read_default(struct flow_place_of *place, struct member member, uint32_t depth)
{
	struct reader *reader = place->draft->reader;
	uint32_t before = place->n_references;
	int rc;

	if (member.val == NULL)
		return 0;
	reader_enter(reader, str_of("default"));
	rc = flow_value_read(place, member.val, depth);
	if (rc == 0 && place->n_references != before)
		return reader_fault(reader, CODE_INVALID_FIELD, "must not be, or hold, a reference of its own");
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int value_reference(struct flow_place_of *place, yyjson_val *val, uint32_t depth)
{
	struct flow_draft *draft = place->draft;
	struct member members[REF_MEMBERS];
	struct str name = STR_NONE;
	uint32_t other = draft->n_steps;
	int rc = reader_members(draft->reader, val, "a reference", reference_names, REF_MEMBERS, members);

	if (rc == 0)
		rc = reader_needed_text(draft->reader, members[REF_FROM], "$from", FLOW_STEP_NAME_BYTES,
					"the limit of a step's name", &name);
	if (rc == 0 && (other = value_find_step(draft, name)) == draft->n_steps)
		return reader_fault_in(draft->reader, "$from", CODE_INVALID_FIELD, "there is no step '%.63s'", name.at);
	if (rc == 0)
		rc = value_check_from(place, other);
	if (rc == 0)
		rc = value_read_pointer(draft->reader, members[REF_POINTER]);
	if (rc == 0)
		rc = value_read_default(place, members[REF_DEFAULT], depth);
	if (rc == 0 && ++place->n_references > FLOW_REFERENCES_MAX)
		return reader_fault(draft->reader, CODE_LIMIT_EXCEEDED, "is one reference too many; a %s may have %d",
				    place->body == FLOW_BODY_DO ? "do" : "undo or check", FLOW_REFERENCES_MAX);
	if (rc == 0) {
		draft->steps[other].made.is_referenced = true;
		draft->steps[place->step].made.references |= (uint8_t)(1u << place->body);
	}
	return rc;
}

int flow_value_read_reference(struct flow_place_of *place, yyjson_val *val)
{
	return value_reference(place, val, 1);
}

static int value_array(struct flow_place_of *place, yyjson_val *array, uint32_t depth)
{
	struct reader *reader = place->draft->reader;
	yyjson_arr_iter iter;
	yyjson_val *val;
	int rc = 0;

	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = flow_value_read(place, val, depth);
		if (rc == 0)
			reader_leave(reader);
	}
	return rc;
}

static int value_object(struct flow_place_of *place, yyjson_val *object, uint32_t depth)
{
	struct reader *reader = place->draft->reader;
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	yyjson_obj_iter_init(object, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)) != NULL) {
		reader_enter(reader, (struct str){yyjson_get_str(key), yyjson_get_len(key)});
		rc = flow_value_read(place, yyjson_obj_iter_get_val(key), depth);
		if (rc == 0)
			reader_leave(reader);
	}
	return rc;
}

/* What yyjson let through so that it can be refused here, with its place. */
static int value_number(struct reader *reader, yyjson_val *val)
{
	double value = yyjson_is_raw(val) ? strtod(yyjson_get_raw(val), NULL) : yyjson_get_num(val);

	if (isfinite(value))
		return 0;
	return reader_fault(reader, CODE_INVALID_FIELD,
			    "is no number in JSON (NaN, infinite, or beyond 1.8e308); use a string");
}

int flow_value_read(struct flow_place_of *place, yyjson_val *val, uint32_t depth)
{
	struct reader *reader = place->draft->reader;

	if (yyjson_is_num(val) || yyjson_is_raw(val))
		return value_number(reader, val);
	if (!yyjson_is_ctn(val))
		return 0;
	if (depth >= FLOW_VALUE_DEPTH_MAX)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "is nested deeper than %d levels",
				    FLOW_VALUE_DEPTH_MAX);
	if (flow_value_is_reference(val))
		return value_reference(place, val, depth + 1);
	return yyjson_is_obj(val) ? value_object(place, val, depth + 1) : value_array(place, val, depth + 1);
}
