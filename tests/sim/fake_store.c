/* What the server holds, and what a write does to it. How requests fail is in fake_store_call.c. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define STAGING_TTL_S 900

static const struct {
	const char *name;
	bool has_fences;
} kind_table[] = {
	[STORE_QDRANT] = {"qdrant", false},
	[STORE_NEO4J] = {"neo4j", true},
	[STORE_REDIS] = {"redis", true},
};

void sim_store_init(struct sim_store *server, struct sim *sim, uint32_t number)
{
	struct world *world = &sim->world;

	memset(server, 0, sizeof(*server));
	server->sim = sim;
	server->number = number;
	server->kind = (enum store_kind)number;
	server->name = kind_table[number].name;
	server->has_fences = kind_table[number].has_fences;
	server->max_requests = (uint32_t)world_between(world, 1, 4);
	server->max_batch = (uint32_t)world_between(world, 1, 16);
	server->max_batch_bytes = (size_t)world_between(world, 500, 20000);
	sim_graph_init(server);
}

void sim_store_fini(struct sim_store *server)
{
	struct held *held, *next_held;
	struct fence *fence, *next_fence;

	HASH_ITER(hh, server->held, held, next_held)
	{
		HASH_DEL(server->held, held);
		free(held);
	}
	HASH_ITER(hh, server->fences, fence, next_fence)
	{
		HASH_DEL(server->fences, fence);
		free(fence);
	}
	sim_store_image_free(server);
}

bool sim_store_is_ill(const struct sim_store *server, enum ill ill)
{
	return server->sim->world.now_ns < server->ill_ns[ill];
}

static bool is_fenced(const struct sim_store *server, const struct uuid *saga)
{
	struct fence *fence;

	HASH_FIND(hh, server->fences, saga, sizeof(*saga), fence);
	return fence != NULL;
}

static void fence_add(struct sim_store *server, const struct uuid *saga)
{
	struct fence *fence;

	if (!server->has_fences || is_fenced(server, saga))
		return;
	fence = calloc(1, sizeof(*fence));
	MUST(fence != NULL);
	fence->saga = *saga;
	HASH_ADD(hh, server->fences, saga, sizeof(fence->saga), fence);
}

static struct held *held_find(struct sim_store *server, const struct uuid *saga)
{
	struct held *held;

	HASH_FIND(hh, server->held, saga, sizeof(*saga), held);
	return held;
}

static void held_drop(struct sim_store *server, struct held *held)
{
	HASH_DEL(server->held, held);
	free(held);
}

static struct held *held_make(struct sim_store *server, const struct write_copy *write)
{
	struct held *held = held_find(server, &write->saga);

	if (held != NULL)
		return held;
	held = calloc(1, sizeof(*held));
	MUST(held != NULL);
	held->saga = write->saga;
	held->doc = write->doc;
	held->n_whole = write->n_whole;
	held->entities = write->entities;
	held->properties = write->properties;
	HASH_ADD(hh, server->held, saga, sizeof(held->saga), held);
	return held;
}

static uint64_t life_end_ns(const struct sim_store *server, uint64_t ttl_s)
{
	return server->kind == STORE_REDIS ? server->sim->world.now_ns + ttl_s * NS_PER_S : NEVER_NS;
}

bool sim_store_apply(struct sim_store *server, const struct write_copy *write, uint32_t n_parts)
{
	struct held *held;

	if (is_fenced(server, &write->saga))
		return false;
	held = held_make(server, write);
	memcpy(held->hash, write->hash, sizeof(held->hash));
	if (n_parts > held->n_parts)
		held->n_parts = n_parts;
	held->expires_ns = life_end_ns(server, STAGING_TTL_S);
	sim_graph_applied(server, held);
	facts_touched(&server->sim->facts, write->doc);
	if (held->n_parts == held->n_whole)
		facts_applied(&server->sim->facts, server->number, &write->saga, true);
	return true;
}

/* Redis' script: never replaces a newer one; what is staged, else what comes along, else an older value goes. */
static void publish_live(struct sim_store *server, const struct write_copy *write)
{
	struct live_value *live = &server->live[write->doc];
	struct held *staged = held_find(server, &write->saga);

	if (live->is_set && uuid_compare(&live->saga, &write->saga) >= 0)
		return;
	facts_touched(&server->sim->facts, write->doc);
	live->is_set = staged != NULL || write->has_document;
	live->saga = write->saga;
	memcpy(live->hash, staged != NULL ? staged->hash : write->hash, sizeof(live->hash));
	live->expires_ns = life_end_ns(server, write->ttl_s > 0 ? write->ttl_s : 3600);
	if (staged != NULL)
		held_drop(server, staged);
}

void sim_store_publish(struct sim_store *server, const struct write_copy *write)
{
	struct held *held;

	if (is_fenced(server, &write->saga))
		return;
	if (server->kind == STORE_REDIS) {
		publish_live(server, write);
		return;
	}
	held = held_find(server, &write->saga);
	if (held == NULL)
		return;
	held->is_published = true;
	sim_graph_published(server, held);
}

void sim_store_remove(struct sim_store *server, const struct write_copy *write)
{
	struct held *held = held_find(server, &write->saga);
	struct live_value *live = &server->live[write->doc];
	bool is_current = truth_is_current(&server->sim->truth, write->doc, &write->saga);

	fence_add(server, &write->saga);
	facts_touched(&server->sim->facts, write->doc);
	if (live->is_set && uuid_compare(&live->saga, &write->saga) == 0) {
		live->is_set = false;
		facts_removed(&server->sim->facts, server->number, &write->saga, &live->saga, is_current);
	}
	if (held == NULL)
		return;
	facts_removed(&server->sim->facts, server->number, &write->saga, &held->saga, is_current);
	if (server->kind == STORE_QDRANT && write->n_chunks != STORE_CHUNKS_UNKNOWN && write->n_chunks < held->n_parts)
		return; /* by ids, and too few of them: the tail stays, and will be found at rest */
	sim_graph_removed(server, held);
	held_drop(server, held);
}

void sim_store_expire(struct sim_store *server)
{
	uint64_t now_ns = server->sim->world.now_ns;
	struct held *held, *next;

	HASH_ITER(hh, server->held, held, next)
	if (held->expires_ns <= now_ns)
		held_drop(server, held);
	for (uint32_t doc = 0; doc < DOCS_MAX; doc++)
		if (server->live[doc].is_set && server->live[doc].expires_ns <= now_ns)
			server->live[doc].is_set = false;
}
