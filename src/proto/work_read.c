#include "work_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDER_THAN_MAX_MS 31536000000000u /* a thousand years */
#define STORE_MAX_BYTES   63

static int work_read_store(struct reader *reader, struct member member, struct str *out_store)
{
	return reader_text(reader, member, "store", STORE_MAX_BYTES, "the length of a store's name", out_store);
}

static int work_read_id(struct reader *reader, struct member member, bool *out_is_given, struct uuid *out_id)
{
	struct str text = STR_NONE;
	int rc = reader_text(reader, member, "id", UUID_TEXT_BYTES - 1, "the length of an id", &text);

	if (rc != 0 || text.at == NULL)
		return rc;
	if (!uuid_parse(text, out_id))
		return reader_fault_in(reader, "id", CODE_INVALID_FIELD,
				       "must be the id of a saga or of an accepted job, a UUID of 36 characters");
	*out_is_given = true;
	return 0;
}

/* ---- saga.list ---- */

enum { LIST_STATE, LIST_STORE, LIST_OLDER, LIST_LIMIT, LIST_PAGE, LIST_MEMBERS };
static const char *const list_names[LIST_MEMBERS] = {
	[LIST_STATE] = "state", [LIST_STORE] = "store", [LIST_OLDER] = "older_than_ms",
	[LIST_LIMIT] = "limit", [LIST_PAGE] = "page",
};

static int work_read_state(struct reader *reader, struct member member, uint32_t *out_states)
{
	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	for (unsigned i = 0; i < WORK_STATES; i++)
		if (yyjson_equals_str(member.val, work_state_name((enum work_state)i))) {
			*out_states = (uint32_t)1 << i;
			return 0;
		}
	return reader_fault_in(reader, "state", CODE_INVALID_FIELD,
			       "must be running, in_doubt, waiting, owed, parked, late, compensating, resolved or "
			       "ended");
}

/* "UUID.PART", as saga.list gave it. */
static int work_read_page(struct reader *reader, struct member member, struct work_place *out_place)
{
	struct str text = STR_NONE;
	struct work_place place;
	int rc = reader_text(reader, member, "page", WORK_PAGE_BYTES - 1, "the length of a page's name", &text);
	unsigned long part;
	char *end;

	if (rc != 0 || text.at == NULL)
		return rc;
	if (text.len > UUID_TEXT_BYTES && text.at[UUID_TEXT_BYTES - 1] == '.' && text.at[UUID_TEXT_BYTES] >= '0' &&
	    text.at[UUID_TEXT_BYTES] <= '9' && uuid_parse((struct str){text.at, UUID_TEXT_BYTES - 1}, &place.id)) {
		part = strtoul(text.at + UUID_TEXT_BYTES, &end, 10);
		if (end == text.at + text.len && part <= UINT32_MAX) {
			place.part = (uint32_t)part;
			*out_place = place;
			return 0;
		}
	}
	return reader_fault_in(reader, "page", CODE_INVALID_FIELD, "must be the `next` of an answer before");
}

int work_read_list(struct reader *reader, yyjson_val *params, struct work_filter *out_filter)
{
	struct work_filter made = {.limit = WORK_LIMIT_DEFAULT};
	struct member members[LIST_MEMBERS] = {0};
	uint64_t limit = WORK_LIMIT_DEFAULT;
	int rc = 0;

	if (params != NULL)
		rc = reader_members(reader, params, "saga.list", list_names, LIST_MEMBERS, members);
	if (rc == 0)
		rc = work_read_state(reader, members[LIST_STATE], &made.states);
	if (rc == 0)
		rc = work_read_store(reader, members[LIST_STORE], &made.store);
	if (rc == 0)
		rc = reader_number(reader, members[LIST_OLDER], "older_than_ms", 0, OLDER_THAN_MAX_MS, NULL,
				   &made.older_than_ms);
	if (rc == 0)
		rc = reader_number(reader, members[LIST_LIMIT], "limit", 1, WORK_LIMIT_MAX, NULL, &limit);
	if (rc == 0)
		rc = work_read_page(reader, members[LIST_PAGE], &made.after);
	made.limit = (uint32_t)limit;
	if (rc == 0)
		*out_filter = made;
	return rc;
}

/* ---- saga.get ---- */

enum { GET_ID, GET_MEMBERS };
static const char *const get_names[GET_MEMBERS] = {[GET_ID] = "id"};

int work_read_get(struct reader *reader, yyjson_val *params, const char *method, struct work_filter *out_filter)
{
	struct work_filter made = {.limit = WORK_LIMIT_MAX, .states = UINT32_MAX};
	struct member members[GET_MEMBERS];
	int rc = reader_members(reader, params, method, get_names, GET_MEMBERS, members);

	if (rc == 0)
		rc = work_read_id(reader, members[GET_ID], &made.has_id, &made.id);
	if (rc == 0 && !made.has_id)
		return reader_fault_in(reader, "id", CODE_MISSING_FIELD, "must be given");
	if (rc == 0)
		*out_filter = made;
	return rc;
}

/* ---- saga.retry, saga.resolve ---- */

/* Of a saga that a client wrote. */
static int work_read_step(struct reader *reader, struct member member, const struct work_order *order,
			  struct str *out_step)
{
	int rc = reader_text(reader, member, "step", STORE_MAX_BYTES, "the length of a step's name", out_step);

	if (rc == 0 && out_step->at != NULL && !order->has_id)
		return reader_fault_in(reader, "step", CODE_INVALID_FIELD, "goes with the `id` of its saga");
	return rc;
}

enum { RETRY_ID, RETRY_STORE, RETRY_STEP, RETRY_ALL, RETRY_MEMBERS };
static const char *const retry_names[RETRY_MEMBERS] = {
	[RETRY_ID] = "id", [RETRY_STORE] = "store", [RETRY_STEP] = "step", [RETRY_ALL] = "all"};

int work_read_retry(struct reader *reader, yyjson_val *params, struct work_order *out_order)
{
	struct work_order made = {.has_id = false};
	struct member members[RETRY_MEMBERS];
	int rc = reader_members(reader, params, "saga.retry", retry_names, RETRY_MEMBERS, members);

	if (rc == 0)
		rc = work_read_id(reader, members[RETRY_ID], &made.has_id, &made.id);
	if (rc == 0)
		rc = work_read_store(reader, members[RETRY_STORE], &made.store);
	if (rc == 0)
		rc = work_read_step(reader, members[RETRY_STEP], &made, &made.step);
	if (rc == 0)
		rc = reader_bool(reader, members[RETRY_ALL], "all", NULL, &made.is_all);
	if (rc != 0)
		return rc;
	if (!made.has_id && made.store.at == NULL && !made.is_all)
		return reader_fault(reader, CODE_MISSING_FIELD,
				    "saga.retry wants an `id`, a `store`, or `all`: true for everything that waits");
	if (made.is_all && (made.has_id || made.store.at != NULL))
		return reader_fault(reader, CODE_INVALID_FIELD,
				    "saga.retry takes `all`, or `id` and `store`, not both");
	*out_order = made;
	return 0;
}

enum { RESOLVE_ID, RESOLVE_STORE, RESOLVE_STEP, RESOLVE_REASON, RESOLVE_MEMBERS };
static const char *const resolve_names[RESOLVE_MEMBERS] = {
	[RESOLVE_ID] = "id", [RESOLVE_STORE] = "store", [RESOLVE_STEP] = "step", [RESOLVE_REASON] = "reason"};

int work_read_resolve(struct reader *reader, yyjson_val *params, struct work_order *out_order)
{
	struct work_order made = {.has_id = false};
	struct member members[RESOLVE_MEMBERS];
	int rc = reader_members(reader, params, "saga.resolve", resolve_names, RESOLVE_MEMBERS, members);

	if (rc == 0)
		rc = work_read_id(reader, members[RESOLVE_ID], &made.has_id, &made.id);
	if (rc == 0 && !made.has_id)
		return reader_fault_in(reader, "id", CODE_MISSING_FIELD, "must be given");
	if (rc == 0)
		rc = work_read_store(reader, members[RESOLVE_STORE], &made.store);
	if (rc == 0)
		rc = work_read_step(reader, members[RESOLVE_STEP], &made, &made.step);
	if (rc == 0)
		rc = reader_needed_text(reader, members[RESOLVE_REASON], "reason", WORK_REASON_BYTES,
					"the limit of a reason", &made.reason);
	if (rc == 0)
		*out_order = made;
	return rc;
}
