/* Answers as text. Every message is built by yyjson, so nothing that a store or a client sent can break out of its
 * string; bytes that are no UTF-8 are replaced first. */
#include "reply_build.h"

#include "utf8.h"

#include <yyjson.h>

#include <stdlib.h>
#include <string.h>

/* A string value of the answer's own; bytes outside of UTF-8 become '?'. */
yyjson_mut_val *reply_str(struct reply *reply, struct str text)
{
	char *clean = malloc(text.len + 1);
	yyjson_mut_val *val;

	if (clean == NULL) {
		reply->is_failed = true;
		return NULL;
	}
	if (text.len > 0)
		memcpy(clean, text.at, text.len);
	utf8_scrub(clean, text.len);
	val = yyjson_mut_strncpy(reply->doc, clean, text.len);
	free(clean);
	return val;
}

void reply_note(struct reply *reply, bool is_done)
{
	if (!is_done)
		reply->is_failed = true;
}

/* Keys are static texts. */
void reply_add(struct reply *reply, yyjson_mut_val *object, const char *key, yyjson_mut_val *val)
{
	reply_note(reply, yyjson_mut_obj_add_val(reply->doc, object, key, val));
}

void reply_add_text(struct reply *reply, yyjson_mut_val *object, const char *key, const char *text)
{
	reply_add(reply, object, key, reply_str(reply, str_of(text)));
}

void reply_add_str(struct reply *reply, yyjson_mut_val *object, const char *key, struct str text)
{
	reply_add(reply, object, key, reply_str(reply, text));
}

void reply_add_number(struct reply *reply, yyjson_mut_val *object, const char *key, uint64_t number)
{
	reply_note(reply, yyjson_mut_obj_add_uint(reply->doc, object, key, number));
}

void reply_add_bool(struct reply *reply, yyjson_mut_val *object, const char *key, bool value)
{
	reply_note(reply, yyjson_mut_obj_add_bool(reply->doc, object, key, value));
}

void reply_add_uuid(struct reply *reply, yyjson_mut_val *object, const char *key, const struct uuid *uuid)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(uuid, text);
	reply_add_text(reply, object, key, text);
}

yyjson_mut_val *reply_add_object(struct reply *reply, yyjson_mut_val *object, const char *key)
{
	yyjson_mut_val *made = yyjson_mut_obj(reply->doc);

	reply_add(reply, object, key, made);
	return made;
}

yyjson_mut_val *reply_add_array(struct reply *reply, yyjson_mut_val *object, const char *key)
{
	yyjson_mut_val *made = yyjson_mut_arr(reply->doc);

	reply_add(reply, object, key, made);
	return made;
}

yyjson_mut_val *reply_append_object(struct reply *reply, yyjson_mut_val *array)
{
	yyjson_mut_val *made = yyjson_mut_obj(reply->doc);

	reply_note(reply, yyjson_mut_arr_append(array, made));
	return made;
}

void reply_init(struct reply *reply, const char *id_json)
{
	*reply = (struct reply){.doc = yyjson_mut_doc_new(NULL)};
	reply->root = yyjson_mut_obj(reply->doc);
	reply_add_text(reply, reply->root, "jsonrpc", "2.0");
	reply_add(reply, reply->root, "id", yyjson_mut_rawcpy(reply->doc, id_json));
}

/* Prints the answer and its newline, or marks the buffer when memory ran out. */
void reply_finish(struct reply *reply, struct buf *out)
{
	size_t len = 0;
	char *text = NULL;

	if (!reply->is_failed)
		text = yyjson_mut_val_write(reply->root, YYJSON_WRITE_NOFLAG, &len);
	if (text != NULL) {
		text[len] = '\n'; /* over the NUL */
		buf_append(out, text, len + 1);
	} else {
		out->failed = true;
	}
	free(text);
	yyjson_mut_doc_free(reply->doc);
}

/* `error` with what every error's data has; returns data. */
yyjson_mut_val *reply_add_error(struct reply *reply, enum code code, const char *message)
{
	yyjson_mut_val *error = reply_add_object(reply, reply->root, "error"), *data;

	reply_note(reply, yyjson_mut_obj_add_int(reply->doc, error, "code", code_jsonrpc(code)));
	reply_add_text(reply, error, "message", message[0] != '\0' ? message : code_name(code));
	data = reply_add_object(reply, error, "data");
	reply_add_text(reply, data, "code", code_name(code));
	reply_add_text(reply, data, "class", code_class_name(code));
	reply_add_bool(reply, data, "retriable", code_is_retriable(code));
	return data;
}

static const char *reply_outcome_name(enum outcome_kind kind)
{
	switch (kind) {
	case OUTCOME_COMMITTED:
		return "committed";
	case OUTCOME_UNCHANGED:
		return "unchanged";
	case OUTCOME_DELETED:
		return "deleted";
	case OUTCOME_ABSENT:
		return "absent";
	case OUTCOME_ACCEPTED:
		return "accepted";
	case OUTCOME_FAILED:
		return "failed";
	}
	MUST(!"an outcome that is none");
	return "";
}

static void reply_add_failure(struct reply *reply, struct str document_id, const struct outcome *outcome)
{
	yyjson_mut_val *data = reply_add_error(reply, outcome->code, outcome->err.text);

	reply_add_str(reply, data, "document_id", document_id);
	if (outcome->store != NULL)
		reply_add_text(reply, data, "store", outcome->store);
	if (!uuid_is_nil(&outcome->saga))
		reply_add_uuid(reply, data, "saga_id", &outcome->saga);
	if (outcome->n_tries > 0)
		reply_add_number(reply, data, "tries", outcome->n_tries);
	if (outcome->retry_after_ms > 0)
		reply_add_number(reply, data, "retry_after_ms", outcome->retry_after_ms);
	if (outcome->has_previous)
		reply_add_uuid(reply, data, "current_version", &outcome->previous);
	if (outcome->is_stored)
		reply_add_bool(reply, data, "stored", true);
}

static void reply_add_owed(struct reply *reply, yyjson_mut_val *result, const struct outcome *outcome)
{
	yyjson_mut_val *array = reply_add_array(reply, result, "owed"), *one;

	for (uint32_t i = 0; i < outcome->n_owed; i++) {
		one = reply_append_object(reply, array);
		reply_add_text(reply, one, "store", outcome->owed[i].store);
		reply_add_text(reply, one, "op", outcome->owed[i].op);
	}
}

static void reply_add_success(struct reply *reply, struct str document_id, const struct outcome *outcome)
{
	yyjson_mut_val *result = reply_add_object(reply, reply->root, "result");

	reply_add_text(reply, result, "outcome", reply_outcome_name(outcome->kind));
	reply_add_str(reply, result, "document_id", document_id);
	if (!uuid_is_nil(&outcome->saga))
		reply_add_uuid(reply, result, "saga_id", &outcome->saga);
	if (outcome->kind == OUTCOME_ACCEPTED)
		reply_add_uuid(reply, result, "job", &outcome->saga);
	if (outcome->has_version)
		reply_add_uuid(reply, result, "version", &outcome->version);
	if (outcome->has_previous)
		reply_add_uuid(reply, result, "previous", &outcome->previous);
	reply_add_number(reply, result, "chunks", outcome->n_chunks);
	reply_add_owed(reply, result, outcome);
	reply_add_bool(reply, result, "stored", outcome->is_stored);
}

void reply_outcome(struct buf *out, const char *id_json, struct str document_id, const struct outcome *outcome)
{
	struct reply reply;

	reply_init(&reply, id_json);
	if (outcome->kind == OUTCOME_FAILED)
		reply_add_failure(&reply, document_id, outcome);
	else
		reply_add_success(&reply, document_id, outcome);
	reply_finish(&reply, out);
}

void reply_fault(struct buf *out, const struct request_fault *fault)
{
	struct reply reply;
	yyjson_mut_val *data;

	if (fault->is_notification)
		return;
	reply_init(&reply, fault->id_json);
	data = reply_add_error(&reply, fault->code, fault->err.text);
	if (fault->path[0] != '\0')
		reply_add_text(&reply, data, "path", fault->path);
	if (fault->document_id[0] != '\0')
		reply_add_text(&reply, data, "document_id", fault->document_id);
	reply_finish(&reply, out);
}

static const char *reply_presence_name(enum presence presence)
{
	switch (presence) {
	case PRESENCE_ABSENT:
		return "absent";
	case PRESENCE_PRESENT:
		return "present";
	case PRESENCE_DELETED:
		return "deleted";
	}
	MUST(!"a presence that is none");
	return "";
}

void reply_status(struct buf *out, const char *id_json, struct str document_id, const struct document_status *status)
{
	struct reply reply;
	yyjson_mut_val *result, *in_flight;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_str(&reply, result, "document_id", document_id);
	reply_add_text(&reply, result, "presence", reply_presence_name(status->presence));
	if (status->presence != PRESENCE_ABSENT) {
		reply_add_uuid(&reply, result, "version", &status->version);
		reply_add_number(&reply, result, "chunks", status->n_chunks);
		reply_note(&reply,
			   yyjson_mut_obj_add_sint(reply.doc, result, "updated_unix_ms", status->updated_unix_ms));
	}
	reply_add_number(&reply, result, "debts", status->n_debts);
	if (status->is_in_flight) {
		in_flight = reply_add_object(&reply, result, "in_flight");
		reply_add_uuid(&reply, in_flight, "saga_id", &status->saga);
		reply_add_text(&reply, in_flight, "state", status->state);
		reply_add_number(&reply, in_flight, "waiting", status->n_waiting);
	}
	reply_finish(&reply, out);
}

const char *reply_job_state_name(enum job_state state)
{
	switch (state) {
	case JOB_IS_UNKNOWN:
		return "unknown";
	case JOB_IS_WAITING:
		return "waiting";
	case JOB_IS_DONE:
		return "done";
	case JOB_IS_FAILED:
		return "failed";
	}
	MUST(!"a job's state that is none");
	return "";
}

void reply_job(struct buf *out, const char *id_json, const struct job_status *status)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_uuid(&reply, result, "job", &status->job);
	reply_add_text(&reply, result, "state", reply_job_state_name(status->state));
	if (status->state == JOB_IS_DONE)
		reply_add_uuid(&reply, result, "saga_id", &status->saga);
	if (status->state == JOB_IS_WAITING) {
		reply_add_number(&reply, result, "attempts", status->n_attempts);
		if (status->last_error != NULL)
			reply_add_text(&reply, result, "last_error", status->last_error);
	}
	if (status->state == JOB_IS_FAILED) {
		reply_add_text(&reply, result, "code", status->code);
		reply_add_text(&reply, result, "reason", status->reason);
	}
	reply_finish(&reply, out);
}

void reply_refusal(struct buf *out, const char *id_json, enum code code, const char *message, uint64_t retry_after_ms)
{
	struct reply reply;
	yyjson_mut_val *data;

	reply_init(&reply, id_json);
	data = reply_add_error(&reply, code, message);
	if (retry_after_ms > 0)
		reply_add_number(&reply, data, "retry_after_ms", retry_after_ms);
	reply_finish(&reply, out);
}

void reply_error(struct buf *out, const char *id_json, enum code code, const char *message)
{
	reply_refusal(out, id_json, code, message, 0);
}

static void reply_add_limits(struct reply *reply, yyjson_mut_val *result, const struct document_limits *limits,
			     size_t max_line_bytes)
{
	yyjson_mut_val *object = reply_add_object(reply, result, "limits");

	reply_add_number(reply, object, "max_line_bytes", max_line_bytes);
	reply_add_number(reply, object, "max_content_bytes", limits->max_content_bytes);
	reply_add_number(reply, object, "max_chunks", limits->max_chunks);
	reply_add_number(reply, object, "max_dims", limits->max_dims);
	reply_add_number(reply, object, "dims", limits->dims);
	reply_add_number(reply, object, "max_entities", limits->max_entities);
	reply_add_number(reply, object, "max_relationships", limits->max_relationships);
	reply_add_number(reply, object, "max_name_bytes", limits->max_name_bytes);
	reply_add_number(reply, object, "max_graph_bytes", limits->max_graph_bytes);
	reply_add_number(reply, object, "max_vector_json_bytes", limits->max_vector_json_bytes);
	reply_add_number(reply, object, "max_metadata_depth", limits->max_metadata_depth);
	reply_add_number(reply, object, "max_metadata_bytes", limits->max_metadata_bytes);
	reply_add_bool(reply, object, "refuse_zero_vectors", limits->refuse_zero_vectors);
}

void reply_hello(struct buf *out, const char *id_json, const char *server_version, const struct document_limits *limits,
		 size_t max_line_bytes)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_number(&reply, result, "protocol", PROTOCOL_VERSION);
	reply_add_text(&reply, result, "server", server_version);
	reply_add_limits(&reply, result, limits, max_line_bytes);
	reply_finish(&reply, out);
}

static void reply_add_store(struct reply *reply, yyjson_mut_val *array, const struct reply_store *row)
{
	yyjson_mut_val *object = reply_append_object(reply, array);

	reply_add_text(reply, object, "name", row->name);
	reply_add_text(reply, object, "state", row->state);
	reply_add_text(reply, object, "endpoint", row->endpoint);
	reply_add_text(reply, object, "version", row->version);
	if (row->latency_ms >= 0)
		reply_note(reply, yyjson_mut_obj_add_real(reply->doc, object, "latency_ms", row->latency_ms));
	reply_add_number(reply, object, "connections", row->n_connections);
	reply_add_number(reply, object, "waiting", row->n_waiting);
	reply_add_number(reply, object, "owed", row->n_owed);
	reply_add_text(reply, object, "error", row->error);
	if (row->report != NULL && row->report[0] != '\0')
		reply_add_text(reply, object, "report", row->report);
}

static const char *reply_first_error(const struct reply_store *rows, uint32_t n_rows)
{
	for (uint32_t i = 0; i < n_rows; i++)
		if (rows[i].error != NULL && rows[i].error[0] != '\0')
			return rows[i].error;
	return "";
}

void reply_stores(struct buf *out, const char *id_json, const struct reply_store *rows, uint32_t n_rows, enum code code)
{
	struct reply reply;
	yyjson_mut_val *holder, *array;

	reply_init(&reply, id_json);
	holder = code == CODE_NONE ? reply_add_object(&reply, reply.root, "result")
				   : reply_add_error(&reply, code, reply_first_error(rows, n_rows));
	array = reply_add_array(&reply, holder, "stores");
	for (uint32_t i = 0; i < n_rows; i++)
		reply_add_store(&reply, array, &rows[i]);
	reply_finish(&reply, out);
}

void reply_numbers(struct buf *out, const char *id_json, const struct reply_number *numbers, uint32_t n_numbers)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	for (uint32_t i = 0; i < n_numbers; i++)
		reply_add_number(&reply, result, numbers[i].name, numbers[i].value);
	reply_finish(&reply, out);
}

void reply_settings(struct buf *out, const char *id_json, const struct reply_setting *rows, uint32_t n_rows)
{
	struct reply reply;
	yyjson_mut_val *array;

	reply_init(&reply, id_json);
	array = reply_add_array(&reply, reply_add_object(&reply, reply.root, "result"), "settings");
	for (uint32_t i = 0; i < n_rows; i++) {
		yyjson_mut_val *object = reply_append_object(&reply, array);

		reply_add_text(&reply, object, "section", rows[i].section);
		reply_add_text(&reply, object, "key", rows[i].name);
		reply_add_str(&reply, object, "value", rows[i].value);
		reply_add_str(&reply, object, "origin", rows[i].origin);
		reply_add_bool(&reply, object, "reloadable", rows[i].is_reloadable);
	}
	reply_finish(&reply, out);
}

static void reply_add_keys(struct reply *reply, yyjson_mut_val *object, const char *key, struct reply_keys keys)
{
	yyjson_mut_val *array = reply_add_array(reply, object, key);

	for (uint32_t i = 0; i < keys.n; i++)
		reply_note(reply, yyjson_mut_arr_append(array, reply_str(reply, str_of(keys.at[i]))));
}

void reply_reload(struct buf *out, const char *id_json, struct reply_keys changed, struct reply_keys needs_restart)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_keys(&reply, result, "changed", changed);
	reply_add_keys(&reply, result, "needs_restart", needs_restart);
	reply_finish(&reply, out);
}

void reply_log_level(struct buf *out, const char *id_json, const char *level, const char *previous)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_text(&reply, result, "level", level);
	reply_add_text(&reply, result, "previous", previous);
	reply_finish(&reply, out);
}

/* ---- work ---- */

void reply_work_begin(struct reply_work *work, const char *id_json, const char *name)
{
	struct reply reply;

	reply_init(&reply, id_json);
	*work = (struct reply_work){.doc = reply.doc, .root = reply.root};
	work->result = reply_add_object(&reply, reply.root, "result");
	work->rows = reply_add_array(&reply, work->result, name);
	work->is_failed = reply.is_failed;
}

static struct reply reply_of_work(const struct reply_work *work)
{
	return (struct reply){.doc = work->doc, .root = work->root, .is_failed = work->is_failed};
}

static void reply_add_work_try(struct reply *reply, yyjson_mut_val *object, const struct work_row *row)
{
	reply_add_number(reply, object, "tries", row->n_tries);
	if (row->next_try_ms >= 0)
		reply_add_number(reply, object, "next_try_ms", (uint64_t)row->next_try_ms);
	if (row->error[0] != '\0')
		reply_add_text(reply, object, "error", row->error);
}

void reply_work_row(struct reply_work *work, const struct work_row *row, int64_t now_unix_ms)
{
	struct reply reply = reply_of_work(work);
	yyjson_mut_val *object = reply_append_object(&reply, work->rows);
	int64_t age_ms = now_unix_ms - row->since_unix_ms;

	reply_add_uuid(&reply, object, "id", &row->id);
	reply_add_text(&reply, object, "kind", work_kind_name(row->kind));
	reply_add_text(&reply, object, "state", work_state_name(row->state));
	reply_add_text(&reply, object, "op", row->op);
	if (row->step[0] != '\0')
		reply_add_text(&reply, object, "step", row->step);
	if (row->kind == WORK_STEPS)
		reply_add_number(&reply, object, "uid", row->uid);
	else
		reply_add_str(&reply, object, "document_id", row->document_id);
	if (row->store != NULL)
		reply_add_text(&reply, object, "store", row->store);
	reply_note(&reply, yyjson_mut_obj_add_sint(reply.doc, object, "since_unix_ms", row->since_unix_ms));
	reply_add_number(&reply, object, "age_ms", age_ms > 0 ? (uint64_t)age_ms : 0);
	reply_add_work_try(&reply, object, row);
	if (row->state == WORK_RESOLVED) {
		reply_add_text(&reply, object, "reason", row->reason);
		reply_add_number(&reply, object, "uid", row->uid);
	}
	work->is_failed = reply.is_failed;
}

void reply_work_ended(struct reply_work *work, const struct reply_ended *row)
{
	struct reply reply = reply_of_work(work);
	yyjson_mut_val *object = reply_append_object(&reply, work->rows);

	reply_add_uuid(&reply, object, "id", &row->id);
	reply_add_text(&reply, object, "kind", work_kind_name(WORK_STEPS));
	reply_add_text(&reply, object, "state", row->state);
	reply_add_text(&reply, object, "op", "run");
	reply_add_number(&reply, object, "uid", row->uid);
	reply_note(&reply, yyjson_mut_obj_add_sint(reply.doc, object, "since_unix_ms", row->began_unix_ms));
	reply_note(&reply, yyjson_mut_obj_add_sint(reply.doc, object, "ended_unix_ms", row->ended_unix_ms));
	if (row->code[0] != '\0')
		reply_add_text(&reply, object, "code", row->code);
	if (row->error[0] != '\0')
		reply_add_text(&reply, object, "error", row->error);
	work->is_failed = reply.is_failed;
}

static yyjson_mut_val *reply_work_place(struct reply *reply, const struct reply_work *work, const char *in)
{
	yyjson_mut_val *found = in != NULL ? yyjson_mut_obj_get(work->result, in) : work->result;

	return found != NULL ? found : reply_add_object(reply, work->result, in);
}

void reply_work_text(struct reply_work *work, const char *in, const char *name, const char *text)
{
	struct reply reply = reply_of_work(work);

	reply_add_text(&reply, reply_work_place(&reply, work, in), name, text);
	work->is_failed = reply.is_failed;
}

void reply_work_number(struct reply_work *work, const char *in, const char *name, uint64_t number)
{
	struct reply reply = reply_of_work(work);

	reply_add_number(&reply, reply_work_place(&reply, work, in), name, number);
	work->is_failed = reply.is_failed;
}

void reply_work_end(struct reply_work *work, struct buf *out)
{
	struct reply reply = reply_of_work(work);

	reply_finish(&reply, out);
}
