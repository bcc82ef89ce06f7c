#include "shape.h"

#include "base/rng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* ---- made ---- */

static const char *const shape_words[] = {"index",   "vacuum", "buffer",  "replica", "commit", "vector",
					  "graph",   "node",   "segment", "cache",   "shard",  "query",
					  "cluster", "tuple",  "cursor",  "lock"};

static void shape_text(struct buf *json, uint32_t n_bytes, struct rng *rng)
{
	size_t end = json->len + n_bytes;

	while (!json->failed && json->len < end) {
		buf_append_text(json, shape_words[rng_below(rng, ARRAY_LEN(shape_words))]);
		buf_append_text(json, " ");
	}
	if (!json->failed)
		json->len = end; /* the last word is cut; what is beyond is overwritten by the next append */
}

/* Six digits after the point, as sentence encoders' vectors are commonly printed. */
static void shape_vector(struct buf *json, uint32_t n_dims, struct rng *rng)
{
	for (uint32_t i = 0; i < n_dims; i++) {
		uint64_t draw = rng_next(rng);

		buf_append_format(json, "%s%s0.%06u", i > 0 ? "," : "", (draw & 1) != 0 ? "-" : "",
				  (unsigned)(draw / 2 % 999999 + 1));
	}
}

static void shape_chunks(struct buf *json, const struct shape *shape, struct rng *rng)
{
	buf_append_text(json, ",\"chunks\":[");
	for (uint32_t i = 0; i < shape->n_chunks; i++) {
		buf_append_text(json, i > 0 ? ",{\"text\":\"" : "{\"text\":\"");
		shape_text(json, shape->text_bytes, rng);
		buf_append_text(json, "\",\"embedding\":[");
		shape_vector(json, shape->n_dims, rng);
		buf_append_text(json, "]}");
	}
	buf_append_text(json, "]");
}

static void shape_entity(struct buf *json, uint32_t name)
{
	buf_append_format(json, "{\"type\":\"Thing\",\"name\":\"thing-%u\"}", (unsigned)name);
}

/* Neighbours in the list of names, from a place that is drawn: different within a document, shared between them. */
static void shape_graph(struct buf *json, const struct shape *shape, struct rng *rng)
{
	uint32_t first = (uint32_t)rng_below(rng, shape->n_names), n = shape->n_entities;

	buf_append_text(json, ",\"entities\":[");
	for (uint32_t i = 0; i < n; i++) {
		buf_append_text(json, i > 0 ? "," : "");
		shape_entity(json, (first + i) % shape->n_names);
	}
	buf_append_text(json, "],\"relationships\":[");
	for (uint32_t i = 0; i < shape->n_relationships; i++) {
		uint32_t from = i % n, to = (from + 1 + i / n) % n;

		buf_append_text(json, i > 0 ? ",{\"from\":" : "{\"from\":");
		shape_entity(json, (first + from) % shape->n_names);
		buf_append_text(json, ",\"type\":\"NEAR\",\"to\":");
		shape_entity(json, (first + to) % shape->n_names);
		buf_append_text(json, "}");
	}
	buf_append_text(json, "]}");
}

static int shape_check(const struct shape *shape, struct err *err)
{
	uint64_t pairs = shape->n_entities > 0 ? (uint64_t)shape->n_entities * (shape->n_entities - 1) : 0;

	if (shape->n_dims == 0 && shape->n_chunks > 0)
		return err_set(err, -EINVAL, "chunks need vectors of at least one dimension: --dims");
	if (shape->n_names < shape->n_entities || shape->n_names == 0)
		return err_set(err, -EINVAL, "%u entities of a document can't be drawn out of %u names: --names",
			       (unsigned)shape->n_entities, (unsigned)shape->n_names);
	if (shape->n_relationships > pairs)
		return err_set(err, -EINVAL, "%u entities have room for %llu relationships, not %u: --relationships",
			       (unsigned)shape->n_entities, (unsigned long long)pairs,
			       (unsigned)shape->n_relationships);
	return 0;
}

static int pool_out_of_memory(struct pool *pool, struct err *err)
{
	pool_fini(pool);
	return err_set(err, -ENOMEM, "out of memory for the documents of the load; make them fewer with --pool");
}

static int pool_make_body(struct body *body, const struct shape *shape, uint32_t number, struct rng *rng)
{
	struct buf json = {0};

	buf_append_format(&json, "\"title\":\"Document %u\",\"content\":\"", (unsigned)number);
	shape_text(&json, shape->text_bytes, rng);
	buf_append_format(&json, "\",\"metadata\":{\"body\":%u}", (unsigned)number);
	shape_chunks(&json, shape, rng);
	shape_graph(&json, shape, rng);
	if (json.failed) {
		buf_fini(&json);
		return -ENOMEM;
	}
	*body = (struct body){json.at, json.len, shape->n_chunks, shape->n_entities, shape->n_relationships};
	return 0;
}

int pool_make(struct pool *pool, const struct shape *shape, uint32_t n, struct err *err)
{
	struct rng rng = {shape->seed};
	int rc = shape_check(shape, err);

	*pool = (struct pool){.n_dims = shape->n_dims};
	if (rc != 0)
		return rc;
	pool->bodies = calloc(n, sizeof(*pool->bodies));
	if (pool->bodies == NULL)
		return pool_out_of_memory(pool, err);
	for (; pool->n < n; pool->n++)
		if (pool_make_body(&pool->bodies[pool->n], shape, pool->n, &rng) != 0)
			return pool_out_of_memory(pool, err);
	return 0;
}

/* ---- read ---- */

static uint32_t shape_count(yyjson_mut_val *root, const char *name)
{
	return (uint32_t)yyjson_mut_arr_size(yyjson_mut_obj_get(root, name));
}

static uint32_t shape_dims(yyjson_mut_val *root)
{
	yyjson_mut_val *first = yyjson_mut_arr_get_first(yyjson_mut_obj_get(root, "chunks"));

	return (uint32_t)yyjson_mut_arr_size(yyjson_mut_obj_get(first, "embedding"));
}

/* The document without what a load gives itself: the id, a key, a version. Numbers stay as they are written. */
static int pool_strip(struct pool *pool, yyjson_mut_doc *doc, struct body *body)
{
	static const char *const own[] = {"id", "idempotency_key", "if_version"};
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	char *json;
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		(void)yyjson_mut_obj_remove_key(root, own[i]); /* NULL: it wasn't there */
	json = yyjson_mut_write(doc, 0, &len);
	if (json == NULL)
		return -ENOMEM;
	*body = (struct body){json, len - 1, shape_count(root, "chunks"), shape_count(root, "entities"),
			      shape_count(root, "relationships")};
	memmove(json, json + 1, len); /* with the NUL, without the brace */
	if (body->len == 1)
		body->len = 0; /* "}" of an empty document: plan_write() writes it */
	if (shape_dims(root) > pool->n_dims)
		pool->n_dims = shape_dims(root);
	return 0;
}

static int pool_read_line(struct pool *pool, char *line, size_t len, struct err *err)
{
	yyjson_read_err why;
	yyjson_doc *doc = yyjson_read_opts(line, len, YYJSON_READ_NUMBER_AS_RAW, NULL, &why);
	yyjson_mut_doc *copy = doc != NULL ? yyjson_doc_mut_copy(doc, NULL) : NULL;
	int rc = -ENOMEM;

	if (doc == NULL)
		rc = err_set(err, -EINVAL, "not valid JSON at byte %zu: %s", why.pos, why.msg);
	else if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
		rc = err_set(err, -EINVAL, "not a JSON object: a document is one");
	else if (copy != NULL)
		rc = pool_strip(pool, copy, &pool->bodies[pool->n]);
	if (rc == 0)
		pool->n++;
	yyjson_mut_doc_free(copy);
	yyjson_doc_free(doc);
	return rc;
}

static int pool_read_lines(struct pool *pool, FILE *in, const char *path, uint32_t n, struct err *err)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len = 0;
	int rc = 0;

	for (unsigned long number = 1; rc == 0 && pool->n < n && (len = getline(&line, &size, in)) >= 0; number++) {
		if (strspn(line, " \t\r\n") == (size_t)len)
			continue;
		rc = pool_read_line(pool, line, (size_t)len, err);
		if (rc == -EINVAL)
			err_prefix(err, "%s:%lu: ", path, number);
	}
	if (rc == 0 && ferror(in) != 0)
		rc = err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	else if (rc == 0 && pool->n == 0)
		rc = err_set(err, -EINVAL, "%s holds no document", path);
	free(line);
	return rc;
}

int pool_read(struct pool *pool, const char *path, uint32_t n, struct err *err)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	int rc;

	*pool = (struct pool){0};
	if (in == NULL)
		return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	pool->bodies = calloc(n, sizeof(*pool->bodies));
	rc = pool->bodies != NULL ? pool_read_lines(pool, in, path, n, err) : -ENOMEM;
	if (in != stdin)
		(void)fclose(in); /* it was only read */
	if (rc == -ENOMEM)
		return pool_out_of_memory(pool, err);
	if (rc != 0)
		pool_fini(pool);
	return rc;
}

void pool_fini(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n; i++)
		free(pool->bodies[i].json);
	free(pool->bodies);
	*pool = (struct pool){0};
}
