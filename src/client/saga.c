/* A saga, written step by step. The first thing that goes wrong is kept, and everything after it does nothing. */
#include "base/err.h"
#include "sagad/client.h"

#include <yyjson.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sagad_saga {
	yyjson_mut_doc *doc;
	yyjson_mut_val *root, *steps;
	yyjson_mut_val *last; /* the step that was added last; NULL: none */
	struct err err;
	int rc;
};

struct sagad_saga *sagad_saga_create(void)
{
	struct sagad_saga *saga = calloc(1, sizeof(*saga));

	if (saga == NULL)
		return NULL;
	saga->doc = yyjson_mut_doc_new(NULL);
	saga->root = yyjson_mut_obj(saga->doc);
	saga->steps = yyjson_mut_arr(saga->doc);
	if (!yyjson_mut_obj_add_val(saga->doc, saga->root, "steps", saga->steps)) {
		sagad_saga_free(saga);
		return NULL;
	}
	return saga;
}

void sagad_saga_free(struct sagad_saga *saga)
{
	if (saga == NULL)
		return;
	yyjson_mut_doc_free(saga->doc);
	free(saga);
}

static int saga_no_memory(struct sagad_saga *saga)
{
	saga->rc = err_set(&saga->err, -ENOMEM, "out of memory");
	return saga->rc;
}

/* Sets a member to a value, which may be NULL for want of memory. Both texts are copied. */
static int saga_put(struct sagad_saga *saga, yyjson_mut_val *object, const char *member, yyjson_mut_val *value)
{
	if (saga->rc != 0)
		return saga->rc;
	if (value == NULL || !yyjson_mut_obj_put(object, yyjson_mut_strcpy(saga->doc, member), value))
		return saga_no_memory(saga);
	return 0;
}

static int saga_put_text(struct sagad_saga *saga, yyjson_mut_val *object, const char *member, const char *text)
{
	return saga_put(saga, object, member, yyjson_mut_strcpy(saga->doc, text));
}

static int saga_put_json(struct sagad_saga *saga, yyjson_mut_val *object, const char *member, const char *json)
{
	yyjson_read_err error;
	yyjson_doc *doc;
	int rc;

	if (saga->rc != 0)
		return saga->rc;
	doc = yyjson_read_opts((char *)(uintptr_t)json, strlen(json), YYJSON_READ_BIGNUM_AS_RAW, NULL, &error);
	if (doc == NULL && error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return saga_no_memory(saga);
	if (doc == NULL) {
		saga->rc = err_set(&saga->err, -EINVAL, "%s: byte %zu is no JSON: %s", member, error.pos, error.msg);
		return saga->rc;
	}
	rc = saga_put(saga, object, member, yyjson_val_mut_copy(saga->doc, yyjson_doc_get_root(doc)));
	yyjson_doc_free(doc);
	return rc;
}

static int saga_add(struct sagad_saga *saga, const char *name, const char *where, const char *target,
		    const char *do_json, const char *undo_json)
{
	int rc;

	if (saga == NULL)
		return -ENOMEM;
	if (saga->rc != 0)
		return saga->rc;
	saga->last = yyjson_mut_obj(saga->doc);
	if (!yyjson_mut_arr_append(saga->steps, saga->last))
		return saga_no_memory(saga);
	rc = saga_put_text(saga, saga->last, "name", name);
	if (rc == 0)
		rc = saga_put_text(saga, saga->last, where, target);
	if (rc == 0)
		rc = saga_put_json(saga, saga->last, "do", do_json);
	if (rc == 0 && undo_json != NULL)
		rc = saga_put_json(saga, saga->last, "undo", undo_json);
	if (rc != 0)
		err_prefix(&saga->err, "step '%s': ", name);
	return rc;
}

int sagad_saga_add_step(struct sagad_saga *saga, const char *name, const char *store, const char *do_json,
			const char *undo_json)
{
	return saga_add(saga, name, "store", store, do_json, undo_json);
}

int sagad_saga_add_service_step(struct sagad_saga *saga, const char *name, const char *service, const char *do_json,
				const char *undo_json)
{
	return saga_add(saga, name, "service", service, do_json, undo_json);
}

int sagad_saga_set_step(struct sagad_saga *saga, const char *member, const char *json)
{
	if (saga == NULL)
		return -ENOMEM;
	if (saga->rc == 0 && saga->last == NULL)
		saga->rc = err_set(&saga->err, -EINVAL, "%s: there is no step yet", member);
	return saga_put_json(saga, saga->last, member, json);
}

int sagad_saga_set(struct sagad_saga *saga, const char *member, const char *json)
{
	return saga == NULL ? -ENOMEM : saga_put_json(saga, saga->root, member, json);
}

int sagad_saga_set_key(struct sagad_saga *saga, const char *key)
{
	return saga == NULL ? -ENOMEM : saga_put_text(saga, saga->root, "idempotency_key", key);
}

char *sagad_saga_json(const struct sagad_saga *saga)
{
	if (saga == NULL || saga->rc != 0)
		return NULL;
	return yyjson_mut_val_write(saga->root, YYJSON_WRITE_NOFLAG, NULL);
}

const char *sagad_saga_error(const struct sagad_saga *saga)
{
	return saga != NULL ? saga->err.text : "out of memory";
}
