#include "saga.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static int saga_check(const char *path, yyjson_val *root, struct err *err)
{
	if (!yyjson_is_arr(yyjson_obj_get(root, "steps")))
		return err_set(err, -EINVAL, "%s: a saga is an object with an array \"steps\"", path);
	if (yyjson_obj_get(root, "idempotency_key") != NULL)
		return err_set(err, -EINVAL, "%s: leave idempotency_key out; --keys gives each saga its own", path);
	return 0;
}

static int saga_parse(const char *path, FILE *file, char **out_json, struct err *err)
{
	yyjson_read_err wrong;
	yyjson_doc *doc = yyjson_read_fp(file, YYJSON_READ_NOFLAG, NULL, &wrong);
	char *json;
	int rc;

	if (doc == NULL)
		return err_set(err, -EINVAL, "%s: not valid JSON at byte %zu: %s", path, wrong.pos, wrong.msg);
	rc = saga_check(path, yyjson_doc_get_root(doc), err);
	json = rc == 0 ? yyjson_write(doc, YYJSON_WRITE_NOFLAG, NULL) : NULL;
	yyjson_doc_free(doc);
	if (rc == 0 && json == NULL)
		rc = err_set(err, -ENOMEM, "%s: out of memory", path);
	if (rc == 0)
		*out_json = json;
	return rc;
}

int saga_read(const char *path, char **out_json, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	int rc;

	if (file == NULL)
		return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	rc = saga_parse(path, file, out_json, err);
	if (!is_stdin)
		(void)fclose(file); /* it was read only */
	return rc;
}
