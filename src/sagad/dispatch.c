#include "dispatch_internal.h"

#include "sagad/settings.h"

#include <inttypes.h>

/* ---- callers ---- */

void caller_init(struct caller *caller, struct peer *peer, const struct request *request)
{
	*caller = (struct caller){.peer = peer, .is_silent = request->is_notification};
	memcpy(caller->id_json, request->id_json, sizeof(caller->id_json));
	peer_begin(peer);
}

void caller_answer(struct caller *caller, struct buf *answer)
{
	static const char no_memory[] = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,\"message\":"
					"\"out of memory: the answer is lost; ask again\",\"data\":{\"code\":"
					"\"internal\",\"class\":\"transient\",\"retriable\":true}}}\n";
	struct peer *peer = caller->peer;

	caller->peer = NULL;
	if (peer != NULL && caller->is_silent)
		peer_end(peer, NULL, 0);
	else if (peer != NULL && answer->failed)
		peer_end(peer, no_memory, sizeof(no_memory) - 1);
	else if (peer != NULL)
		peer_end(peer, answer->at, answer->len);
	buf_fini(answer);
}

void caller_answer_error(struct caller *caller, enum code code, const char *message)
{
	struct buf answer = {0};

	reply_error(&answer, caller->id_json, code, message);
	caller_answer(caller, &answer);
}

/* ---- methods ---- */

static void answer_hello(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct caller caller;
	struct buf answer = {0};

	caller_init(&caller, peer, request);
	reply_hello(&answer, request->id_json, SAGAD_VERSION, &dispatch->limits,
		    dispatch->config->limits.max_line_bytes);
	caller_answer(&caller, &answer);
	request_destroy(request);
}

static void answer_forbidden(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct caller caller;
	struct err err;

	dispatch->counts.n_forbidden++;
	dispatch->counts.n_faults_by_code[CODE_FORBIDDEN]++;
	err_set(&err, 0, "%s is for the administration socket (daemon.admin_socket)", method_name(request->method));
	caller_init(&caller, peer, request);
	caller_answer_error(&caller, CODE_FORBIDDEN, err.text);
	request_destroy(request);
}

static void dispatch_request(struct dispatch *dispatch, struct peer *peer, struct request *request, bool is_admin)
{
	switch (request->method) {
	case METHOD_HELLO:
		answer_hello(dispatch, peer, request);
		return;
	case METHOD_DOCUMENT_PUT:
	case METHOD_DOCUMENT_DELETE:
		call_document(dispatch, peer, request);
		return;
	case METHOD_DOCUMENT_STATUS:
		call_status(dispatch, peer, request);
		return;
	case METHOD_STORE_LIST:
		inquiry_list(dispatch, peer, request);
		return;
	case METHOD_STORE_INIT:
		inquiry_init(dispatch, peer, request);
		return;
	case METHOD_SAGA_RUN:
		flows_run(dispatch, peer, request);
		return;
	case METHOD_SAGA_CANCEL:
		flows_ask(dispatch, peer, request, is_admin);
		return;
	case METHOD_SAGA_LIST:
		sagas_list(dispatch, peer, request, is_admin);
		return;
	case METHOD_SAGA_GET:
		if (is_admin)
			sagas_get(dispatch, peer, request);
		else
			flows_ask(dispatch, peer, request, false);
		return;
	case METHOD_SAGA_RETRY:
		sagas_retry(dispatch, peer, request);
		return;
	case METHOD_SAGA_RESOLVE:
		sagas_resolve(dispatch, peer, request);
		return;
	case METHOD_STATS:
		stats_answer(dispatch, peer, request);
		return;
	case METHOD_CONFIG:
		control_config(dispatch, peer, request);
		return;
	case METHOD_RELOAD:
		control_reload(dispatch, peer, request);
		return;
	case METHOD_LOG_LEVEL:
		control_log_level(dispatch, peer, request);
		return;
	case METHOD_DRAIN:
		control_drain(dispatch, peer, request);
		return;
	case METHOD_COUNT:
		break;
	}
	MUST(!"a method that is none");
}

/* ---- lines ---- */

/* A refused line is the client's affair: it is told, and here it is counted only. */
static void dispatch_fault(struct dispatch *dispatch, struct peer *peer, const struct request_fault *fault)
{
	struct buf answer = {0};

	dispatch->counts.n_faults++;
	dispatch->counts.n_faults_by_code[fault->code]++;
	log_debug(&dispatch->sink->log, "refused a line of pid %d: %s: %s", (int)peer_pid(peer), code_name(fault->code),
		  fault->err.text);
	if (fault->is_notification)
		return;
	reply_fault(&answer, fault);
	if (!answer.failed)
		peer_reply(peer, answer.at, answer.len);
	buf_fini(&answer);
}

static void dispatch_line(struct server_events *events, struct peer *peer, const char *bytes, size_t len)
{
	struct dispatch_door *door = container_of(events, struct dispatch_door, events);
	struct dispatch *dispatch = door->dispatch;
	struct request *request;
	struct request_fault fault;

	if (request_parse(bytes, len, &dispatch->limits, &request, &fault) != 0) {
		dispatch_fault(dispatch, peer, &fault);
		return;
	}
	dispatch->counts.n_requests++;
	if (method_is_administrative(request->method) && !door->is_admin)
		answer_forbidden(dispatch, peer, request);
	else
		dispatch_request(dispatch, peer, request, door->is_admin);
}

static void dispatch_skipped(struct server_events *events, struct peer *peer, size_t n_bytes, enum server_skip why)
{
	struct dispatch *dispatch = container_of(events, struct dispatch_door, events)->dispatch;
	uint64_t max_line = dispatch->config->limits.max_line_bytes;
	struct request_fault fault = {.id_json = "null"};

	dispatch->counts.n_skipped++;
	switch (why) {
	case SERVER_SKIP_TOO_LONG:
		fault.code = CODE_LINE_TOO_LONG;
		err_set(&fault.err, 0,
			"the line has more than limits.max_line = %" PRIu64 " bytes (%zu had come) and was skipped; "
			"split the document or raise the limit",
			max_line, n_bytes);
		break;
	case SERVER_SKIP_NO_ROOM:
		fault.code = CODE_OVERLOADED;
		err_set(&fault.err, 0,
			"unfinished lines of all clients reached limits.max_buffered = %" PRIu64 " bytes; this one was "
			"skipped after %zu bytes: send it again",
			dispatch->config->limits.max_buffered_bytes, n_bytes);
		break;
	}
	dispatch_fault(dispatch, peer, &fault);
}

/* ---- life ---- */

static void door_init(struct dispatch_door *door, struct dispatch *dispatch, bool is_admin)
{
	*door = (struct dispatch_door){.events = {.line = dispatch_line, .skipped = dispatch_skipped},
				       .dispatch = dispatch,
				       .is_admin = is_admin};
}

void dispatch_init(struct dispatch *dispatch, uv_loop_t *loop, const struct config *config, struct engine *engine,
		   struct ports *ports, struct sink *sink, struct dispatch_control *control)
{
	*dispatch = (struct dispatch){
		.loop = loop, .config = config, .engine = engine, .ports = ports, .sink = sink, .control = control};
	dispatch->limits = settings_limits(config);
	dispatch->flow_limits = settings_flows(config).limits;
	list_init(&dispatch->calls);
	list_init(&dispatch->saga_calls);
	list_init(&dispatch->flow_calls);
	list_init(&dispatch->inquiries);
	door_init(&dispatch->jobs, dispatch, false);
	door_init(&dispatch->admin, dispatch, true);
}

void dispatch_reconfigure(struct dispatch *dispatch)
{
	struct document_limits limits = settings_limits(dispatch->config);

	limits.dims = dispatch->limits.dims;
	limits.refuse_zero_vectors = dispatch->limits.refuse_zero_vectors;
	dispatch->limits = limits;
	dispatch->flow_limits = settings_flows(dispatch->config).limits;
}

void dispatch_know_dims(struct dispatch *dispatch, uint32_t dims)
{
	if (dispatch->are_dims_known || dims == 0)
		return;
	dispatch->are_dims_known = true;
	if (dispatch->limits.dims == 0)
		dispatch->limits.dims = dims;
	else if (dispatch->limits.dims != dims)
		log_error(&dispatch->sink->log,
			  "schema.dims is %u, but the tables hold embeddings of %u components: no document can be "
			  "written "
			  "before one of them is changed",
			  dispatch->limits.dims, dims);
}

void dispatch_abandon(struct dispatch *dispatch)
{
	call_abandon_all(dispatch);
	inquiry_abandon_all(dispatch);
	sagas_abandon_all(dispatch);
	flows_abandon_all(dispatch);
}

void dispatch_fini(struct dispatch *dispatch)
{
	call_free_all(dispatch);
	sagas_free_all(dispatch);
	flows_free_all(dispatch);
}
