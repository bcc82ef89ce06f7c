#include "qdrant_steps.h"

#include "qdrant_internal.h"
#include "qdrant_steps_codec.h"
#include "stores/http/http_steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct qdrant_steps {
	struct http_steps steps;
	char documents[256]; /* the documents' own collection */
};

static struct qdrant_steps *qdrant_steps_of(struct http_steps *steps)
{
	return container_of(steps, struct qdrant_steps, steps);
}

/* ---- calls ---- */

static bool qdrant_steps_ask(struct http_step *step)
{
	const char *documents = qdrant_steps_of(step->owner)->documents;
	enum qdrant_steps_kind kind = QDRANT_STEPS_READ;
	struct step_http http;
	yyjson_doc *doc;
	bool is_good;

	if (step->call->kind == CALL_CHECK) {
		step_codec_fail(step->call, "qdrant", VERDICT_DOUBT, "only services have a check");
		return false;
	}
	doc = step_codec_parse(step->call, "qdrant", YYJSON_READ_NUMBER_AS_RAW);
	is_good = doc != NULL && step_http_codec_read(step->call, "qdrant", doc, &http) &&
		  qdrant_steps_codec_ask(step->call, &http, documents, &step->path, &kind) &&
		  step_http_codec_body(step->call, "qdrant", &http, &step->body, &step->http.body);
	if (is_good) {
		step->http.method = http.method;
		step->phase = kind;
		http_steps_add_key(step);
	}
	yyjson_doc_free(doc);
	return is_good;
}

static bool qdrant_steps_judge(struct http_step *step)
{
	const struct http_req *http = &step->http;
	enum qdrant_steps_kind kind = (enum qdrant_steps_kind)step->phase;

	if (http->outcome == HTTP_ANSWERED)
		qdrant_steps_codec_judge(step->call, kind, http->status, http->retry_after_s, buf_str(&http->reply),
					 step->owner->max_result_bytes);
	else
		http_steps_fail_lost(step);
	if (kind == QDRANT_STEPS_READ && step->call->verdict == VERDICT_DOUBT)
		step->call->verdict = VERDICT_TRANSIENT; /* a read has changed nothing */
	return true;
}

static const struct http_steps_ops qdrant_steps_http_ops = {qdrant_steps_ask, qdrant_steps_judge};

/* ---- the port's operations ---- */

static int qdrant_steps_renew_secret(struct target *target, const char *secret)
{
	return qdrant_renew_key(http_steps_of(target)->client, secret);
}

static void qdrant_steps_freed(struct http_steps *steps)
{
	free(qdrant_steps_of(steps));
}

static const struct target_ops qdrant_steps_ops = {
	.submit = http_steps_submit,
	.status = http_steps_status,
	.renew_secret = qdrant_steps_renew_secret,
	.close = http_steps_close,
};

/* ---- making ---- */

static int qdrant_steps_open(struct http_steps *steps, uv_loop_t *loop, const struct qdrant_config *config,
			     struct log *log, struct err *err)
{
	struct buf key = {0};
	struct http_config http;
	int rc;

	qdrant_fill_http(config, &http, &key);
	http.reply_max_bytes = (size_t)8 << 20; /* a read may bring many points; a write's answer is short */
	rc = key.failed ? err_set(err, -ENOMEM, "qdrant: no memory") : http_steps_open(steps, loop, &http, log, err);
	if (key.at != NULL)
		explicit_bzero(key.at, key.len);
	buf_fini(&key);
	return rc;
}

static void qdrant_steps_configure(struct qdrant_steps *made, const struct qdrant_steps_config *config,
				   const char *collection)
{
	made->steps.target = (struct target){
		.ops = &qdrant_steps_ops,
		.name = "qdrant",
		.max_calls = http_store_or(config->connections, 4),
	};
	made->steps.ops = &qdrant_steps_http_ops;
	made->steps.freed = qdrant_steps_freed;
	made->steps.max_result_bytes = config->max_result_bytes != 0 ? config->max_result_bytes : (size_t)256 << 10;
	(void)snprintf(made->documents, sizeof(made->documents), "%s", collection); /* checked */
}

int qdrant_steps_create(uv_loop_t *loop, const struct qdrant_steps_config *config, struct log *log,
			struct target **out_target, struct err *err)
{
	bool is_named = config->server.collection != NULL && config->server.collection[0] != '\0';
	const char *collection = is_named ? config->server.collection : "documents";
	struct qdrant_steps *made;
	int rc = http_store_check_name("qdrant", "the collection's name", collection, 255, err);

	if (rc == 0)
		rc = http_store_check_bounds("qdrant", config->connections, 0, err);
	if (rc != 0)
		return rc;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return err_set(err, -ENOMEM, "qdrant: no memory");
	qdrant_steps_configure(made, config, collection);
	rc = qdrant_steps_open(&made->steps, loop, &config->server, log, err);
	if (rc != 0) {
		free(made);
		return rc;
	}
	*out_target = &made->steps.target;
	return 0;
}
