/* Entities: an apply makes those that are missing, a publish gives them properties, a removal leaves them to the
 * collector, which looks again before it deletes. */
#include "sim.h"

#define COLLECT_INTERVAL_NS NS_PER_S
#define COLLECT_AGAIN_NS    (5 * NS_PER_S)

uint32_t sim_graph_mentioned(const struct sim_store *server)
{
	const struct held *held;
	uint32_t entities = 0;

	for (held = server->held; held != NULL; held = held->hh.next)
		entities |= held->entities;
	return entities;
}

static void on_collect(struct event *event)
{
	struct sim_store *server = container_of(event, struct sim_store, collect);
	uint32_t deleted = server->uncollected & ~sim_graph_mentioned(server);

	if (sim_store_is_ill(server, ILL_DOWN) || sim_store_is_ill(server, ILL_MUTE)) {
		world_after(&server->sim->world, &server->collect, COLLECT_AGAIN_NS);
		return;
	}
	server->uncollected = 0;
	for (uint32_t i = 0; i < ENTITIES_MAX; i++)
		if ((deleted >> i & 1) != 0)
			server->entities[i] = (struct shared_entity){.is_there = false};
	if (deleted != 0)
		trace_line(&server->sim->trace, server->name, "collects", "entities %#x", deleted);
}

void sim_graph_init(struct sim_store *server)
{
	server->collect.fire = on_collect;
}

void sim_graph_applied(struct sim_store *server, const struct held *held)
{
	for (uint32_t i = 0; i < ENTITIES_MAX; i++)
		if (server->kind == STORE_NEO4J && (held->entities >> i & 1) != 0)
			server->entities[i].is_there = true;
}

/* The properties of an entity are those of the newest published version that gave it any. */
void sim_graph_published(struct sim_store *server, const struct held *held)
{
	for (uint32_t i = 0; i < ENTITIES_MAX; i++) {
		struct shared_entity *entity = &server->entities[i];

		if ((held->properties >> i & 1) != 0 && uuid_compare(&entity->updated_by, &held->saga) < 0)
			entity->updated_by = held->saga;
	}
}

void sim_graph_removed(struct sim_store *server, const struct held *held)
{
	if (server->kind != STORE_NEO4J)
		return;
	server->uncollected |= held->entities;
	if (server->collect.slot == 0)
		world_after(&server->sim->world, &server->collect, COLLECT_INTERVAL_NS);
}
