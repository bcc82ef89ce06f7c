/* The parameters of saga.run: any bytes are a saga or a refusal; what is taken is taken again as the same from the
 * bytes that the journal keeps, and what it sends is JSON, whatever the earlier results are. */
#include "feed.h"

#include "proto/flow_spec.h"

#include <errno.h>
#include <yyjson.h>

static bool has_service(const void *arg, struct str name)
{
	(void)arg;
	return name.len < 4;
}

static struct flow_limits choose_limits(uint8_t choice)
{
	return (struct flow_limits){
		.max_steps = choice & 1 ? 3 : FLOW_SPEC_STEPS_MAX,
		.max_depth = choice & 2 ? 2 : FLOW_SPEC_STEPS_MAX,
		.max_bytes = choice & 4 ? 200 : 1u << 20,
		.max_deadline_ms = 1000,
		.max_timeout_ms = 1000,
		.max_tries = 9,
		.has_service = has_service,
		.documents = document_limits_default(),
	};
}

/* A result for every second step. */
static struct str result_of(const void *arg, uint32_t step)
{
	const uint8_t *choice = arg;
	static const char *const results[] = {"{\"rows\":[{\"id\":\"a/b\"}],\"count\":1}", "[1,-2,\"x\",null]",
					      "\"..\"", "7"};

	return step & 1 ? STR_NONE : str_of(results[(*choice >> 3 & 3)]);
}

static void check_rendered(const struct flow_spec *spec, uint32_t step, enum flow_body body, const uint8_t *choice)
{
	struct buf out = {0};
	struct err err = {0};
	yyjson_doc *doc;
	int rc = flow_spec_render(spec, step, body, result_of, choice, &out, &err);

	MUST(rc == 0 || (rc == -EINVAL && err.text[0] != '\0'));
	if (rc == 0) {
		doc = yyjson_read(out.at, out.len, YYJSON_READ_BIGNUM_AS_RAW);
		MUST(doc != NULL && yyjson_is_obj(yyjson_doc_get_root(doc)));
		if (spec->steps[step].path_parts >> body & 1) {
			const char *path = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "path"));
			MUST(path != NULL && path[0] == '/' && strstr(path, "/../") == NULL);
		}
		yyjson_doc_free(doc);
	}
	buf_fini(&out);
}

static void check_step(const struct flow_spec *spec, uint32_t step, const uint8_t *choice)
{
	const struct flow_spec_step *it = &spec->steps[step];

	MUST(it->name.len > 0 && it->name.len <= FLOW_STEP_NAME_BYTES && it->name.at[it->name.len] == '\0');
	MUST(!(it->after >> step & 1) && it->bodies[FLOW_BODY_DO].n_bytes > 0);
	MUST(it->has_undo == (it->bodies[FLOW_BODY_UNDO].n_bytes > 0));
	MUST(it->has_check == (it->bodies[FLOW_BODY_CHECK].n_bytes > 0));
	for (unsigned body = 0; body < FLOW_BODIES; body++)
		if (it->bodies[body].n_bytes > 0)
			check_rendered(spec, step, (enum flow_body)body, choice);
}

static void check_taken(struct flow_spec *spec, const struct flow_limits *limits, const uint8_t *choice)
{
	struct request_fault fault;
	struct flow_spec *again;

	MUST(spec->n_steps >= 1 && spec->n_steps <= limits->max_steps);
	for (uint32_t i = 0; i < spec->n_steps; i++)
		check_step(spec, i, choice);
	MUST(flow_spec_parse(spec->json, limits, &again, &fault) == 0);
	MUST(memcmp(again->hash, spec->hash, sizeof(spec->hash)) == 0 && again->n_steps == spec->n_steps);
	MUST(str_is_equal(again->key, spec->key) && again->wait == spec->wait);
	free(again);
	free(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint8_t choice = feed_byte(&feed);
	struct flow_limits limits = choose_limits(choice);
	struct request_fault fault;
	struct flow_spec *spec = NULL;
	size_t len;
	char *json = feed_rest(&feed, &len);
	int rc = flow_spec_parse((struct str){json + 1, len}, &limits, &spec, &fault);

	if (rc == 0)
		check_taken(spec, &limits, &choice);
	else
		MUST(rc == -EINVAL && spec == NULL && fault.err.text[0] != '\0');
	free(json);
	return 0;
}
