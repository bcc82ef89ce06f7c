#include "parts.h"

#include "nearest.h"
#include "options.h"
#include "work_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	bool is_administrative;
} methods[METHOD_COUNT] = {
	[METHOD_HELLO] = {"sagad.hello", false},
	[METHOD_DOCUMENT_PUT] = {"document.put", false},
	[METHOD_DOCUMENT_DELETE] = {"document.delete", false},
	[METHOD_DOCUMENT_STATUS] = {"document.status", false},
	[METHOD_STORE_LIST] = {"store.list", true},
	[METHOD_STORE_INIT] = {"store.init", true},
	[METHOD_SAGA_RUN] = {"saga.run", false},
	[METHOD_SAGA_CANCEL] = {"saga.cancel", false},
	[METHOD_SAGA_LIST] = {"saga.list", false},
	[METHOD_SAGA_GET] = {"saga.get", false},
	[METHOD_SAGA_RETRY] = {"saga.retry", true},
	[METHOD_SAGA_RESOLVE] = {"saga.resolve", true},
	[METHOD_STATS] = {"sagad.stats", true},
	[METHOD_CONFIG] = {"sagad.config", true},
	[METHOD_RELOAD] = {"sagad.reload", true},
	[METHOD_LOG_LEVEL] = {"sagad.log_level", true},
	[METHOD_DRAIN] = {"sagad.drain", true},
};

const char *method_name(enum method method)
{
	MUST((unsigned)method < METHOD_COUNT);
	return methods[method].name;
}

bool method_is_administrative(enum method method)
{
	MUST((unsigned)method < METHOD_COUNT);
	return methods[method].is_administrative;
}

enum { ROOT_JSONRPC, ROOT_ID, ROOT_METHOD, ROOT_PARAMS, ROOT_MEMBERS };
static const char *const root_names[ROOT_MEMBERS] = {
	[ROOT_JSONRPC] = "jsonrpc",
	[ROOT_ID] = "id",
	[ROOT_METHOD] = "method",
	[ROOT_PARAMS] = "params",
};

/* document.put's own fields, then its options; a delete has the first of each. */
enum { PUT_OPTIONS = DOCUMENT_MEMBERS, PUT_MEMBERS = DOCUMENT_MEMBERS + OPTION_MEMBERS };
static const char *const put_names[PUT_MEMBERS] = {
	[DOCUMENT_ID] = "id",
	[DOCUMENT_TITLE] = "title",
	[DOCUMENT_SOURCE] = "source",
	[DOCUMENT_CONTENT] = "content",
	[DOCUMENT_METADATA] = "metadata",
	[DOCUMENT_CHUNKS] = "chunks",
	[DOCUMENT_ENTITIES] = "entities",
	[DOCUMENT_RELATIONSHIPS] = "relationships",
	[PUT_OPTIONS + OPTION_KEY] = "idempotency_key",
	[PUT_OPTIONS + OPTION_IF_VERSION] = "if_version",
	[PUT_OPTIONS + OPTION_DEADLINE] = "deadline_ms",
	[PUT_OPTIONS + OPTION_WAIT] = "wait",
	[PUT_OPTIONS + OPTION_ON_UNCHANGED] = "on_unchanged",
	[PUT_OPTIONS + OPTION_CACHE_TTL] = "cache_ttl_s",
};

enum { DELETE_ID, DELETE_OPTIONS, DELETE_MEMBERS = DELETE_OPTIONS + OPTION_ON_UNCHANGED };
static const char *const delete_names[DELETE_MEMBERS] = {
	[DELETE_ID] = "id",
	[DELETE_OPTIONS + OPTION_KEY] = "idempotency_key",
	[DELETE_OPTIONS + OPTION_IF_VERSION] = "if_version",
	[DELETE_OPTIONS + OPTION_DEADLINE] = "deadline_ms",
	[DELETE_OPTIONS + OPTION_WAIT] = "wait",
};

enum { STATUS_ID, STATUS_JOB, STATUS_MEMBERS };
static const char *const status_names[STATUS_MEMBERS] = {[STATUS_ID] = "id", [STATUS_JOB] = "job"};

/* A refusal should name the document even when it is another field that is wrong. */
static void request_note_document(struct reader *reader, yyjson_val *params)
{
	yyjson_val *id = yyjson_obj_get(params, "id");

	if (yyjson_is_str(id))
		reader_copy_cut(reader->fault->document_id, sizeof(reader->fault->document_id),
				(struct str){yyjson_get_str(id), yyjson_get_len(id)});
}

/* NaN and Infinity, which the reader lets through, come as raw text like big numbers do. */
static bool request_is_number(yyjson_val *val)
{
	if (yyjson_is_raw(val))
		return isfinite(strtod(yyjson_get_raw(val), NULL));
	return yyjson_is_num(val) && isfinite(yyjson_get_num(val));
}

/* Reads the id first, since every answer wants it. */
static int request_read_id(struct reader *reader, yyjson_val *root, struct request *draft)
{
	yyjson_val *id = yyjson_obj_get(root, "id");
	bool is_kind;
	char *text = NULL;
	size_t len = 0;

	draft->is_notification = id == NULL;
	reader->fault->is_notification = id == NULL;
	if (id == NULL || yyjson_is_null(id))
		return 0;
	is_kind = yyjson_is_str(id) || request_is_number(id);
	if (is_kind)
		text = yyjson_val_write(id, YYJSON_WRITE_NOFLAG, &len);
	if (is_kind && text == NULL) /* what was read can be written; only memory can be missing */
		return reader_no_memory(reader);
	if (text == NULL || len >= REQUEST_ID_BYTES) {
		free(text);
		return reader_fault_in(reader, "id", CODE_INVALID_REQUEST,
				       "must be a string, a number or null, shorter than %d bytes as JSON",
				       REQUEST_ID_BYTES);
	}
	memcpy(draft->id_json, text, len + 1);
	memcpy(reader->fault->id_json, text, len + 1);
	free(text);
	return 0;
}

static int request_read_method(struct reader *reader, struct member member, enum method *out_method)
{
	const char *names[METHOD_COUNT], *nearest;
	struct str text = {yyjson_get_str(member.val), yyjson_get_len(member.val)};

	if (text.at == NULL)
		return reader_fault_in(reader, "method", CODE_INVALID_REQUEST, "must be given, a string");
	for (unsigned i = 0; i < METHOD_COUNT; i++) {
		names[i] = methods[i].name;
		if (str_is_equal(text, str_of(names[i]))) {
			*out_method = (enum method)i;
			return 0;
		}
	}
	nearest = nearest_name(text, names, METHOD_COUNT);
	return reader_fault(reader, CODE_UNKNOWN_METHOD, "there is no method '%.80s'%s%s%s", text.at,
			    nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
			    nearest != NULL ? "'?" : "; docs/protocol.md lists them");
}

static bool request_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The params' own bytes. They end before the next key and its comma, or before the message's last brace. */
static struct str request_params_json(const struct reader *reader, yyjson_val *root, yyjson_val *params_key)
{
	const char *line = reader->line.at;
	size_t begin = reader_find_after_key(reader, params_key, '{'), end = reader->line.len;
	yyjson_obj_iter iter;
	yyjson_val *key;

	yyjson_obj_iter_init(root, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL && key != params_key)
		;
	key = yyjson_obj_iter_next(&iter);
	if (key != NULL)
		end = reader_key_offset(reader, key) - 1;
	while (request_is_space(line[end - 1]))
		end--;
	end--; /* the comma or the brace */
	while (request_is_space(line[end - 1]))
		end--;
	MUST(begin < end && line[end - 1] == '}');
	return (struct str){line + begin, end - begin};
}

static int request_read_put(struct reader *reader, yyjson_val *params, struct str job_json, struct request *draft)
{
	struct member members[PUT_MEMBERS];
	int rc = reader_members(reader, params, "document.put", put_names, PUT_MEMBERS, members);

	if (rc == 0)
		rc = options_read_put(reader, &members[PUT_OPTIONS], &draft->options);
	if (rc == 0)
		rc = document_read(reader, members, job_json, &draft->document);
	return rc;
}

static int request_read_delete(struct reader *reader, yyjson_val *params, struct str job_json, struct request *draft)
{
	struct member members[DELETE_MEMBERS], options[OPTION_MEMBERS] = {0};
	int rc = reader_members(reader, params, "document.delete", delete_names, DELETE_MEMBERS, members);

	if (rc != 0)
		return rc;
	memcpy(options, &members[DELETE_OPTIONS], OPTION_ON_UNCHANGED * sizeof(*options));
	rc = reader_needed_text(reader, members[DELETE_ID], "id", REQUEST_DOCUMENT_ID_BYTES,
				"the limit of a document's id", &draft->document_id);
	if (rc == 0)
		rc = options_read_put(reader, options, &draft->options);
	if (rc == 0 && draft->options.wait == WAIT_ACCEPTED)
		draft->params_json = job_json;
	return rc;
}

static int request_read_status(struct reader *reader, yyjson_val *params, struct request *draft)
{
	struct member members[STATUS_MEMBERS];
	struct str job = STR_NONE;
	int rc = reader_members(reader, params, "document.status", status_names, STATUS_MEMBERS, members);

	if (rc == 0)
		rc = reader_text(reader, members[STATUS_JOB], "job", UUID_TEXT_BYTES - 1, "the length of a job's id",
				 &job);
	if (rc != 0)
		return rc;
	if (job.at == NULL)
		return reader_needed_text(reader, members[STATUS_ID], "id", REQUEST_DOCUMENT_ID_BYTES,
					  "the limit of a document's id", &draft->document_id);
	if (members[STATUS_ID].val != NULL)
		return reader_fault(reader, CODE_INVALID_FIELD, "document.status takes `id` or `job`, not both");
	if (!uuid_parse(job, &draft->job))
		return reader_fault_in(reader, "job", CODE_INVALID_FIELD,
				       "must be a job's id as sagad gave it, a UUID of 36 characters");
	draft->has_job = true;
	return 0;
}

static int request_read_nothing(struct reader *reader, yyjson_val *params, enum method method)
{
	if (params == NULL || yyjson_obj_size(params) == 0)
		return 0;
	return reader_fault(reader, CODE_UNKNOWN_FIELD, "%s has no fields; leave params out or send {}",
			    method_name(method));
}

static int request_read_params(struct reader *reader, yyjson_val *params, struct str job_json, struct request *draft)
{
	switch (draft->method) {
	case METHOD_DOCUMENT_PUT:
		return request_read_put(reader, params, job_json, draft);
	case METHOD_DOCUMENT_DELETE:
		return request_read_delete(reader, params, job_json, draft);
	case METHOD_DOCUMENT_STATUS:
		return request_read_status(reader, params, draft);
	case METHOD_STORE_INIT:
		return options_read_init(reader, params, &draft->init);
	case METHOD_LOG_LEVEL:
		return options_read_log_level(reader, params, &draft->log_level);
	case METHOD_SAGA_RUN:
		draft->params_json = job_json; /* flow_spec_parse() reads it, when the client may run sagas at all */
		return 0;
	case METHOD_SAGA_CANCEL:
		return work_read_get(reader, params, "saga.cancel", &draft->work);
	case METHOD_SAGA_LIST:
		return work_read_list(reader, params, &draft->work);
	case METHOD_SAGA_GET:
		return work_read_get(reader, params, "saga.get", &draft->work);
	case METHOD_SAGA_RETRY:
		return work_read_retry(reader, params, &draft->order);
	case METHOD_SAGA_RESOLVE:
		return work_read_resolve(reader, params, &draft->order);
	case METHOD_HELLO:
	case METHOD_STORE_LIST:
	case METHOD_STATS:
	case METHOD_CONFIG:
	case METHOD_RELOAD:
	case METHOD_DRAIN:
		return request_read_nothing(reader, params, draft->method);
	case METHOD_COUNT:
		break;
	}
	MUST(!"a method that is none");
	return -EINVAL;
}

static bool request_needs_params(enum method method)
{
	return method == METHOD_DOCUMENT_PUT || method == METHOD_DOCUMENT_DELETE || method == METHOD_DOCUMENT_STATUS ||
	       method == METHOD_LOG_LEVEL || method == METHOD_SAGA_GET || method == METHOD_SAGA_RETRY ||
	       method == METHOD_SAGA_RESOLVE || method == METHOD_SAGA_RUN || method == METHOD_SAGA_CANCEL;
}

static int request_read_message(struct reader *reader, struct request *draft)
{
	yyjson_val *root = yyjson_doc_get_root(reader->doc), *params;
	struct member members[ROOT_MEMBERS];
	struct str job_json = STR_NONE;
	int rc;

	if (!yyjson_is_obj(root))
		return reader_fault(
			reader, CODE_INVALID_REQUEST,
			"a message is one JSON object, not %s; batches are not taken, send one message a line",
			reader_kind(root));
	request_note_document(reader, yyjson_obj_get(root, "params"));
	rc = request_read_id(reader, root, draft);
	if (rc == 0)
		rc = reader_members(reader, root, "a message", root_names, ROOT_MEMBERS, members);
	if (rc != 0)
		return rc;
	if (!yyjson_equals_str(members[ROOT_JSONRPC].val, "2.0"))
		return reader_fault_in(reader, "jsonrpc", CODE_INVALID_REQUEST, "must be \"2.0\"");
	rc = request_read_method(reader, members[ROOT_METHOD], &draft->method);
	if (rc != 0)
		return rc;
	params = members[ROOT_PARAMS].val;
	if (params == NULL ? request_needs_params(draft->method) : !yyjson_is_obj(params))
		return reader_fault_in(reader, "params", params == NULL ? CODE_MISSING_FIELD : CODE_INVALID_FIELD,
				       "must be an object with the fields of %s", method_name(draft->method));
	if (params != NULL)
		job_json = request_params_json(reader, root, members[ROOT_PARAMS].key);
	return request_read_params(reader, params, job_json, draft);
}

static struct str request_keep(char **at, struct str text)
{
	char *place = *at;

	if (text.at == NULL)
		return STR_NONE;
	memcpy(place, text.at, text.len);
	place[text.len] = '\0';
	*at += text.len + 1;
	return (struct str){place, text.len};
}

/* Copies the draft and its texts, which are the reader's, into one allocation. */
static struct request *request_pack(const struct request *draft)
{
	size_t n_bytes = sizeof(*draft) + draft->options.idempotency_key.len + draft->document_id.len +
			 draft->params_json.len + draft->work.store.len + draft->order.store.len +
			 draft->order.step.len + draft->order.reason.len + 7;
	struct request *made = malloc(n_bytes);
	char *at = (char *)(made + 1);

	if (made == NULL)
		return NULL;
	*made = *draft;
	made->options.idempotency_key = request_keep(&at, draft->options.idempotency_key);
	made->document_id = request_keep(&at, draft->document_id);
	made->params_json = request_keep(&at, draft->params_json);
	made->work.store = request_keep(&at, draft->work.store);
	made->order.store = request_keep(&at, draft->order.store);
	made->order.step = request_keep(&at, draft->order.step);
	made->order.reason = request_keep(&at, draft->order.reason);
	/* A put's params are the document's own job_json: that one copy serves both. */
	if (made->document != NULL && made->options.wait == WAIT_ACCEPTED)
		made->params_json = made->document->job_json;
	return made;
}

static int request_finish(struct reader *reader, int rc, struct request *draft, struct request **out_request)
{
	struct request *made = rc == 0 ? request_pack(draft) : NULL;

	if (rc == 0 && made == NULL)
		rc = reader_no_memory(reader);
	if (rc == 0)
		*out_request = made;
	else
		document_destroy(draft->document);
	reader_close(reader);
	return rc;
}

int request_parse(const char *line, size_t n_bytes, const struct document_limits *limits, struct request **out_request,
		  struct request_fault *out_fault)
{
	struct request draft = {.id_json = "null"};
	struct reader reader;
	int rc;

	*out_fault = (struct request_fault){.id_json = "null"};
	rc = reader_open(&reader, (struct str){line, n_bytes}, limits, out_fault);
	if (rc == 0)
		rc = request_read_message(&reader, &draft);
	return request_finish(&reader, rc, &draft, out_request);
}

int request_parse_job(struct str job_json, bool is_delete, const struct document_limits *limits,
		      struct request **out_request, struct request_fault *out_fault)
{
	struct request draft = {.id_json = "null", .is_notification = true};
	struct reader reader;
	yyjson_val *params;
	int rc;

	*out_fault = (struct request_fault){.id_json = "null", .is_notification = true};
	draft.method = is_delete ? METHOD_DOCUMENT_DELETE : METHOD_DOCUMENT_PUT;
	rc = reader_open(&reader, job_json, limits, out_fault);
	if (rc == 0) {
		params = yyjson_doc_get_root(reader.doc);
		request_note_document(&reader, params);
		rc = request_read_params(&reader, params, job_json, &draft);
	}
	return request_finish(&reader, rc, &draft, out_request);
}

struct document *request_take_document(struct request *request)
{
	struct document *document = request->document;

	request->document = NULL;
	return document;
}

void request_destroy(struct request *request)
{
	if (request == NULL)
		return;
	document_destroy(request->document);
	free(request);
}
