/* Who comes before whom. */
#include "flow_spec_parts.h"

static uint64_t graph_bit(uint32_t step)
{
	return (uint64_t)1 << step;
}

static int graph_read_name(struct flow_draft *draft, uint32_t step, yyjson_val *val)
{
	struct str name = {yyjson_get_str(val), yyjson_get_len(val)};

	if (name.at == NULL)
		return reader_fault(draft->reader, CODE_INVALID_FIELD, "must be a step's name, not %s",
				    reader_kind(val));
	for (uint32_t i = 0; i < draft->n_steps; i++)
		if (str_is_equal(draft->steps[i].made.name, name)) {
			draft->steps[step].made.after |= graph_bit(i);
			return 0;
		}
	return reader_fault(draft->reader, CODE_INVALID_FIELD, "there is no step '%.63s'", name.at);
}

static int graph_read_after(struct flow_draft *draft, uint32_t step)
{
	yyjson_val *array = draft->steps[step].after.val, *val;
	struct reader *reader = draft->reader;
	yyjson_arr_iter iter;
	int rc = 0;

	if (array == NULL || yyjson_is_null(array)) {
		draft->steps[step].made.after = step > 0 ? graph_bit(step - 1) : 0;
		return 0;
	}
	reader_enter(reader, str_of("after"));
	if (!yyjson_is_arr(array) || yyjson_arr_size(array) > FLOW_SPEC_STEPS_MAX)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array of steps' names; [] for none");
	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = graph_read_name(draft, step, val);
		if (rc == 0)
			reader_leave(reader);
	}
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

/* Names a step that waits for itself: from any that is left, each step back leads to one that is left, and so into a
 * cycle. */
static int graph_fault_cycle(struct flow_draft *draft, uint64_t left)
{
	uint32_t at = (uint32_t)__builtin_ctzll(left);
	uint32_t before;

	for (uint32_t i = 0; i < draft->n_steps; i++)
		at = (uint32_t)__builtin_ctzll(draft->steps[at].made.after & left);
	before = (uint32_t)__builtin_ctzll(draft->steps[at].made.after & left);
	reader_enter(draft->reader, str_of("steps"));
	reader_enter_index(draft->reader, at);
	return reader_fault_in(draft->reader, "after", CODE_INVALID_FIELD,
			       "is a cycle: '%.63s' comes after '%.63s', and '%.63s', by way of others or not, after "
			       "'%.63s'",
			       draft->steps[at].made.name.at, draft->steps[before].made.name.at,
			       draft->steps[before].made.name.at, draft->steps[at].made.name.at);
}

/* Takes away, round by round, what waits for nothing that is left. The number of rounds is the depth. */
static int graph_sort(struct flow_draft *draft, uint32_t *out_depth)
{
	uint64_t left = draft->n_steps == 64 ? UINT64_MAX : graph_bit(draft->n_steps) - 1;
	uint32_t depth = 0;

	for (; left != 0; depth++) {
		uint64_t taken = 0;

		for (uint32_t i = 0; i < draft->n_steps; i++) {
			struct flow_draft_step *it = &draft->steps[i];

			if (!(left & graph_bit(i)) || (it->made.after & left) != 0)
				continue;
			taken |= graph_bit(i);
			it->ancestors = it->made.after;
			for (uint64_t rest = it->made.after; rest != 0; rest &= rest - 1)
				it->ancestors |= draft->steps[__builtin_ctzll(rest)].ancestors;
		}
		if (taken == 0)
			return graph_fault_cycle(draft, left);
		left &= ~taken;
	}
	*out_depth = depth;
	return 0;
}

int flow_graph_read(struct flow_draft *draft)
{
	uint32_t depth = 0;
	int rc = 0;

	reader_enter(draft->reader, str_of("steps"));
	for (uint32_t i = 0; rc == 0 && i < draft->n_steps; i++) {
		reader_enter_index(draft->reader, i);
		rc = graph_read_after(draft, i);
		if (rc == 0)
			reader_leave(draft->reader);
	}
	if (rc != 0)
		return rc;
	reader_leave(draft->reader);
	rc = graph_sort(draft, &depth);
	if (rc == 0 && depth > draft->limits->max_depth)
		return reader_fault_in(draft->reader, "steps", CODE_LIMIT_EXCEEDED,
				       "has %u steps one after the other; sagas.max_depth is %u", depth,
				       draft->limits->max_depth);
	return rc;
}

/* In doubt its do may be sent again: a barrier, the ledger, a check or the client's word makes it run once. */
static bool graph_is_repeatable(const struct flow_spec_step *step)
{
	return step->is_idempotent || step->has_check || step->place == FLOW_AT_POSTGRESQL ||
	       step->place == FLOW_AT_REDIS || step->place == FLOW_AT_NEO4J || step->place == FLOW_AT_DOCUMENTS;
}

static int graph_check_undo(struct reader *reader, const struct flow_draft_step *it, bool is_after_pivot)
{
	if (is_after_pivot && it->made.has_undo)
		return reader_fault_in(
			reader, "undo", CODE_INVALID_FIELD,
			"comes after the pivot, from where the saga only goes forward; leave the undo out");
	if (!is_after_pivot && !it->made.is_pivot && it->bodies[FLOW_BODY_UNDO].val == NULL)
		return reader_fault_in(
			reader, "undo", CODE_MISSING_FIELD,
			"must be given, as a later failure undoes the step; \"undo\": null says that what "
			"it did may stay");
	if ((is_after_pivot || (it->made.is_pivot && !it->made.has_undo)) && !graph_is_repeatable(&it->made))
		return reader_fault_in(reader, "idempotent", CODE_MISSING_FIELD,
				       "must be true, or a `check` be given: without an undo the do is sent until it "
				       "succeeds, and '%.63s' can't tell a repeated one",
				       it->made.target.at);
	return 0;
}

static int graph_find_pivot(struct flow_draft *draft, uint32_t *out_pivot)
{
	uint32_t pivot = draft->n_steps;

	for (uint32_t i = 0; i < draft->n_steps; i++) {
		if (!draft->steps[i].made.is_pivot)
			continue;
		if (pivot != draft->n_steps) {
			reader_enter_index(draft->reader, i);
			return reader_fault_in(draft->reader, "pivot", CODE_INVALID_FIELD,
					       "'%.63s' is the pivot already; a saga has one at most",
					       draft->steps[pivot].made.name.at);
		}
		pivot = i;
	}
	*out_pivot = pivot;
	return 0;
}

int flow_graph_check_pivot(struct flow_draft *draft)
{
	uint32_t pivot = draft->n_steps;
	int rc;

	reader_enter(draft->reader, str_of("steps"));
	rc = graph_find_pivot(draft, &pivot);
	for (uint32_t i = 0; rc == 0 && i < draft->n_steps; i++) {
		bool has_pivot = pivot < draft->n_steps;
		bool is_after = has_pivot && (draft->steps[i].ancestors & graph_bit(pivot)) != 0;
		bool is_before = has_pivot && (draft->steps[pivot].ancestors & graph_bit(i)) != 0;

		reader_enter_index(draft->reader, i);
		if (has_pivot && i != pivot && !is_after && !is_before)
			return reader_fault_in(
				draft->reader, "after", CODE_INVALID_FIELD,
				"the step neither comes before the pivot '%.63s' nor after it; one of both "
				"must be",
				draft->steps[pivot].made.name.at);
		rc = graph_check_undo(draft->reader, &draft->steps[i], is_after);
		if (rc == 0)
			reader_leave(draft->reader);
	}
	if (rc == 0)
		reader_leave(draft->reader);
	return rc;
}
