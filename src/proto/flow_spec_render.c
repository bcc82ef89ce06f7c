/* A body as it is sent: with the results of earlier steps where it refers to them. */
#include "flow_spec_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENDERED_BYTES_MAX (16u << 20)

struct render {
	const struct flow_spec *spec;
	uint32_t step;
	flow_result_of result_of;
	const void *arg;
	yyjson_mut_doc *doc;
	struct err *err;
	int rc; /* the first thing that went wrong */
};

static yyjson_mut_val *render_value(struct render *render, yyjson_val *val);

static yyjson_mut_val *render_no_memory(struct render *render)
{
	if (render->rc == 0)
		render->rc = err_set(render->err, -ENOMEM, "step '%.*s': out of memory for what it sends",
				     STR_ARG(render->spec->steps[render->step].name));
	return NULL;
}

static uint32_t render_find(const struct flow_spec *spec, yyjson_val *name)
{
	uint32_t i = 0;

	while (!yyjson_equals_strn(name, spec->steps[i].name.at, spec->steps[i].name.len)) {
		i++;
		MUST(i < spec->n_steps); /* flow_spec_parse() has seen to it */
	}
	return i;
}

/* Copies what the pointer leads to, or gives NULL when it leads nowhere. */
static yyjson_mut_val *render_pointed(struct render *render, struct str result, yyjson_val *pointer)
{
	struct str path = {yyjson_get_str(pointer), yyjson_get_len(pointer)};
	yyjson_mut_val *made = NULL;
	yyjson_doc *doc;
	yyjson_val *val;

	if (result.at == NULL || result.len == 0)
		return NULL;
	doc = yyjson_read(result.at, result.len, YYJSON_READ_BIGNUM_AS_RAW);
	if (doc == NULL) /* results are JSON; only memory can be missing */
		return render_no_memory(render);
	val = path.len > 0 ? yyjson_doc_ptr_getn(doc, path.at, path.len) : yyjson_doc_get_root(doc);
	if (val != NULL && (made = yyjson_val_mut_copy(render->doc, val)) == NULL)
		(void)render_no_memory(render);
	yyjson_doc_free(doc);
	return made;
}

static yyjson_mut_val *render_reference(struct render *render, yyjson_val *reference)
{
	yyjson_val *from = yyjson_obj_get(reference, "$from"), *pointer = yyjson_obj_get(reference, "pointer");
	yyjson_val *stand_in = yyjson_obj_get(reference, "default");
	struct str result = render->result_of(render->arg, render_find(render->spec, from));
	yyjson_mut_val *made = render_pointed(render, result, pointer);

	if (made != NULL || render->rc != 0)
		return made;
	if (stand_in != NULL)
		return render_value(render, stand_in);
	if (result.at == NULL)
		render->rc =
			err_set(render->err, -EINVAL,
				"step '%.*s' wants a result of step '%s', which has none; a \"default\" would stand in",
				STR_ARG(render->spec->steps[render->step].name), yyjson_get_str(from));
	else
		render->rc = err_set(render->err, -EINVAL,
				     "step '%.*s': the pointer '%.160s' leads nowhere in the result of step '%s'",
				     STR_ARG(render->spec->steps[render->step].name),
				     pointer != NULL ? yyjson_get_str(pointer) : "", yyjson_get_str(from));
	return NULL;
}

static yyjson_mut_val *render_array(struct render *render, yyjson_val *array)
{
	yyjson_mut_val *made = yyjson_mut_arr(render->doc), *item;
	yyjson_arr_iter iter;
	yyjson_val *val;

	yyjson_arr_iter_init(array, &iter);
	while ((val = yyjson_arr_iter_next(&iter)) != NULL) {
		item = render_value(render, val);
		if (item == NULL)
			return NULL;
		if (!yyjson_mut_arr_append(made, item))
			return render_no_memory(render);
	}
	return made != NULL ? made : render_no_memory(render);
}

static yyjson_mut_val *render_object(struct render *render, yyjson_val *object)
{
	yyjson_mut_val *made = yyjson_mut_obj(render->doc), *name, *item;
	yyjson_obj_iter iter;
	yyjson_val *key;

	yyjson_obj_iter_init(object, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		item = render_value(render, yyjson_obj_iter_get_val(key));
		if (item == NULL)
			return NULL;
		name = yyjson_val_mut_copy(render->doc, key);
		if (!yyjson_mut_obj_add(made, name, item))
			return render_no_memory(render);
	}
	return made != NULL ? made : render_no_memory(render);
}

/* NULL: render->rc says why. The depth is bounded since flow_spec_parse() has looked. */
static yyjson_mut_val *render_value(struct render *render, yyjson_val *val)
{
	yyjson_mut_val *made;

	if (flow_value_is_reference(val))
		return render_reference(render, val);
	if (yyjson_is_obj(val))
		return render_object(render, val);
	if (yyjson_is_arr(val))
		return render_array(render, val);
	made = yyjson_val_mut_copy(render->doc, val);
	return made != NULL ? made : render_no_memory(render);
}

static void render_escape(struct buf *out, struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		char c = part.at[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				c == '-' || c == '_' || c == '.' || c == '~';

		if (is_plain)
			buf_append(out, &c, 1);
		else
			buf_append_format(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* A part is a text, or a number's; nothing that could lead out of its place. */
static int render_part(struct render *render, yyjson_mut_val *part, struct buf *out)
{
	struct str text = {yyjson_mut_get_str(part), yyjson_mut_get_len(part)};
	char digits[32];

	if (yyjson_mut_is_uint(part))
		(void)snprintf(digits, sizeof(digits), "%" PRIu64, yyjson_mut_get_uint(part));
	else if (yyjson_mut_is_sint(part))
		(void)snprintf(digits, sizeof(digits), "%" PRId64, yyjson_mut_get_sint(part));
	if (yyjson_mut_is_int(part))
		text = str_of(digits);
	if (text.at == NULL || text.len == 0 || text.len > FLOW_PATH_BYTES || memchr(text.at, '/', text.len) != NULL ||
	    memchr(text.at, '\0', text.len) != NULL || str_is_equal(text, str_of(".")) ||
	    str_is_equal(text, str_of("..")))
		return err_set(render->err, -EINVAL,
			       "step '%.*s': a result can't be a part of its path: that is a text or a whole number, "
			       "not empty, without '/', not '.' or '..'",
			       STR_ARG(render->spec->steps[render->step].name));
	buf_append(out, "/", 1);
	render_escape(out, text);
	return 0;
}

/* Makes one text of a path that is an array. */
static int render_path(struct render *render, yyjson_mut_val *root)
{
	yyjson_mut_val *parts = yyjson_mut_obj_get(root, "path"), *part;
	struct buf path = {0};
	yyjson_mut_arr_iter iter;
	int rc = 0;

	if (!yyjson_mut_is_arr(parts))
		return 0;
	yyjson_mut_arr_iter_init(parts, &iter);
	while (rc == 0 && (part = yyjson_mut_arr_iter_next(&iter)) != NULL)
		rc = render_part(render, part, &path);
	if (rc == 0) {
		yyjson_mut_val *key = yyjson_mut_str(render->doc, "path");
		yyjson_mut_val *text = path.failed ? NULL : yyjson_mut_strncpy(render->doc, path.at, path.len);

		if (key == NULL || text == NULL || !yyjson_mut_obj_replace(root, key, text)) {
			(void)render_no_memory(render);
			rc = render->rc;
		}
	}
	buf_fini(&path);
	return rc;
}

static int render_write(struct render *render, yyjson_mut_val *root, struct buf *out)
{
	size_t len;
	char *text = yyjson_mut_val_write(root, YYJSON_WRITE_NOFLAG, &len);

	if (text == NULL) {
		(void)render_no_memory(render);
		return render->rc;
	}
	if (len > RENDERED_BYTES_MAX) {
		free(text);
		return err_set(render->err, -EINVAL,
			       "step '%.*s': with the results filled in it has %zu bytes, over %u",
			       STR_ARG(render->spec->steps[render->step].name), len, RENDERED_BYTES_MAX);
	}
	buf_append(out, text, len);
	free(text);
	if (out->failed)
		(void)render_no_memory(render);
	return render->rc;
}

static int render_body(struct render *render, yyjson_val *body, struct buf *out)
{
	enum flow_place place = render->spec->steps[render->step].place;
	yyjson_mut_val *root = render_value(render, body);
	int rc = render->rc;

	if (rc == 0 && (place == FLOW_AT_QDRANT || place == FLOW_AT_SERVICE))
		rc = render_path(render, root);
	if (rc == 0)
		rc = render_write(render, root, out);
	return rc;
}

/* A body that is sent as it came is not parsed again. */
static bool render_is_plain(const struct flow_spec_step *step, enum flow_body body)
{
	return !(step->references >> body & 1) && !(step->path_parts >> body & 1);
}

int flow_spec_render(const struct flow_spec *spec, uint32_t step, enum flow_body body, flow_result_of result_of,
		     const void *arg, struct buf *out, struct err *err)
{
	struct render render = {spec, step, result_of, arg, NULL, err, 0};
	const struct flow_span *span = &spec->steps[step].bodies[body];
	struct str json = {spec->json.at + span->at, span->n_bytes};
	yyjson_doc *doc;
	int rc;

	MUST(step < spec->n_steps && span->n_bytes > 0);
	if (render_is_plain(&spec->steps[step], body)) {
		buf_append_str(out, json);
		if (out->failed)
			(void)render_no_memory(&render);
		return render.rc;
	}
	doc = yyjson_read(json.at, json.len, YYJSON_READ_BIGNUM_AS_RAW);
	render.doc = yyjson_mut_doc_new(NULL);
	if (doc == NULL || render.doc == NULL)
		(void)render_no_memory(&render);
	rc = render.rc;
	if (rc == 0)
		rc = render_body(&render, yyjson_doc_get_root(doc), out);
	yyjson_mut_doc_free(render.doc);
	yyjson_doc_free(doc);
	return rc;
}
