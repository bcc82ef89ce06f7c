#include "service.h"

#include "service_codec.h"
#include "stores/http/http_steps.h"
#include "stores/http/http_store.h"
#include "stores/step/step_http_codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 1024

struct service {
	struct http_steps steps;
	struct service_codec_url url;
	char name[TARGET_NAME_BYTES];
	char *secret_header; /* owned; NULL: Authorization */
};

static struct service *service_of(struct http_steps *steps)
{
	return container_of(steps, struct service, steps);
}

/* ---- calls ---- */

static bool service_add_headers(struct http_step *step, yyjson_val *headers)
{
	const struct service *service = service_of(step->owner);
	const char *own = service->secret_header != NULL ? service->secret_header : "authorization";
	yyjson_obj_iter it = yyjson_obj_iter_with(headers);
	yyjson_val *name;

	while ((name = yyjson_obj_iter_next(&it)) != NULL) {
		yyjson_val *val = yyjson_obj_iter_get_val(name);
		struct str value = {yyjson_get_str(val), yyjson_get_len(val)};
		const char *fault = step_http_codec_header_fault(
			(struct str){yyjson_get_str(name), yyjson_get_len(name)}, value, own);

		if (fault != NULL) {
			step_codec_fail(step->call, service->name, VERDICT_PERMANENT, "the header \"%.60s\": %s",
					yyjson_get_str(name), fault);
			return false;
		}
		if (!http_steps_add_header(step, yyjson_get_str(name), value))
			step->header_text.failed = true;
	}
	http_steps_add_key(step);
	return true;
}

static bool service_ask(struct http_step *step)
{
	struct service *service = service_of(step->owner);
	yyjson_doc *doc = step_codec_parse(step->call, service->name, YYJSON_READ_NUMBER_AS_RAW);
	struct step_http http;
	bool is_good = doc != NULL && step_http_codec_read(step->call, service->name, doc, &http) &&
		       step_http_codec_body(step->call, service->name, &http, &step->body, &step->http.body) &&
		       service_add_headers(step, http.headers);

	if (is_good) {
		step->http.method = http.method;
		buf_append_text(&step->path, service->url.base);
		buf_append_str(&step->path, http.path);
	}
	yyjson_doc_free(doc);
	return is_good;
}

static bool service_judge(struct http_step *step)
{
	const struct http_req *http = &step->http;

	if (http->outcome != HTTP_ANSWERED)
		http_steps_fail_lost(step);
	else
		service_codec_judge(step->call, service_of(step->owner)->name, http->status, http->retry_after_s,
				    buf_str(&http->reply), step->owner->max_result_bytes);
	return true;
}

static const struct http_steps_ops service_steps_ops = {service_ask, service_judge};

/* ---- the port's operations ---- */

static void service_freed(struct http_steps *steps)
{
	struct service *service = service_of(steps);

	free(service->secret_header);
	free(service);
}

/* "Authorization: Bearer K", "X-Api-Key: K". */
static void service_write_secret(const struct service *service, const char *secret, struct buf *out)
{
	bool is_bearer = service->secret_header == NULL;

	buf_append_format(out, "%s:", is_bearer ? "Authorization" : service->secret_header);
	/* Without a value curl leaves a header of that name out. */
	if (secret != NULL && secret[0] != '\0')
		buf_append_format(out, " %s%s", is_bearer ? "Bearer " : "", secret);
}

static int service_renew_secret(struct target *target, const char *secret)
{
	struct http_steps *steps = http_steps_of(target);
	struct buf header = {0};
	int rc;

	service_write_secret(service_of(steps), secret, &header);
	rc = header.failed ? -ENOMEM : http_client_renew(steps->client, NULL, header.at);
	if (header.at != NULL)
		explicit_bzero(header.at, header.len);
	buf_fini(&header);
	return rc;
}

static const struct target_ops service_ops = {
	.submit = http_steps_submit,
	.status = http_steps_status,
	.renew_secret = service_renew_secret,
	.close = http_steps_close,
};

/* ---- making ---- */

static int service_check(const struct service_config *config, struct err *err)
{
	int rc;

	if (config->name == NULL)
		return err_set(err, -EINVAL, "a service has no name");
	rc = http_store_check_name("services", "the service's name", config->name, TARGET_NAME_BYTES - 1, err);
	if (rc == 0 && config->connections > CALLS_MAX)
		rc = err_set(err, -EINVAL, "service %s: connections must be 1 to %d", config->name, CALLS_MAX);
	if (rc == 0 && config->secret_header != NULL &&
	    step_http_codec_header_fault(str_of(config->secret_header), str_of(""), NULL) != NULL)
		rc = err_set(err, -EINVAL, "service %s: \"%.60s\" is no header that can carry a key", config->name,
			     config->secret_header);
	return rc;
}

static int service_configure(struct service *service, const struct service_config *config)
{
	size_t max_result_bytes = config->max_result_bytes != 0 ? config->max_result_bytes : (size_t)256 << 10;

	(void)snprintf(service->name, sizeof(service->name), "%s", config->name); /* checked */
	if (config->secret_header != NULL && (service->secret_header = strdup(config->secret_header)) == NULL)
		return -ENOMEM;
	service->steps.target = (struct target){
		.ops = &service_ops,
		.name = service->name,
		.is_service = true,
		.max_calls = http_store_or(config->connections, 32),
	};
	service->steps.ops = &service_steps_ops;
	service->steps.freed = service_freed;
	service->steps.max_result_bytes = max_result_bytes;
	return 0;
}

static int service_open(struct service *service, uv_loop_t *loop, const struct service_config *config, struct log *log,
			struct err *err)
{
	bool has_secret = config->secret != NULL && config->secret[0] != '\0';
	struct buf header = {0};
	struct http_config http = {
		.host = service->url.host,
		.port = service->url.port,
		.is_tls = service->url.is_tls,
		.ca_file = config->ca_file,
		.cert_file = config->cert_file,
		.key_file = config->key_file,
		.verify = http_verify_of(config->verify),
		.connect_timeout_ms = http_store_or(config->connect_timeout_ms, 3000),
		.idle_s = http_store_or(config->idle_s, 2),
		.reply_max_bytes = config->max_reply_bytes != 0 ? config->max_reply_bytes : (size_t)1 << 20,
	};
	int rc;

	if (has_secret)
		service_write_secret(service, config->secret, &header);
	http.header = header.at;
	rc = header.failed ? err_set(err, -ENOMEM, "service %s: no memory", service->name)
			   : http_steps_open(&service->steps, loop, &http, log, err);
	if (header.at != NULL)
		explicit_bzero(header.at, header.len);
	buf_fini(&header);
	return rc;
}

int service_create(uv_loop_t *loop, const struct service_config *config, struct log *log, struct target **out_target,
		   struct err *err)
{
	struct service *service;
	int rc = service_check(config, err);

	if (rc != 0)
		return rc;
	service = calloc(1, sizeof(*service));
	if (service == NULL || service_configure(service, config) != 0)
		rc = err_set(err, -ENOMEM, "service %s: no memory", config->name);
	if (rc == 0)
		rc = service_codec_url(config->name, config->url, &service->url, err);
	if (rc == 0)
		rc = service_open(service, loop, config, log, err);
	if (rc != 0) {
		if (service != NULL)
			service_freed(&service->steps);
		return rc;
	}
	*out_target = &service->steps.target;
	return 0;
}
