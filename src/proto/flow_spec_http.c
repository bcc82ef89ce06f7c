/* What a client may say of an HTTP request: never where it goes, nor what would make two requests of one. */
#include "flow_spec_parts.h"

#include <stdio.h>
#include <strings.h>

#define HEADERS_MAX        32
#define HEADER_NAME_BYTES  128
#define HEADER_VALUE_BYTES 8192

enum { HTTP_METHOD, HTTP_PATH, HTTP_BODY, HTTP_HEADERS, HTTP_MEMBERS };
static const char *const http_names[HTTP_MEMBERS] = {
	[HTTP_METHOD] = "method", [HTTP_PATH] = "path", [HTTP_BODY] = "body", [HTTP_HEADERS] = "headers"};

static const char *const http_methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

/* The connection's own, and what tells a repeated request from a new one: they are sagad's. */
static const char *const http_own_headers[] = {
	"connection", "content-length",      "expect",           "host",    "idempotency-key",   "keep-alive",
	"te",         "proxy-authorization", "proxy-connection", "trailer", "transfer-encoding", "upgrade",
};

static bool http_is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool http_is_token(struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!http_is_token_char(name.at[i]))
			return false;
	return name.len > 0;
}

/* Tab and what is visible; bytes beyond ASCII as they are. */
static bool http_is_field_value(struct str value)
{
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.at[i] < ' ' && value.at[i] != '\t') || value.at[i] == 0x7f)
			return false;
	return true;
}

static int http_read_header(struct reader *reader, struct str name, yyjson_val *val)
{
	struct str value = {yyjson_get_str(val), yyjson_get_len(val)};

	if (name.len > HEADER_NAME_BYTES || !http_is_token(name))
		return reader_fault(reader, CODE_INVALID_FIELD, "is no name of a header (letters, digits and '-')");
	for (size_t i = 0; i < ARRAY_LEN(http_own_headers); i++)
		if (strlen(http_own_headers[i]) == name.len && strncasecmp(http_own_headers[i], name.at, name.len) == 0)
			return reader_fault(reader, CODE_INVALID_FIELD,
					    "is a header that sagad writes itself; leave it out");
	if (value.at == NULL)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be a string, not %s", reader_kind(val));
	if (value.len > HEADER_VALUE_BYTES)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu bytes; a header's value may have %d",
				    value.len, HEADER_VALUE_BYTES);
	if (!http_is_field_value(value))
		return reader_fault(
			reader, CODE_INVALID_FIELD,
			"holds a line break or another control character, which could begin another header");
	return 0;
}

static int http_read_headers(struct reader *reader, yyjson_val *headers)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	if (headers == NULL || yyjson_is_null(headers))
		return 0;
	reader_enter(reader, str_of("headers"));
	if (!yyjson_is_obj(headers))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an object of strings, not %s",
				    reader_kind(headers));
	if (yyjson_obj_size(headers) > HEADERS_MAX)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu headers; a request may have %d",
				    yyjson_obj_size(headers), HEADERS_MAX);
	yyjson_obj_iter_init(headers, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)) != NULL) {
		struct str name = {yyjson_get_str(key), yyjson_get_len(key)};

		reader_enter(reader, name);
		rc = http_read_header(reader, name, yyjson_obj_iter_get_val(key));
		if (rc == 0)
			reader_leave(reader);
	}
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static bool http_is_escape(const char *at, size_t n_bytes, const char *hex)
{
	return n_bytes >= 3 && at[0] == '%' && strncasecmp(at + 1, hex, 2) == 0;
}

/* "." or "..", also with its dots escaped. */
static bool http_is_dots(const char *at, size_t n_bytes)
{
	size_t n_dots = 0, i = 0;

	while (i < n_bytes) {
		if (at[i] == '.')
			i++;
		else if (http_is_escape(at + i, n_bytes - i, "2e"))
			i += 3;
		else
			return false;
		n_dots++;
	}
	return n_dots == 1 || n_dots == 2;
}

static const char *http_segment_fault(const char *at, size_t n_bytes)
{
	if (http_is_dots(at, n_bytes))
		return "has a part that is '.' or '..', which could lead elsewhere";
	for (size_t i = 0; i < n_bytes; i++)
		if (http_is_escape(at + i, n_bytes - i, "2f") || http_is_escape(at + i, n_bytes - i, "5c") ||
		    http_is_escape(at + i, n_bytes - i, "00"))
			return "has an escaped slash, backslash or NUL, which servers read in different ways";
	return NULL;
}

const char *flow_http_path_fault(struct str path, const char *begin)
{
	size_t end = 0, from;
	const char *fault;

	for (size_t i = 0; i < path.len; i++)
		if ((unsigned char)path.at[i] <= ' ' || (unsigned char)path.at[i] >= 0x7f ||
		    strchr("\\#\"<>^`{|}", path.at[i]) != NULL)
			return "has a space, a control character, '#', a backslash, or what must be percent-encoded";
	while (end < path.len && path.at[end] != '?')
		end++;
	if (end >= 2 && path.at[0] == '/' && path.at[1] == '/')
		return "is a URL without its scheme; it must begin with one '/': the configuration says where the "
		       "service is";
	if (path.len < strlen(begin) || strncmp(path.at, begin, strlen(begin)) != 0)
		return memmem(path.at, end, "://", 3) != NULL
			       ? "is a URL; it must be a path that begins with '/': the configuration says where the "
				 "service is"
			       : "doesn't begin as it must";
	for (from = 1; from <= end; from++) {
		size_t to = from;

		while (to < end && path.at[to] != '/')
			to++;
		fault = http_segment_fault(path.at + from, to - from);
		if (fault != NULL)
			return fault;
		from = to;
	}
	return NULL;
}

static int http_read_path_text(struct reader *reader, yyjson_val *val, const char *begin)
{
	struct str path = {yyjson_get_str(val), yyjson_get_len(val)};
	const char *fault;

	if (path.len > FLOW_PATH_BYTES)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu bytes; a path may have %d", path.len,
				    FLOW_PATH_BYTES);
	fault = flow_http_path_fault(path, begin);
	if (fault != NULL)
		return reader_fault(reader, CODE_INVALID_FIELD, "'%.80s' %s (it must begin with '%s')", path.at, fault,
				    begin);
	return 0;
}

/* A part is percent-encoded whole, so only what no encoding hides is refused. */
static int http_read_path_part(struct flow_place_of *place, yyjson_val *val)
{
	struct reader *reader = place->draft->reader;
	struct str part = {yyjson_get_str(val), yyjson_get_len(val)};

	if (flow_value_is_reference(val))
		return flow_value_read_reference(place, val);
	if (part.at == NULL)
		return reader_fault(reader, CODE_INVALID_FIELD, "must be a string or a reference, not %s",
				    reader_kind(val));
	if (part.len == 0 || http_is_dots(part.at, part.len) || memchr(part.at, '\0', part.len) != NULL ||
	    memchr(part.at, '/', part.len) != NULL)
		return reader_fault(reader, CODE_INVALID_FIELD,
				    "must be one part of a path: not empty, not '.' or '..', without '/'");
	return 0;
}

static int http_read_path_parts(struct flow_place_of *place, yyjson_val *array, bool is_qdrant)
{
	struct reader *reader = place->draft->reader;
	yyjson_arr_iter iter;
	yyjson_val *val;
	int rc = 0;

	if (yyjson_arr_size(array) == 0 || yyjson_arr_size(array) > FLOW_PATH_PARTS_MAX)
		return reader_fault(reader, CODE_INVALID_FIELD, "must have 1 to %d parts", FLOW_PATH_PARTS_MAX);
	if (is_qdrant && (yyjson_arr_size(array) < 2 || !yyjson_equals_str(yyjson_arr_get_first(array), "collections")))
		return reader_fault(reader, CODE_INVALID_FIELD, "must begin with \"collections\" and have a part more");
	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = http_read_path_part(place, val);
		if (rc == 0)
			reader_leave(reader);
	}
	return rc;
}

static int http_read_path(struct flow_place_of *place, struct member member, bool is_qdrant)
{
	struct reader *reader = place->draft->reader;
	int rc;

	if (member.val == NULL)
		return reader_fault_in(reader, "path", CODE_MISSING_FIELD, "must be given, a path like \"%s\"",
				       is_qdrant ? "/collections/NAME/points" : "/charges");
	reader_enter(reader, str_of("path"));
	if (yyjson_is_arr(member.val))
		place->draft->steps[place->step].made.path_parts |= (uint8_t)(1u << place->body);
	if (yyjson_is_arr(member.val))
		rc = http_read_path_parts(place, member.val, is_qdrant);
	else if (yyjson_is_str(member.val))
		rc = http_read_path_text(reader, member.val, is_qdrant ? "/collections/" : "/");
	else
		return reader_fault(reader, CODE_INVALID_FIELD, "must be a string, or an array of its parts, not %s",
				    reader_kind(member.val));
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int http_read_method(struct reader *reader, struct member member)
{
	if (member.val == NULL)
		return reader_fault_in(reader, "method", CODE_MISSING_FIELD,
				       "must be given: GET, POST, PUT, PATCH or DELETE");
	for (size_t i = 0; i < ARRAY_LEN(http_methods); i++)
		if (yyjson_equals_str(member.val, http_methods[i]))
			return 0;
	return reader_fault_in(reader, "method", CODE_INVALID_FIELD, "must be GET, POST, PUT, PATCH or DELETE");
}

int flow_http_read(struct flow_place_of *place, yyjson_val *object, bool is_qdrant)
{
	const char *what = is_qdrant ? "a request to Qdrant" : "a request to a service";
	uint32_t n_names = is_qdrant ? HTTP_HEADERS : HTTP_MEMBERS;
	struct reader *reader = place->draft->reader;
	struct member members[HTTP_MEMBERS] = {0};
	int rc = reader_members(reader, object, what, http_names, n_names, members);

	if (rc == 0)
		rc = http_read_method(reader, members[HTTP_METHOD]);
	if (rc == 0)
		rc = http_read_path(place, members[HTTP_PATH], is_qdrant);
	if (rc == 0)
		rc = http_read_headers(reader, members[HTTP_HEADERS].val);
	if (rc != 0 || members[HTTP_BODY].val == NULL)
		return rc;
	reader_enter(reader, str_of("body"));
	rc = flow_value_read(place, members[HTTP_BODY].val, 1);
	if (rc == 0)
		reader_leave(reader);
	return rc;
}
