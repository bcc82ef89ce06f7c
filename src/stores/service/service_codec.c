#include "service_codec.h"

#include "stores/step/step_http_codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the URL ---- */

/* "[::1]" and "name"; the rest of the text is returned, NULL when it is none. */
static const char *service_url_host(const char *at, char *out_host, size_t size_bytes)
{
	bool is_v6 = *at == '[';
	size_t len;

	at += is_v6;
	len = strcspn(at, is_v6 ? "]" : ":/?#");
	if (len == 0 || len >= size_bytes || (is_v6 && at[len] != ']'))
		return NULL;
	memcpy(out_host, at, len);
	out_host[len] = '\0';
	return at + len + is_v6;
}

static const char *service_url_port(const char *at, uint16_t *out_port)
{
	unsigned long port;
	char *end;

	if (*at != ':')
		return at;
	port = at[1] >= '0' && at[1] <= '9' ? strtoul(at + 1, &end, 10) : 0;
	if (port == 0 || port > 65535)
		return NULL;
	*out_port = (uint16_t)port;
	return end;
}

static bool service_url_base(const char *at, char *out_base, size_t size_bytes)
{
	size_t len = strlen(at);

	while (len > 0 && at[len - 1] == '/')
		len--;
	if (len >= size_bytes || strchr(at, '?') != NULL ||
	    (len > 0 && step_http_codec_path_fault((struct str){at, len}) != NULL))
		return false;
	memcpy(out_base, at, len);
	out_base[len] = '\0';
	return true;
}

int service_codec_url(const char *name, const char *url, struct service_codec_url *out_url, struct err *err)
{
	struct service_codec_url parsed = {.is_tls = url != NULL && strncmp(url, "https://", 8) == 0};
	const char *rest = NULL;

	if (url != NULL && strchr(url, '@') == NULL && (parsed.is_tls || strncmp(url, "http://", 7) == 0))
		rest = service_url_host(url + (parsed.is_tls ? 8 : 7), parsed.host, sizeof(parsed.host));
	parsed.port = parsed.is_tls ? 443 : 80;
	if (rest != NULL)
		rest = service_url_port(rest, &parsed.port);
	if (rest == NULL || !service_url_base(rest, parsed.base, sizeof(parsed.base)))
		return err_set(err, -EINVAL,
			       "service %s: the URL \"%.120s\" must be http://HOST[:PORT][/PATH] or https://..., "
			       "without a query; a user or a key is given apart",
			       name,
			       url == NULL                ? ""
			       : strchr(url, '@') != NULL ? "...@..."
							  : url);
	*out_url = parsed;
	return 0;
}

/* ---- answers ---- */

static enum verdict service_verdict(enum call_kind kind, uint16_t status)
{
	if (status >= 200 && status < 300)
		return VERDICT_OK;
	if (kind == CALL_CHECK)
		return status == 404                    ? VERDICT_PERMANENT
		       : status == 425 || status == 429 ? VERDICT_TRANSIENT
							: VERDICT_DOUBT;
	if (status == 425 || status == 429)
		return VERDICT_TRANSIENT;
	return status >= 400 && status < 500 ? VERDICT_PERMANENT : VERDICT_DOUBT;
}

static const char *service_meaning(enum call_kind kind, enum verdict verdict, uint16_t status)
{
	if (kind == CALL_CHECK)
		return verdict == VERDICT_PERMANENT ? "the do has not run" : "it can't say whether the do has run";
	if (verdict == VERDICT_TRANSIENT)
		return "it will be tried again";
	if (verdict == VERDICT_PERMANENT)
		return "refused";
	return status >= 300 && status < 400
		       ? "a redirection, which sagad doesn't follow; whether it was done is unknown"
		       : "whether it was done is unknown";
}

void service_codec_judge(struct call *call, const char *name, uint16_t status, uint32_t retry_after_s, struct str reply,
			 size_t max_result_bytes)
{
	enum verdict verdict = service_verdict(call->kind, status);
	char excerpt[120];

	if (verdict == VERDICT_OK) {
		step_http_codec_result(call, status, reply, max_result_bytes);
		return;
	}
	step_http_codec_excerpt(reply, excerpt, sizeof(excerpt));
	step_codec_fail(call, name, verdict, "HTTP %u: %s%s%s", status, service_meaning(call->kind, verdict, status),
			excerpt[0] != '\0' ? ": " : "", excerpt);
	if (verdict == VERDICT_TRANSIENT)
		call->retry_after_ms = (uint64_t)retry_after_s * 1000;
}
