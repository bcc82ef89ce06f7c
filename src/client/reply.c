#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int client_reply_fill(struct sagad_reply *reply)
{
	yyjson_val *root = yyjson_doc_get_root(reply->doc), *id = yyjson_obj_get(root, "id"), *data;
	yyjson_val *result = yyjson_obj_get(root, "result");

	reply->error = yyjson_obj_get(root, "error");
	if ((reply->error == NULL) == (result == NULL) || (reply->error != NULL && !yyjson_is_obj(reply->error)))
		return -EPROTO;
	if (!yyjson_is_uint(id) && !yyjson_is_null(id))
		return -EPROTO;
	reply->id = yyjson_get_uint(id);
	data = yyjson_obj_get(reply->error, "data");
	reply->top = result != NULL ? result : data;
	if (reply->top == NULL)
		return 0;
	reply->json = yyjson_val_write(reply->top, YYJSON_WRITE_NOFLAG, NULL);
	return reply->json != NULL ? 0 : -ENOMEM;
}

int client_reply_parse(const char *line, size_t len, struct sagad_reply **out_reply)
{
	struct sagad_reply *reply = calloc(1, sizeof(*reply));
	yyjson_read_err error = {0};
	int rc = -ENOMEM;

	if (reply == NULL)
		return -ENOMEM;
	list_init(&reply->node);
	reply->line = malloc(len + 1);
	if (reply->line == NULL)
		goto free_reply;
	memcpy(reply->line, line, len);
	reply->line[len] = '\0';
	reply->doc = yyjson_read_opts(reply->line, len, YYJSON_READ_NOFLAG, NULL, &error);
	if (reply->doc == NULL) {
		rc = error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? -ENOMEM : -EPROTO;
		goto free_reply;
	}
	rc = client_reply_fill(reply);
	if (rc != 0)
		goto free_reply;
	*out_reply = reply;
	return 0;
free_reply:
	sagad_reply_free(reply);
	return rc;
}

static const char *client_reply_text_or(yyjson_val *object, const char *name, const char *otherwise)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, name));

	return text != NULL ? text : otherwise;
}

uint64_t sagad_reply_id(const struct sagad_reply *reply)
{
	return reply->id;
}

int sagad_reply_is_error(const struct sagad_reply *reply)
{
	return reply->error != NULL;
}

const char *sagad_reply_code(const struct sagad_reply *reply)
{
	return reply->error != NULL ? client_reply_text_or(reply->top, "code", "") : "";
}

const char *sagad_reply_message(const struct sagad_reply *reply)
{
	return client_reply_text_or(reply->error, "message", "");
}

int sagad_reply_is_retriable(const struct sagad_reply *reply)
{
	return reply->error != NULL && yyjson_get_bool(yyjson_obj_get(reply->top, "retriable"));
}

uint64_t sagad_reply_retry_after_ms(const struct sagad_reply *reply)
{
	return sagad_reply_number(reply, "retry_after_ms", 0);
}

const char *sagad_reply_json(const struct sagad_reply *reply)
{
	return reply->json != NULL ? reply->json : "null";
}

const char *sagad_reply_text(const struct sagad_reply *reply, const char *name)
{
	return client_reply_text_or(reply->top, name, NULL);
}

uint64_t sagad_reply_number(const struct sagad_reply *reply, const char *name, uint64_t otherwise)
{
	yyjson_val *val = yyjson_obj_get(reply->top, name);

	return yyjson_is_uint(val) ? yyjson_get_uint(val) : otherwise;
}

const char *sagad_reply_line(const struct sagad_reply *reply)
{
	return reply->line;
}

void sagad_reply_free(struct sagad_reply *reply)
{
	if (reply == NULL)
		return;
	yyjson_doc_free(reply->doc);
	free(reply->json);
	free(reply->line);
	free(reply);
}
