#include "null_web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION_BYTES (1u << 20) /* MHD's buffer of a connection: bodies come in pieces of this size */

/* A request whose body is on its way. */
struct web_request {
	struct buf body;
};

static enum MHD_Result web_send(struct MHD_Connection *connection, unsigned status, struct buf *taken)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(taken->len, taken->at != NULL ? taken->at : "", MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	buf_fini(taken);
	if (response == NULL)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", "application/json") == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result web_answer(struct null_web *web, struct MHD_Connection *connection, const char *method,
				  const char *path, const struct buf *body)
{
	yyjson_doc *doc = body->len > 0 ? yyjson_read(body->at, body->len, YYJSON_READ_NOFLAG) : NULL;
	struct buf out = {0};
	bool is_well = body->len == 0 || doc != NULL;

	is_well = is_well && web->answer(web, method, path, yyjson_doc_get_root(doc), &out);
	yyjson_doc_free(doc);
	web->counts.n_requests++;
	web->counts.n_bytes += body->len;
	web->counts.n_refused += !is_well;
	if (!is_well)
		buf_clear(&out);
	return web_send(connection, is_well ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST, &out);
}

/* MHD calls once with the headers, then for each piece of the body, then once more. */
static enum MHD_Result web_on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
				      const char *version, const char *upload, size_t *upload_bytes, void **slot)
{
	struct web_request *request = *slot;

	(void)version;
	if (request == NULL) {
		*slot = calloc(1, sizeof(*request));
		return *slot != NULL ? MHD_YES : MHD_NO;
	}
	if (*upload_bytes > 0) {
		buf_append(&request->body, upload, *upload_bytes);
		*upload_bytes = 0;
		return request->body.failed ? MHD_NO : MHD_YES;
	}
	return web_answer(arg, connection, method, url, &request->body);
}

static void web_on_completed(void *arg, struct MHD_Connection *connection, void **slot,
			     enum MHD_RequestTerminationCode why)
{
	struct web_request *request = *slot;

	(void)arg;
	(void)connection;
	(void)why;
	if (request == NULL)
		return;
	buf_fini(&request->body);
	free(request);
	*slot = NULL;
}

bool null_web_start(struct null_web *web, null_web_answer *answer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const union MHD_DaemonInfo *info;

	web->answer = answer;
	web->mhd = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, web_on_request, web,
				    MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, web_on_completed, NULL,
				    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (web->mhd == NULL)
		return false;
	info = MHD_get_daemon_info(web->mhd, MHD_DAEMON_INFO_BIND_PORT);
	web->port = info != NULL ? info->port : 0;
	return web->port != 0;
}

void null_web_stop(struct null_web *web)
{
	if (web->mhd != NULL)
		MHD_stop_daemon(web->mhd);
	web->mhd = NULL;
}
