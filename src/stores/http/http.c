/* Requests, from the submit to done(): waiting for an address, with curl, finished. http_socket.c is the other half,
 * http_client.c makes and ends the client.
 *
 *     submit --> waiting --> sent --> done()
 *        \          \           \
 *         '----------'-----------'--> finished --> done(), from the soon timer
 */
#include "http_internal.h"

#include "base/crash_point.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_IN_MS 1000000u

_Static_assert(sizeof(((struct http_req *)0)->error_text) >= CURL_ERROR_SIZE, "curl writes that many bytes");

/* ---- the end of a request ---- */

static void http_req_end(struct http_req *req, enum http_outcome outcome)
{
	if (req->easy != NULL) {
		(void)curl_multi_remove_handle(req->client->multi, req->easy); /* it is in there */
		curl_easy_cleanup(req->easy);
		req->easy = NULL;
	}
	curl_slist_free_all(req->resolve_list);
	req->resolve_list = NULL;
	curl_slist_free_all(req->header_list);
	req->header_list = NULL;
	list_remove(&req->node);
	req->outcome = outcome;
	req->latency_ns = uv_hrtime() - req->begun_ns;
}

static void http_req_report(struct http_req *req)
{
	struct buf reply = req->reply; /* done() may free the request or send it again */

	req->done(req);
	buf_fini(&reply);
}

void http_client_report_finished(struct http_client *client)
{
	struct list *node;

	while ((node = list_take_first(&client->finished)) != NULL)
		http_req_report(container_of(node, struct http_req, node));
}

static void http_soon(uv_timer_t *timer)
{
	http_client_report_finished(container_of(timer, struct http_client, soon_timer));
}

/* For what ends while the caller of submit() is still on the stack. */
static void http_req_end_later(struct http_req *req, enum http_outcome outcome)
{
	struct http_client *client = req->client;

	http_req_end(req, outcome);
	list_append(&client->finished, &req->node);
	if (!client->is_closing)                                            /* the closing reports them itself */
		(void)uv_timer_start(&client->soon_timer, http_soon, 0, 0); /* fails on a closing handle only */
}

static void http_req_fail_unsent(struct http_req *req, const char *why)
{
	(void)err_set(&req->err, 0, "%s %s: not reached: %s; is it running, and are host and port right?",
		      req->client->config.store, req->client->endpoint, why);
	http_req_end_later(req, HTTP_NOT_SENT);
}

/* The server's process died, or a network between ended the connection. A connection that is refused counts when bytes
 * went out before: curl had the request on a connection that broke, and tried it again by itself. */
static bool http_is_cut(CURLcode result)
{
	return result == CURLE_GOT_NOTHING || result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR ||
	       result == CURLE_PARTIAL_FILE || result == CURLE_SEND_FAIL_REWIND || result == CURLE_COULDNT_CONNECT;
}

/* Retry-After, in seconds or as a date; only these statuses have one that says anything about this request. */
static uint32_t http_req_retry_after(const struct http_req *req)
{
	curl_off_t wait_s = 0;

	if (req->status != 425 && req->status != 429 && req->status != 503)
		return 0;
	(void)curl_easy_getinfo(req->easy, CURLINFO_RETRY_AFTER, &wait_s); /* stays 0 on failure */
	if (wait_s < 0)
		return 0;
	return wait_s < UINT32_MAX ? (uint32_t)wait_s : UINT32_MAX;
}

/* What curl's result means. A request that curl repeated on a second connection counts as sent with its first. */
static enum http_outcome http_req_judge(struct http_req *req, CURLcode result)
{
	const struct http_client *client = req->client;
	const char *why = req->error_text[0] != '\0' ? req->error_text : curl_easy_strerror(result);
	long status = 0;

	(void)curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status); /* stays 0 on failure */
	if (result == CURLE_OK && !req->reply.failed) {
		req->status = (uint16_t)status;
		req->retry_after_s = http_req_retry_after(req);
		return HTTP_ANSWERED;
	}
	if (!req->is_sent) {
		req->is_cert_refused = result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE;
		(void)err_set(&req->err, 0, "%s %s: not reached: %s; %s", client->config.store, client->endpoint, why,
			      req->is_cert_refused ? "give its certificate authority in the configuration"
						   : "is it running, and are host and port right?");
		return HTTP_NOT_SENT;
	}
	if (req->is_repeating)
		why = "the server closed the kept connection instead of answering";
	if (req->is_too_long || req->reply.failed)
		why = req->is_too_long ? "the reply is longer than the limit" : "no memory for the reply";
	req->is_cut = http_is_cut(result) || req->is_repeating;
	(void)err_set(&req->err, 0, "%s %s: no answer to %s %.80s: %s; whether it was done is unknown",
		      client->config.store, client->endpoint, req->method, req->path, why);
	return HTTP_LOST;
}

void http_client_drain(struct http_client *client)
{
	struct CURLMsg *msg;
	int n_left;

	while ((msg = curl_multi_info_read(client->multi, &n_left)) != NULL) {
		struct http_req *req = NULL;
		enum http_outcome outcome;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &req); /* set by http_req_options() */
		outcome = http_req_judge(req, msg->data.result);
		if (outcome == HTTP_NOT_SENT && !client->is_numeric)
			client->address[0] = '\0'; /* the name may have moved: look again */
		http_req_end(req, outcome);
		http_req_report(req);
	}
}

/* ---- curl's callbacks of one transfer ---- */

static size_t http_req_take_reply(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_req *req = arg;
	size_t n_bytes = size * n; /* curl: size is 1 */

	if (n_bytes > req->client->config.reply_max_bytes - req->reply.len) {
		req->is_too_long = true;
		return CURL_WRITEFUNC_ERROR;
	}
	buf_append(&req->reply, bytes, n_bytes);
	return req->reply.failed ? CURL_WRITEFUNC_ERROR : n_bytes;
}

/* Connected (or a kept connection chosen), TLS done, the first byte of the request comes next. */
static int http_req_will_send(void *arg, char *to_ip, char *from_ip, int to_port, int from_port)
{
	struct http_req *req = arg;

	(void)to_ip;
	(void)from_ip;
	(void)to_port;
	(void)from_port;
	/* curl repeats a request whose kept connection ended without an answer, and comes through here again. */
	req->is_repeating = req->is_once && req->is_sent;
	if (req->is_repeating)
		return CURL_PREREQFUNC_ABORT;
	CRASH_POINT(HTTP_REQUEST_BEFORE);
	req->is_sent = true;
	return CURL_PREREQFUNC_OK;
}

/* ---- options ---- */

/* Those that are the same for every request. Their results are summed up: any failure is one of memory. */
static CURLcode http_easy_common(const struct http_client *client, CURL *easy)
{
	const struct http_config *config = &client->config;
	CURLcode rc = CURLE_OK;

#define HTTP_SET(option, value)                                                                                        \
	do {                                                                                                           \
		if (rc == CURLE_OK)                                                                                    \
			rc = curl_easy_setopt(easy, option, value);                                                    \
	} while (0)
	HTTP_SET(CURLOPT_NOSIGNAL, 1L);
	HTTP_SET(CURLOPT_PROTOCOLS_STR, "http,https");
	HTTP_SET(CURLOPT_PROXY, ""); /* not even one from the environment */
	HTTP_SET(CURLOPT_FOLLOWLOCATION, 0L);
	HTTP_SET(CURLOPT_PATH_AS_IS, 1L);
	HTTP_SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	HTTP_SET(CURLOPT_HTTPHEADER, client->headers);
	HTTP_SET(CURLOPT_MAXAGE_CONN, (long)config->idle_s);
	HTTP_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
	HTTP_SET(CURLOPT_TCP_KEEPALIVE, 1L);
	if (config->ca_file != NULL)
		HTTP_SET(CURLOPT_CAINFO, config->ca_file);
	HTTP_SET(CURLOPT_SSL_VERIFYPEER, config->verify == HTTP_VERIFY_NONE ? 0L : 1L);
	HTTP_SET(CURLOPT_SSL_VERIFYHOST, config->verify == HTTP_VERIFY_FULL ? 2L : 0L);
	if (config->cert_file != NULL)
		HTTP_SET(CURLOPT_SSLCERT, config->cert_file);
	if (config->key_file != NULL)
		HTTP_SET(CURLOPT_SSLKEY, config->key_file);
	if (config->user != NULL) {
		HTTP_SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		HTTP_SET(CURLOPT_USERNAME, config->user);
		HTTP_SET(CURLOPT_PASSWORD, config->password);
	}
	return rc;
}

static CURLcode http_easy_callbacks(struct http_req *req, CURL *easy)
{
	CURLcode rc = CURLE_OK;

	HTTP_SET(CURLOPT_PRIVATE, req);
	HTTP_SET(CURLOPT_ERRORBUFFER, req->error_text);
	HTTP_SET(CURLOPT_WRITEFUNCTION, http_req_take_reply);
	HTTP_SET(CURLOPT_WRITEDATA, req);
	HTTP_SET(CURLOPT_PREREQFUNCTION, http_req_will_send);
	HTTP_SET(CURLOPT_PREREQDATA, req);
	return rc;
}

/* What remains of the request's time, in whole milliseconds, 1 or more: 0 would mean no limit to curl. */
static long http_req_left_ms(const struct http_req *req)
{
	uint64_t used_ns = uv_hrtime() - req->begun_ns;
	uint64_t left_ms = used_ns < req->timeout_ns ? (req->timeout_ns - used_ns) / NS_IN_MS : 0;

	if (left_ms < 1)
		return 1;
	return left_ms < INT32_MAX ? (long)left_ms : INT32_MAX;
}

static CURLcode http_easy_request(struct http_req *req, CURL *easy, const char *url)
{
	CURLcode rc = CURLE_OK;

	HTTP_SET(CURLOPT_URL, url); /* copied */
	HTTP_SET(CURLOPT_TIMEOUT_MS, http_req_left_ms(req));
	if (req->header_list != NULL)
		HTTP_SET(CURLOPT_HTTPHEADER, (struct curl_slist *)req->header_list);
	if (req->resolve_list != NULL)
		HTTP_SET(CURLOPT_RESOLVE, (struct curl_slist *)req->resolve_list);
	if (req->body.at != NULL) {
		HTTP_SET(CURLOPT_POSTFIELDS, req->body.at); /* not copied: borrowed until done() */
		HTTP_SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
	} else {
		HTTP_SET(CURLOPT_HTTPGET, 1L);
	}
	HTTP_SET(CURLOPT_CUSTOMREQUEST, req->method);
	return rc;
}
#undef HTTP_SET

/* ---- the way to curl ---- */

/* "name:port:address", so that curl never looks a name up: its resolver threads block a clean-up (curl issue 8515). */
static int http_req_pin_address(struct http_req *req)
{
	const struct http_client *client = req->client;
	const char *address = client->address;
	bool is_v6 = strchr(address, ':') != NULL;
	char line[400];

	if (client->is_numeric)
		return 0;
	(void)snprintf(line, sizeof(line), "%s:%u:%s%s%s", client->config.host, client->config.port, is_v6 ? "[" : "",
		       address, is_v6 ? "]" : ""); /* host: 255 bytes at most */
	req->resolve_list = curl_slist_append(NULL, line);
	return req->resolve_list != NULL ? 0 : -1;
}

static int http_req_add_header(struct http_req *req, const char *line)
{
	struct curl_slist *grown = curl_slist_append(req->header_list, line);

	if (grown == NULL)
		return -1;
	req->header_list = grown;
	return 0;
}

/* curl takes one list. */
static int http_req_join_headers(struct http_req *req)
{
	int rc = 0;

	if (req->n_headers == 0)
		return 0;
	for (const struct curl_slist *it = req->client->headers; it != NULL && rc == 0; it = it->next)
		rc = http_req_add_header(req, it->data);
	for (uint32_t i = 0; i < req->n_headers && rc == 0; i++)
		rc = http_req_add_header(req, req->headers[i]);
	return rc;
}

static void http_req_send(struct http_req *req)
{
	/* no crash point: the operations have theirs, and http_req_will_send() */
	struct http_client *client = req->client;
	const struct http_config *config = &client->config;
	struct buf url = {0};
	CURL *easy = curl_easy_init();
	bool is_v6 = strchr(config->host, ':') != NULL;
	bool is_ready;

	buf_append_format(&url, "%s://%s%s%s:%u%s", config->is_tls ? "https" : "http", is_v6 ? "[" : "", config->host,
			  is_v6 ? "]" : "", config->port, req->path);
	is_ready = easy != NULL && !url.failed && http_req_pin_address(req) == 0 && http_req_join_headers(req) == 0 &&
		   http_easy_common(client, easy) == CURLE_OK && http_easy_callbacks(req, easy) == CURLE_OK &&
		   http_easy_request(req, easy, url.at) == CURLE_OK;
	if (is_ready) {
		http_socket_attach_easy(client, easy);
		is_ready = curl_multi_add_handle(client->multi, easy) == CURLM_OK;
	}
	buf_fini(&url);
	if (!is_ready) {
		curl_easy_cleanup(easy);
		http_req_fail_unsent(req, "no memory for the request");
		return;
	}
	req->easy = easy;
	list_append(&client->sent, &req->node);
}

/* ---- names ---- */

static void http_client_fail_waiting(struct http_client *client, const char *why)
{
	struct list *node;

	while ((node = list_take_first(&client->waiting)) != NULL)
		http_req_fail_unsent(container_of(node, struct http_req, node), why);
}

static void http_resolve_late(uv_timer_t *timer)
{
	struct http_client *client = container_of(timer, struct http_client, resolve_timer);

	http_client_fail_waiting(client, "the look-up of the host's name takes too long");
}

static void http_resolved(struct resolve *resolve, int rc, const char *address, const struct err *err)
{
	struct http_client *client = container_of(resolve, struct http_client, resolve);
	struct list *node;

	if (client->is_closing) {
		http_client_handle_closed(client);
		return;
	}
	client->n_handles--;
	(void)uv_timer_stop(&client->resolve_timer); /* it always succeeds */
	if (rc != 0) {
		http_client_fail_waiting(client, err->text);
		return;
	}
	(void)snprintf(client->address, sizeof(client->address), "%s", address); /* numeric: 45 bytes at most */
	while ((node = list_take_first(&client->waiting)) != NULL)
		http_req_send(container_of(node, struct http_req, node));
}

static void http_req_wait_for_address(struct http_req *req)
{
	struct http_client *client = req->client;

	list_append(&client->waiting, &req->node);
	/* A look-up that outlived its time may still run: there is one at a time, and this request waits for it. */
	if (!client->resolve.is_busy) {
		client->resolve.done = http_resolved;
		if (resolve_start(&client->resolve, client->loop, client->config.host) != 0) {
			http_client_fail_waiting(client, "the look-up of the host's name can't start");
			return;
		}
		client->n_handles++;
	}
	if (!uv_is_active((uv_handle_t *)&client->resolve_timer))
		(void)uv_timer_start(&client->resolve_timer, http_resolve_late, client->config.connect_timeout_ms, 0);
}

/* ---- the way in ---- */

static void http_req_begin(struct http_client *client, struct http_req *req)
{
	req->client = client;
	req->status = 0;
	req->reply = (struct buf){0};
	err_clear(&req->err);
	req->easy = NULL;
	req->resolve_list = NULL;
	req->header_list = NULL;
	req->retry_after_s = 0;
	req->is_repeating = false;
	req->is_sent = false;
	req->is_too_long = false;
	req->is_cut = false;
	req->is_cert_refused = false;
	req->error_text[0] = '\0';
	req->begun_ns = uv_hrtime();
	list_init(&req->node);
}

void http_client_submit(struct http_client *client, struct http_req *req)
{
	http_req_begin(client, req);
	if (client->is_closing)
		http_req_fail_unsent(req, "the program is stopping");
	else if (client->address[0] != '\0')
		http_req_send(req);
	else
		http_req_wait_for_address(req);
}

void http_client_skip(struct http_client *client, struct http_req *req)
{
	http_req_begin(client, req);
	http_req_end_later(req, HTTP_SKIPPED);
}

void http_client_abandon(struct http_client *client)
{
	struct list *node, *tmp;

	http_client_fail_waiting(client, "the program is stopping");
	list_each (node, tmp, &client->sent) {
		struct http_req *req = container_of(node, struct http_req, node);

		(void)err_set(&req->err, 0, "%s %s: %s %.80s: the program is stopping; whether it was done is unknown",
			      client->config.store, client->endpoint, req->method, req->path);
		http_req_end_later(req, req->is_sent ? HTTP_LOST : HTTP_NOT_SENT);
	}
}

enum verdict http_verdict(const struct http_req *req)
{
	switch (req->outcome) {
	case HTTP_ANSWERED:
	case HTTP_SKIPPED:
		return VERDICT_OK;
	case HTTP_NOT_SENT:
		return req->is_cert_refused ? VERDICT_MISCONFIGURED : VERDICT_OUTAGE;
	case HTTP_LOST:
		break;
	}
	return VERDICT_DOUBT;
}
