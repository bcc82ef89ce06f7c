#include "parts.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct document_limits document_limits_default(void)
{
	return (struct document_limits){
		.max_content_bytes = 16u << 20,
		.max_chunks = 10000,
		.max_dims = 16000,
		.dims = 0,
		.max_entities = 5000,
		.max_relationships = 20000,
		.max_name_bytes = 8000,
		.max_graph_bytes = 1000000,
		.max_vector_json_bytes = 33000000, /* Qdrant takes 32 MiB, 33,554,432 bytes */
		.max_metadata_depth = 32,
		.max_metadata_bytes = 1u << 20,
		.refuse_zero_vectors = true,
	};
}

/* Embeddings are hashed as they lie in memory, in this machine's byte order: the hash is compared with those of the
 * same deployment only. */
void document_hash(struct document *draft)
{
	struct digest digest;

	digest_init(&digest);
	digest_add(&digest, str_of("sagad document 1"));
	digest_add(&digest, draft->id);
	digest_add(&digest, draft->title);
	digest_add(&digest, draft->source);
	digest_add(&digest, draft->content);
	digest_add(&digest, draft->metadata_json);
	digest_add_number(&digest, draft->n_chunks);
	digest_add_number(&digest, draft->dims);
	for (uint32_t i = 0; i < draft->n_chunks; i++) {
		const struct chunk *chunk = &draft->chunks[i];

		digest_add(&digest, chunk->id);
		digest_add(&digest, chunk->text);
		digest_add(&digest, chunk->metadata_json);
		digest_add_raw(&digest, chunk->embedding, draft->dims * sizeof(float));
	}
	digest_add_number(&digest, draft->n_entities);
	for (uint32_t i = 0; i < draft->n_entities; i++) {
		digest_add(&digest, draft->entities[i].type);
		digest_add(&digest, draft->entities[i].name);
		digest_add(&digest, draft->entities[i].properties_json);
	}
	digest_add_number(&digest, draft->n_relationships);
	for (uint32_t i = 0; i < draft->n_relationships; i++) {
		digest_add_number(&digest, draft->relationships[i].from);
		digest_add_number(&digest, draft->relationships[i].to);
		digest_add(&digest, draft->relationships[i].type);
		digest_add(&digest, draft->relationships[i].properties_json);
	}
	digest_finish(&digest, draft->content_hash);
}

/* Hands out places in the allocation, one after the other. With at == NULL it only counts, so that one walk over the
 * document both measures and copies and the two can't differ. */
struct packer {
	char *at;
	size_t used;
};

static void *pack_place(struct packer *packer, size_t n_bytes, size_t align)
{
	void *place;

	packer->used = (packer->used + align - 1) & ~(align - 1);
	place = packer->at != NULL ? packer->at + packer->used : NULL;
	packer->used += n_bytes;
	return place;
}

static const void *pack_bytes(struct packer *packer, const void *bytes, size_t n_bytes, size_t align)
{
	void *place = pack_place(packer, n_bytes, align);

	if (place != NULL && n_bytes > 0)
		memcpy(place, bytes, n_bytes);
	return place;
}

static struct str pack_str(struct packer *packer, struct str text)
{
	char *place;

	if (text.at == NULL)
		return STR_NONE;
	place = pack_place(packer, text.len + 1, 1);
	if (place != NULL) {
		memcpy(place, text.at, text.len);
		place[text.len] = '\0';
	}
	return (struct str){place, text.len};
}

/* An embedding's text is a part of the job's, which is packed already. */
static struct str pack_within(struct str part, struct str from, struct str to)
{
	if (to.at == NULL)
		return STR_NONE;
	return (struct str){to.at + (part.at - from.at), part.len};
}

static struct chunk *pack_chunks(struct packer *packer, const struct document *draft, struct str job_json)
{
	struct chunk *made = pack_place(packer, draft->n_chunks * sizeof(*made), alignof(struct chunk));

	for (uint32_t i = 0; i < draft->n_chunks; i++) {
		const struct chunk *from = &draft->chunks[i];
		struct chunk chunk = {
			.id = pack_str(packer, from->id),
			.text = pack_str(packer, from->text),
			.metadata_json = pack_str(packer, from->metadata_json),
			.embedding_json = pack_within(from->embedding_json, draft->job_json, job_json),
			.embedding = pack_bytes(packer, from->embedding, draft->dims * sizeof(float), alignof(float)),
		};

		if (made != NULL)
			made[i] = chunk;
	}
	return made;
}

static struct entity *pack_entities(struct packer *packer, const struct document *draft)
{
	struct entity *made = pack_place(packer, draft->n_entities * sizeof(*made), alignof(struct entity));

	for (uint32_t i = 0; i < draft->n_entities; i++) {
		struct entity entity = draft->entities[i];

		entity.type = pack_str(packer, entity.type);
		entity.name = pack_str(packer, entity.name);
		entity.properties_json = pack_str(packer, entity.properties_json);
		if (made != NULL)
			made[i] = entity;
	}
	return made;
}

static struct relationship *pack_relationships(struct packer *packer, const struct document *draft)
{
	struct relationship *made =
		pack_place(packer, draft->n_relationships * sizeof(*made), alignof(struct relationship));

	for (uint32_t i = 0; i < draft->n_relationships; i++) {
		struct relationship relationship = draft->relationships[i];

		relationship.type = pack_str(packer, relationship.type);
		relationship.properties_json = pack_str(packer, relationship.properties_json);
		if (made != NULL)
			made[i] = relationship;
	}
	return made;
}

static struct document *pack_document(struct packer *packer, const struct document *draft)
{
	struct document *place = pack_place(packer, sizeof(*place), alignof(struct document));
	struct document made = *draft;

	made.job_json = pack_str(packer, draft->job_json);
	made.id = pack_str(packer, draft->id);
	made.title = pack_str(packer, draft->title);
	made.source = pack_str(packer, draft->source);
	made.content = pack_str(packer, draft->content);
	made.metadata_json = pack_str(packer, draft->metadata_json);
	made.chunks = pack_chunks(packer, draft, made.job_json);
	made.entities = pack_entities(packer, draft);
	made.relationships = pack_relationships(packer, draft);
	made.memory_bytes = packer->used;
	if (place != NULL)
		*place = made;
	return place;
}

struct document *document_pack(const struct document *draft)
{
	struct packer packer = {0};

	(void)pack_document(&packer, draft); /* counts */
	packer.at = malloc(packer.used);
	if (packer.at == NULL)
		return NULL;
	packer.used = 0;
	return pack_document(&packer, draft);
}

void document_destroy(struct document *document)
{
	free(document);
}
