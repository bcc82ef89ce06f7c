#include "content.h"

#include "base/must.h"
#include "base/rng.h"

#include <stdlib.h>

static void write_chunks(struct buf *out, uint32_t number, uint32_t n_chunks)
{
	buf_append_text(out, ",\"chunks\":[");
	for (uint32_t i = 0; i < n_chunks; i++)
		buf_append_format(out, "%s{\"text\":\"part %u of %u\",\"embedding\":[%u.5,%u]}", i > 0 ? "," : "", i,
				  number, number % 97 + 1, i);
	buf_append_text(out, "]");
}

static void write_graph(struct buf *out, struct rng *rng, uint32_t n_entities, bool has_properties)
{
	uint32_t first = (uint32_t)rng_below(rng, ENTITIES_MAX);

	buf_append_text(out, ",\"entities\":[");
	for (uint32_t i = 0; i < n_entities; i++) {
		buf_append_format(out, "%s{\"type\":\"Thing\",\"name\":\"thing %u\"", i > 0 ? "," : "",
				  (first + i) % ENTITIES_MAX);
		if (has_properties)
			buf_append_format(out, ",\"properties\":{\"weight\":%u}", (unsigned)rng_below(rng, 100));
		buf_append_text(out, "}");
	}
	buf_append_text(out, "]");
	if (n_entities >= 2)
		buf_append_format(out,
				  ",\"relationships\":[{\"from\":{\"type\":\"Thing\",\"name\":\"thing %u\"},"
				  "\"type\":\"KNOWS\",\"to\":{\"type\":\"Thing\",\"name\":\"thing %u\"}}]",
				  first, (first + 1) % ENTITIES_MAX);
}

static void write_body(struct buf *out, uint32_t number, struct poison_mark mark)
{
	struct rng rng = {number};
	uint32_t n_chunks = (uint32_t)rng_below(&rng, 5) + 1;
	uint32_t n_entities = (uint32_t)rng_below(&rng, 4);

	buf_append_format(out, ",\"title\":\"%u %u\",\"content\":\"content %u\"", (unsigned)mark.kind, mark.store,
			  number);
	write_chunks(out, number, n_chunks);
	write_graph(out, &rng, n_entities, rng_below(&rng, 2) == 0);
}

static void write_options(struct buf *out, bool is_delete, const struct content_options *options)
{
	char version[UUID_TEXT_BYTES];

	if (options->key != NULL)
		buf_append_format(out, ",\"idempotency_key\":\"%s\"", options->key);
	uuid_format(&options->if_version, version);
	if (options->has_if_version)
		buf_append_format(out, ",\"if_version\":\"%s\"", version);
	if (options->if_absent)
		buf_append_text(out, ",\"if_version\":null");
	if (options->write_unchanged && !is_delete)
		buf_append_text(out, ",\"on_unchanged\":\"write\"");
	if (options->deadline_ms > 0)
		buf_append_format(out, ",\"deadline_ms\":%llu", (unsigned long long)options->deadline_ms);
	if (options->is_accepted)
		buf_append_text(out, ",\"wait\":\"accepted\"");
}

void content_write(struct buf *out, uint32_t doc, uint32_t number, struct poison_mark mark, bool is_delete,
		   const struct content_options *options)
{
	buf_append_format(out, "{\"id\":\"doc-%u\"", doc);
	if (!is_delete)
		write_body(out, number, mark);
	write_options(out, is_delete, options);
	buf_append_text(out, "}");
	MUST(!out->failed);
}

uint32_t content_doc(struct str document_id)
{
	unsigned long doc;

	MUST(document_id.len > 4 && document_id.len < 8 && memcmp(document_id.at, "doc-", 4) == 0);
	doc = strtoul(document_id.at + 4, NULL, 10);
	MUST(doc < DOCS_MAX);
	return (uint32_t)doc;
}

struct poison_mark content_mark(const struct document *document)
{
	struct poison_mark mark;

	MUST(document->title.len >= 3);
	mark.kind = (enum poison)(document->title.at[0] - '0');
	mark.store = (uint32_t)(document->title.at[2] - '0');
	return mark;
}

bool content_has_properties(const struct document *document)
{
	for (uint32_t i = 0; i < document->n_entities; i++)
		if (document->entities[i].properties_json.at != NULL)
			return true;
	return false;
}

void content_entities(const struct document *document, uint32_t *out_entities, uint32_t *out_properties)
{
	*out_entities = 0;
	*out_properties = 0;
	for (uint32_t i = 0; i < document->n_entities; i++) {
		struct str name = document->entities[i].name;
		uint32_t number;

		MUST(name.len == 7);
		number = (uint32_t)(name.at[6] - '0');
		MUST(number < ENTITIES_MAX);
		*out_entities |= 1u << number;
		if (document->entities[i].properties_json.at != NULL)
			*out_properties |= 1u << number;
	}
}
