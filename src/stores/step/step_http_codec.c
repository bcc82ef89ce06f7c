#include "step_http_codec.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct str step_http_text(yyjson_val *val)
{
	return (struct str){yyjson_get_str(val), yyjson_get_len(val)};
}

/* ---- paths ---- */

static int step_http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes each %XX in place, in memory of the caller's. False: a '%' that leads no byte, or leads a control character.
 */
static bool step_http_decode(char *text, size_t *len)
{
	size_t to = 0;

	for (size_t i = 0; i < *len; i++) {
		int high, low;

		if (text[i] != '%') {
			text[to++] = text[i];
			continue;
		}
		high = i + 2 < *len ? step_http_hex(text[i + 1]) : -1;
		low = i + 2 < *len ? step_http_hex(text[i + 2]) : -1;
		if (high < 0 || low < 0 || (high << 4 | low) < 0x20 || (high << 4 | low) == 0x7f)
			return false;
		text[to++] = (char)(high << 4 | low);
		i += 2;
	}
	*len = to;
	return true;
}

/* Is a segment "." or ".."? Some servers take a backslash for a slash, and what follows a ';' for a parameter. */
static bool step_http_climbs(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = 0, n_dots = 0;

		while (i + n < len && text[i + n] != '/' && text[i + n] != '\\')
			n++;
		while (n_dots < n && text[i + n_dots] == '.')
			n_dots++;
		if ((n_dots == 1 || n_dots == 2) && (n_dots == n || text[i + n_dots] == ';'))
			return true;
		i += n + 1;
	}
	return false;
}

static const char *step_http_bytes_fault(struct str path)
{
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.at[i];

		if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}#", c) != NULL)
			return "the path has a character that must be percent-encoded";
	}
	return NULL;
}

const char *step_http_codec_path_fault(struct str path)
{
	const char *query, *fault;
	char text[STEP_HTTP_PATH_MAX];
	size_t len;

	if (path.at == NULL || path.len == 0 || path.at[0] != '/' || (path.len > 1 && path.at[1] == '/'))
		return "the path must begin with one '/'; host and scheme are the configuration's";
	if (path.len >= sizeof(text))
		return "the path is longer than 4095 bytes";
	fault = step_http_bytes_fault(path);
	if (fault != NULL)
		return fault;
	query = memchr(path.at, '?', path.len);
	len = query != NULL ? (size_t)(query - path.at) : path.len;
	memcpy(text, path.at, len);
	/* Twice: a proxy may decode once, and the service behind it again. */
	for (int i = 0; i < 3; i++) {
		if (step_http_climbs(text, len))
			return "the path has a segment \".\" or \"..\"";
		if (i < 2 && !step_http_decode(text, &len))
			return i == 0 ? "the path has a '%' that encodes no visible byte" : NULL;
	}
	return NULL;
}

/* ---- headers ---- */

static bool step_http_is_token(struct str name)
{
	static const char allowed[] =
		"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"; /* RFC 9110, 5.6.2 */

	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] == '\0' || strchr(allowed, name.at[i]) == NULL)
			return false;
	return name.len > 0 && name.len <= 100;
}

static bool step_http_is_name(struct str name, const char *other)
{
	size_t len = strlen(other);

	if (name.len != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char a = name.at[i], b = other[i];

		a = (char)(a >= 'A' && a <= 'Z' ? a + 32 : a);
		b = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
		if (a != b)
			return false;
	}
	return true;
}

const char *step_http_codec_header_fault(struct str name, struct str value, const char *own)
{
	static const char *const forbidden[] = {"host",
						"content-length",
						"content-type",
						"content-encoding",
						"transfer-encoding",
						"connection",
						"expect",
						"keep-alive",
						"te",
						"trailer",
						"upgrade",
						"accept",
						"cookie2",
						"http2-settings",
						"accept-encoding",
						"proxy-connection",
						"proxy-authorization",
						"idempotency-key"};

	if (name.at == NULL || !step_http_is_token(name))
		return "its name is not a header's";
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
		if (step_http_is_name(name, forbidden[i]))
			return "sagad sets it itself";
	if (own != NULL && step_http_is_name(name, own))
		return "the configuration sets it";
	if (value.at == NULL || value.len > STEP_HTTP_HEADER_MAX)
		return "its value must be a string of at most 4096 bytes";
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "its value has a control character (a line break would inject another header)";
	}
	return NULL;
}

/* ---- requests ---- */

static const char *step_http_method(struct str name)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_is_equal(name, str_of(methods[i])))
			return methods[i];
	return NULL;
}

bool step_http_codec_read(struct call *call, const char *target, yyjson_doc *doc, struct step_http *out_http)
{
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct step_http http = {
		.method = step_http_method(step_http_text(yyjson_obj_get(root, "method"))),
		.path = step_http_text(yyjson_obj_get(root, "path")),
		.headers = yyjson_obj_get(root, "headers"),
		.body = yyjson_obj_get(root, "body"),
	};
	const char *fault = step_http_codec_path_fault(http.path);

	if (http.method == NULL)
		fault = "the method must be GET, POST, PUT, PATCH or DELETE";
	else if (http.headers != NULL && !yyjson_is_obj(http.headers))
		fault = "the headers must be an object";
	else if (yyjson_obj_size(http.headers) > STEP_HTTP_HEADERS_MAX)
		fault = "more than 16 headers";
	if (fault != NULL) {
		step_codec_fail(call, target, VERDICT_PERMANENT, "%s", fault);
		return false;
	}
	http.is_read = strcmp(http.method, "GET") == 0;
	*out_http = http;
	return true;
}

bool step_http_codec_body(struct call *call, const char *target, const struct step_http *http, struct buf *out_text,
			  struct str *out_body)
{
	size_t len = 0;
	char *json;

	if (http->body == NULL) {
		*out_body = http->is_read ? STR_NONE : (struct str){"", 0};
		return true;
	}
	json = yyjson_val_write(http->body, YYJSON_WRITE_NOFLAG, &len);
	if (json == NULL) {
		step_codec_fail(call, target, VERDICT_TRANSIENT, "no memory for the request");
		return false;
	}
	buf_fini(out_text);
	*out_text = (struct buf){.at = json, .len = len, .size_bytes = len + 1};
	*out_body = buf_str(out_text);
	return true;
}

/* ---- replies ---- */

static yyjson_mut_val *step_http_reply_value(yyjson_mut_doc *out, struct str reply)
{
	yyjson_doc *doc;
	yyjson_mut_val *val;

	if (reply.at == NULL || reply.len == 0)
		return yyjson_mut_null(out);
	doc = yyjson_read(reply.at, reply.len, YYJSON_READ_NUMBER_AS_RAW);
	val = doc != NULL ? yyjson_val_mut_copy(out, yyjson_doc_get_root(doc)) : step_codec_string(out, reply);
	yyjson_doc_free(doc);
	return val;
}

void step_http_codec_result(struct call *call, uint16_t status, struct str reply, size_t max_bytes)
{
	yyjson_mut_doc *out = reply.len <= max_bytes ? yyjson_mut_doc_new(NULL) : NULL;
	yyjson_mut_val *root = out != NULL ? yyjson_mut_obj(out) : NULL;
	bool is_whole = root != NULL && yyjson_mut_obj_add_uint(out, root, "status", status) &&
			yyjson_mut_obj_add_val(out, root, "body", step_http_reply_value(out, reply));

	if (is_whole)
		yyjson_mut_doc_set_root(out, root);
	step_codec_done(call, is_whole ? out : NULL, max_bytes);
	yyjson_mut_doc_free(out);
}

void step_http_codec_excerpt(struct str reply, char *out_text, size_t size_bytes)
{
	size_t n = reply.len < size_bytes - 1 ? reply.len : size_bytes - 1;

	if (n > 0)
		memcpy(out_text, reply.at, n);
	out_text[n] = '\0';
	step_codec_scrub(out_text, n);
	for (char *at = out_text; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20)
			*at = ' ';
}
