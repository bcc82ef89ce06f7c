/* What Qdrant's replies mean, in one table. Statuses as the server 1.18 gives them; some errors are plain text (401),
 * some have no body at all (an unknown route's 404, a 408). */
#include "qdrant_codec.h"

#include <stdio.h>
#include <yyjson.h>

struct qdrant_rule {
	uint16_t from, to; /* statuses, both included */
	enum verdict verdict;
	bool is_shared;
	const char *advice;
};

/* A 5xx comes after the server has read the request, so that parts may have been applied: TRANSIENT allows for that,
 * and leads to the same action as doubt: the same request again. */
static const struct qdrant_rule qdrant_rules[] = {
	{400, 400, VERDICT_PERMANENT, true, "correct the document"},
	{401, 401, VERDICT_MISCONFIGURED, false, "check the API key"},
	{403, 403, VERDICT_MISCONFIGURED, false, "check that the API key may write"},
	{404, 404, VERDICT_MISCONFIGURED, false, "is the collection missing? run: sagactl init"},
	{408, 408, VERDICT_TRANSIENT, false, "the server waited too long for the request"},
	{413, 413, VERDICT_PERMANENT, true, "the request is too large for the server"},
	{422, 422, VERDICT_PERMANENT, true, "correct the document"},
	{429, 429, VERDICT_TRANSIENT, false, "the server limits the rate"},
	{500, 599, VERDICT_TRANSIENT, true, "see the server's log"},
};

/* Statuses that nothing here asks for: another server, or a proxy in between. */
static const struct qdrant_rule qdrant_rule_strange = {0, 0, VERDICT_MISCONFIGURED, false,
						       "is that Qdrant's REST port?"};

static const struct qdrant_rule *qdrant_rule_find(uint16_t status)
{
	for (size_t i = 0; i < ARRAY_LEN(qdrant_rules); i++)
		if (status >= qdrant_rules[i].from && status <= qdrant_rules[i].to)
			return &qdrant_rules[i];
	return &qdrant_rule_strange;
}

static bool qdrant_is_success(uint16_t status)
{
	return status >= 200 && status < 300;
}

/* The server's own words: {"status":{"error":"..."}}, or the body when it isn't JSON. */
static struct str qdrant_error_text(yyjson_doc *doc, struct str reply)
{
	yyjson_val *error = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "status"), "error");

	if (yyjson_is_str(error))
		return (struct str){yyjson_get_str(error), yyjson_get_len(error)};
	if (reply.len == 0)
		return str_of("no text");
	return (struct str){reply.at, reply.len < 200 ? reply.len : 200};
}

static yyjson_doc *qdrant_read(struct str reply)
{
	return reply.at != NULL ? yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG) : NULL;
}

struct qdrant_answer qdrant_answer(uint16_t status, struct str reply, const char *collection, struct err *err)
{
	const struct qdrant_rule *rule = qdrant_rule_find(status);
	yyjson_doc *doc;
	struct str text;

	if (qdrant_is_success(status))
		return (struct qdrant_answer){VERDICT_OK, false};
	doc = qdrant_read(reply);
	text = qdrant_error_text(doc, reply);
	(void)err_set(err, 0, "qdrant: collection %s: %u: %.*s; %s", collection, status,
		      (int)(text.len < 220 ? text.len : 220), text.at, rule->advice);
	yyjson_doc_free(doc);
	return (struct qdrant_answer){rule->verdict, rule->is_shared};
}

/* `acknowledged` and `wait_timeout` come with a 200, too: the write is queued, and nobody knows how it ends. */
struct qdrant_answer qdrant_write_answer(uint16_t status, struct str reply, const char *collection, struct err *err)
{
	struct qdrant_answer answer = {VERDICT_OK, false};
	yyjson_doc *doc;
	yyjson_val *word;

	if (!qdrant_is_success(status))
		return qdrant_answer(status, reply, collection, err);
	doc = qdrant_read(reply);
	word = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "result"), "status");
	if (!yyjson_equals_str(word, "completed")) {
		(void)err_set(err, 0,
			      "qdrant: collection %s: the write's status is \"%.40s\" instead of \"completed\"; "
			      "whether it was done is unknown",
			      collection, yyjson_is_str(word) ? yyjson_get_str(word) : "");
		answer = (struct qdrant_answer){VERDICT_DOUBT, true};
	}
	yyjson_doc_free(doc);
	return answer;
}

void qdrant_version_parse(struct str reply, char *out_version, size_t size_bytes)
{
	yyjson_doc *doc = qdrant_read(reply);
	yyjson_val *root = yyjson_doc_get_root(doc), *title = yyjson_obj_get(root, "title");
	yyjson_val *version = yyjson_obj_get(root, "version");

	/* A stand-in says so in its title; "qdrant - vector search engine" adds nothing. */
	out_version[0] = '\0';
	if (yyjson_is_str(version) && yyjson_is_str(title) && strstr(yyjson_get_str(title), "stand-in") != NULL)
		(void)snprintf(out_version, size_bytes, "%.24s (%s)", yyjson_get_str(version), yyjson_get_str(title));
	else if (yyjson_is_str(version))
		(void)snprintf(out_version, size_bytes, "%s", yyjson_get_str(version));
	yyjson_doc_free(doc);
}
