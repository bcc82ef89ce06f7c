#include "qdrant_steps_codec.h"

#include <stdio.h>
#include <string.h>

#define TARGET "qdrant"
#define ROOT   "/collections/"

/* ---- requests ---- */

struct qdrant_route {
	const char *method;
	const char *under; /* after the collection's name; a '*' at its end is one segment */
	enum qdrant_steps_kind kind;
};

/* Qdrant's OpenAPI 1.10 to 1.18. What isn't here is refused. */
static const struct qdrant_route qdrant_routes[] = {
	{"GET", "", QDRANT_STEPS_READ},
	{"GET", "/exists", QDRANT_STEPS_READ},
	{"PUT", "", QDRANT_STEPS_CHANGE},
	{"PATCH", "", QDRANT_STEPS_CHANGE},
	{"DELETE", "", QDRANT_STEPS_CHANGE},
	{"PUT", "/index", QDRANT_STEPS_WRITE},
	{"DELETE", "/index/*", QDRANT_STEPS_WRITE},
	{"PUT", "/points", QDRANT_STEPS_WRITE},
	{"POST", "/points/delete", QDRANT_STEPS_WRITE},
	{"POST", "/points/batch", QDRANT_STEPS_BATCH},
	{"PUT", "/points/vectors", QDRANT_STEPS_WRITE},
	{"POST", "/points/vectors/delete", QDRANT_STEPS_WRITE},
	{"POST", "/points/payload", QDRANT_STEPS_WRITE},
	{"PUT", "/points/payload", QDRANT_STEPS_WRITE},
	{"POST", "/points/payload/delete", QDRANT_STEPS_WRITE},
	{"POST", "/points/payload/clear", QDRANT_STEPS_WRITE},
	{"POST", "/points", QDRANT_STEPS_READ},
	{"GET", "/points/*", QDRANT_STEPS_READ},
	{"POST", "/points/scroll", QDRANT_STEPS_READ},
	{"POST", "/points/count", QDRANT_STEPS_READ},
	{"POST", "/points/query", QDRANT_STEPS_READ},
	{"POST", "/points/query/*", QDRANT_STEPS_READ},
	{"POST", "/points/search", QDRANT_STEPS_READ},
	{"POST", "/points/search/*", QDRANT_STEPS_READ},
	{"POST", "/points/recommend", QDRANT_STEPS_READ},
	{"POST", "/points/recommend/*", QDRANT_STEPS_READ},
	{"POST", "/points/discover", QDRANT_STEPS_READ},
	{"POST", "/points/discover/*", QDRANT_STEPS_READ},
	{"POST", "/facet", QDRANT_STEPS_READ},
};

static bool qdrant_is_route(const struct qdrant_route *route, const char *method, struct str under)
{
	size_t len = strlen(route->under);

	if (strcmp(route->method, method) != 0)
		return false;
	if (len == 0 || route->under[len - 1] != '*')
		return str_is_equal(under, str_of(route->under));
	len--;
	return under.len > len && memcmp(under.at, route->under, len) == 0 &&
	       memchr(under.at + len, '/', under.len - len) == NULL;
}

static const struct qdrant_route *qdrant_route_find(const char *method, struct str under)
{
	for (size_t i = 0; i < ARRAY_LEN(qdrant_routes); i++)
		if (qdrant_is_route(&qdrant_routes[i], method, under))
			return &qdrant_routes[i];
	return NULL;
}

static bool qdrant_is_of(struct str text, const char *more)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!is_plain && (c == '\0' || strchr(more, c) == NULL))
			return false;
	}
	return text.len > 0;
}

static struct str qdrant_until(struct str text, char end)
{
	const char *at = text.len > 0 ? memchr(text.at, end, text.len) : NULL;

	return (struct str){text.at, at != NULL ? (size_t)(at - text.at) : text.len};
}

static struct str qdrant_past(struct str text, size_t n)
{
	return (struct str){text.at + n, text.len - n};
}

/* The field of an index may need encoding ("a.b[].c"), but not as a slash, nor so that a second decoding makes one. */
static bool qdrant_hides_slash(struct str under)
{
	static const char *const hidden[] = {"2f", "2F", "5c", "5C", "25"};

	for (size_t i = 0; i + 2 < under.len; i++)
		for (size_t k = 0; under.at[i] == '%' && k < ARRAY_LEN(hidden); k++)
			if (memcmp(under.at + i + 1, hidden[k], 2) == 0)
				return true;
	return false;
}

/* Appends the parameters that may be given; `wait` is sagad's own. */
static const char *qdrant_query(struct str query, struct buf *out, char sep)
{
	static const char *const allowed[] = {"ordering", "timeout", "consistency"};

	while (query.len > 0) {
		struct str item = qdrant_until(query, '&'), name = qdrant_until(item, '=');
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
			is_known |= str_is_equal(name, str_of(allowed[i]));
		if (is_known && qdrant_is_of(qdrant_past(item, name.len), "=_")) {
			buf_append(out, &sep, 1);
			buf_append_str(out, item);
			sep = '&';
		} else if (!str_is_equal(item, str_of("wait=true"))) {
			return "after the '?' only ordering, timeout, consistency and wait=true may stand";
		}
		query = qdrant_past(query, item.len + (item.len < query.len));
	}
	return NULL;
}

/* NULL: good. */
static const char *qdrant_read_path(const struct step_http *http, const char *documents, struct buf *out,
				    enum qdrant_steps_kind *out_kind)
{
	struct str path = qdrant_until(http->path, '?'), query = qdrant_past(http->path, path.len);
	struct str name, under;
	const struct qdrant_route *route;
	bool has_wait;

	if (path.len < strlen(ROOT) || memcmp(path.at, ROOT, strlen(ROOT)) != 0)
		return "the path must begin with " ROOT;
	under = qdrant_past(path, strlen(ROOT));
	name = qdrant_until(under, '/');
	under = qdrant_past(under, name.len);
	if (!qdrant_is_of(name, "_-.") || name.at[0] == '.')
		return "the collection's name may have letters, digits, '_', '-' and '.', and not begin with '.'";
	route = str_is_equal(name, str_of("aliases")) ? NULL : qdrant_route_find(http->method, under);
	if (route == NULL || qdrant_hides_slash(under))
		return "a step may reach a collection, its points and its indexes only, with Qdrant's own methods";
	if (route->kind != QDRANT_STEPS_READ && str_is_equal(name, str_of(documents)))
		return "the documents' own collection may only be read; use a step on documents";
	has_wait = route->kind == QDRANT_STEPS_WRITE || route->kind == QDRANT_STEPS_BATCH;
	buf_append_str(out, path);
	if (has_wait)
		buf_append_text(out, "?wait=true");
	*out_kind = route->kind;
	return qdrant_query(query.len > 0 ? qdrant_past(query, 1) : query, out, has_wait ? '&' : '?');
}

bool qdrant_steps_codec_ask(struct call *call, const struct step_http *http, const char *documents,
			    struct buf *out_path, enum qdrant_steps_kind *out_kind)
{
	const char *fault = http->headers != NULL ? "a step on qdrant has no headers"
						  : qdrant_read_path(http, documents, out_path, out_kind);

	if (fault == NULL)
		return true;
	step_codec_fail(call, TARGET, VERDICT_PERMANENT, "%s", fault);
	return false;
}

/* ---- replies ---- */

static bool qdrant_is_completed(yyjson_val *result)
{
	return yyjson_equals_str(yyjson_obj_get(result, "status"), "completed");
}

/* Is what a 2xx brought the whole effect? `acknowledged` and `wait_timeout` come with a 200, too. */
static bool qdrant_is_done(enum qdrant_steps_kind kind, yyjson_val *root)
{
	yyjson_val *result = yyjson_obj_get(root, "result"), *one;
	size_t i, n;

	if (!yyjson_equals_str(yyjson_obj_get(root, "status"), "ok"))
		return false;
	switch (kind) {
	case QDRANT_STEPS_READ:
		return true;
	case QDRANT_STEPS_WRITE:
		return qdrant_is_completed(result);
	case QDRANT_STEPS_BATCH:
		yyjson_arr_foreach(result, i, n, one) if (!qdrant_is_completed(one)) return false;
		return yyjson_is_arr(result);
	case QDRANT_STEPS_CHANGE:
		return yyjson_is_bool(result); /* false: there was nothing to delete */
	}
	return false;
}

static enum verdict qdrant_refusal(enum qdrant_steps_kind kind, uint16_t status)
{
	if (status == 401 || status == 403)
		return VERDICT_MISCONFIGURED;
	if (status == 429)
		return VERDICT_TRANSIENT;
	if (status >= 400 && status < 500 && status != 408)
		return kind == QDRANT_STEPS_BATCH ? VERDICT_DOUBT : VERDICT_PERMANENT;
	return kind == QDRANT_STEPS_READ ? VERDICT_TRANSIENT : VERDICT_DOUBT;
}

static const char *qdrant_meaning(enum verdict verdict, uint16_t status)
{
	switch (verdict) {
	case VERDICT_MISCONFIGURED:
		return "check the API key, and that it may do this";
	case VERDICT_TRANSIENT:
		return "it will be tried again";
	case VERDICT_PERMANENT:
		return status == 404 ? "refused; is the collection missing?" : "refused";
	case VERDICT_OK:
	case VERDICT_OUTAGE:
	case VERDICT_DOUBT:
		break;
	}
	return "whether it was done is unknown";
}

/* The server's own words: {"status":{"error":"..."}}, or the reply as it is. */
static void qdrant_words(yyjson_val *root, struct str reply, char *out_text, size_t size_bytes)
{
	yyjson_val *error = yyjson_obj_get(yyjson_obj_get(root, "status"), "error");

	if (yyjson_is_str(error))
		reply = (struct str){yyjson_get_str(error), yyjson_get_len(error)};
	step_http_codec_excerpt(reply, out_text, size_bytes);
}

void qdrant_steps_codec_judge(struct call *call, enum qdrant_steps_kind kind, uint16_t status, uint32_t retry_after_s,
			      struct str reply, size_t max_result_bytes)
{
	yyjson_doc *doc = reply.at != NULL ? yyjson_read(reply.at, reply.len, YYJSON_READ_NUMBER_AS_RAW) : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc);
	bool is_done = status >= 200 && status < 300 && qdrant_is_done(kind, root);
	enum verdict verdict = is_done ? VERDICT_OK : qdrant_refusal(kind, status);
	char words[200];

	if (is_done) {
		step_http_codec_result(call, status, reply, max_result_bytes);
	} else {
		qdrant_words(root, reply, words, sizeof(words));
		step_codec_fail(call, TARGET, verdict, "HTTP %u: %s%s%s", status, qdrant_meaning(verdict, status),
				words[0] != '\0' ? ": " : "", words);
	}
	if (verdict == VERDICT_TRANSIENT)
		call->retry_after_ms = (uint64_t)retry_after_s * 1000;
	yyjson_doc_free(doc);
}
