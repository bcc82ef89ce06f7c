#include "http_steps.h"

#include "http_store.h"
#include "stores/step/step_codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- an exchange ---- */

static void http_step_clear(struct http_step *step)
{
	buf_clear(&step->path);
	buf_clear(&step->body);
	buf_clear(&step->header_text);
	step->http.body = STR_NONE;
	step->http.n_headers = 0;
}

bool http_steps_add_header(struct http_step *step, const char *name, struct str value)
{
	uint32_t n = step->http.n_headers;

	if (n == HTTP_STEP_HEADERS_MAX)
		return false;
	/* "NAME;" is curl's way to send a header without a value: CURLOPT_HTTPHEADER(3). */
	buf_append_format(&step->header_text, value.len > 0 ? "%s: " : "%s;", name);
	buf_append(&step->header_text, value.at != NULL ? value.at : "", value.len);
	buf_append(&step->header_text, "", 1);
	step->http.n_headers = n + 1;
	return !step->header_text.failed;
}

void http_steps_add_key(struct http_step *step)
{
	char key[STEP_CODEC_KEY_BYTES + 8];

	step_codec_key(step->call, key);
	(void)strcat(key, step->call->kind == CALL_UNDO ? "/undo" : "/do"); /* 8 bytes are left for it */
	if (!http_steps_add_header(step, "Idempotency-Key", str_of(key)))
		step->header_text.failed = true;
}

/* The text may have moved while it grew. */
static void http_step_point_headers(struct http_step *step)
{
	const char *at = step->header_text.at;

	for (uint32_t i = 0; i < step->http.n_headers; i++) {
		step->headers[i] = at;
		at += strlen(at) + 1;
	}
	step->http.headers = step->headers;
}

static void http_step_release(struct http_step *step)
{
	buf_fini(&step->path);
	buf_fini(&step->body);
	buf_fini(&step->header_text);
	free(step->scratch);
	step->scratch = NULL;
	step->call = NULL;
	list_prepend(&step->owner->free, &step->node);
}

static uint64_t http_step_left_ns(const struct http_step *step)
{
	uint64_t used_ns = uv_hrtime() - step->begun_ns;

	return used_ns < step->call->timeout_ns ? step->call->timeout_ns - used_ns : 0;
}

/* False: the call is decided. */
static bool http_step_send(struct http_step *step)
{
	/* no crash point: http_req_will_send() has one */
	http_step_clear(step);
	if (!step->owner->ops->ask(step))
		return false;
	buf_append(&step->path, "", 1); /* a NUL that stays */
	if (step->path.failed || step->body.failed || step->header_text.failed) {
		step_codec_fail(step->call, step->owner->target.name, VERDICT_TRANSIENT, "no memory for the request");
		return false;
	}
	http_step_point_headers(step);
	step->http.path = step->path.at;
	step->http.timeout_ns = http_step_left_ns(step);
	http_client_submit(step->owner->client, &step->http);
	return true;
}

static void http_step_done(struct http_req *http)
{
	struct http_step *step = container_of(http, struct http_step, http);
	struct http_steps *steps = step->owner;
	struct call *call = step->call;

	if (!steps->ops->judge(step) && http_step_send(step))
		return;
	http_store_note(&steps->status, http, call->verdict, &call->err);
	http_step_release(step);
	call->done(call); /* curl's turn, never the submit's */
}

void http_steps_fail_lost(struct http_step *step)
{
	const struct http_req *http = &step->http;

	step_codec_fail(step->call, step->owner->target.name, http_verdict(http), "%s", http->err.text);
}

/* ---- the port's operations ---- */

void http_steps_submit(struct target *target, struct call *call)
{
	struct http_steps *steps = http_steps_of(target);
	struct list *node = list_take_first(&steps->free);
	struct http_step *step;

	MUST(node != NULL && !steps->is_closing); /* the engine has at most max_calls out */
	step = container_of(node, struct http_step, node);
	step_codec_begin(call);
	*step = (struct http_step){.owner = steps, .call = call, .begun_ns = uv_hrtime()};
	list_init(&step->node);
	step->http.done = http_step_done;
	step->http.is_once = true;
	if (http_step_send(step))
		return;
	http_step_release(step);
	step_turn_end(&steps->turn, call);
}

void http_steps_status(const struct target *target, struct store_status *out_status)
{
	/* container_of() would drop the const. */
	const struct http_steps *steps = (const void *)((const char *)target - offsetof(struct http_steps, target));

	*out_status = steps->status;
	out_status->n_connections = http_client_connections(steps->client);
}

static void http_steps_turn_closed(struct step_turn *turn)
{
	struct http_steps *steps = container_of(turn, struct http_steps, turn);
	void (*closed)(void *arg) = steps->closed;
	void *arg = steps->closed_arg;

	free(steps->slots);
	steps->freed(steps);
	closed(arg);
}

static void http_steps_client_closed(void *arg)
{
	struct http_steps *steps = arg;

	step_turn_close(&steps->turn, http_steps_turn_closed);
}

void http_steps_close(struct target *target, void (*closed)(void *arg), void *arg)
{
	struct http_steps *steps = http_steps_of(target);

	steps->closed = closed;
	steps->closed_arg = arg;
	http_client_close(steps->client, http_steps_client_closed, steps);
}

/* ---- making ---- */

int http_steps_open(struct http_steps *steps, uv_loop_t *loop, struct http_config *http, struct log *log,
		    struct err *err)
{
	uint32_t n = steps->target.max_calls;
	int rc;

	steps->slots = calloc(n, sizeof(*steps->slots));
	if (steps->slots == NULL)
		return err_set(err, -ENOMEM, "%s: no memory", steps->target.name);
	http->store = steps->target.name;
	http->max_idle = n;
	rc = http_client_create(loop, http, log, &steps->client, err);
	if (rc != 0) {
		free(steps->slots);
		return rc;
	}
	list_init(&steps->free);
	for (uint32_t i = 0; i < n; i++) {
		steps->slots[i].owner = steps;
		list_append(&steps->free, &steps->slots[i].node);
	}
	step_turn_init(&steps->turn, loop, NULL);
	(void)snprintf(steps->status.endpoint, sizeof(steps->status.endpoint), "%.159s",
		       http_client_endpoint(steps->client));
	return 0;
}
