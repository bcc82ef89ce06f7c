/* A cache that was configured to lose something: now and then it writes what it holds to its disk, and a crash takes it
 * back to that. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct store_image {
	struct held *held;
	struct fence *fences;
	struct live_value live[DOCS_MAX];
};

static struct held *copy_all_held(const struct held *from)
{
	struct held *all = NULL;

	for (; from != NULL; from = from->hh.next) {
		struct held *copy = malloc(sizeof(*copy));

		MUST(copy != NULL);
		*copy = *from;
		HASH_ADD(hh, all, saga, sizeof(copy->saga), copy);
	}
	return all;
}

static struct fence *copy_all_fences(const struct fence *from)
{
	struct fence *all = NULL;

	for (; from != NULL; from = from->hh.next) {
		struct fence *copy = malloc(sizeof(*copy));

		MUST(copy != NULL);
		*copy = *from;
		HASH_ADD(hh, all, saga, sizeof(copy->saga), copy);
	}
	return all;
}

static void free_all(struct held *all_held, struct fence *all_fences)
{
	struct held *held, *next_held;
	struct fence *fence, *next_fence;

	HASH_ITER(hh, all_held, held, next_held)
	{
		HASH_DEL(all_held, held);
		free(held);
	}
	HASH_ITER(hh, all_fences, fence, next_fence)
	{
		HASH_DEL(all_fences, fence);
		free(fence);
	}
}

void sim_store_image_free(struct sim_store *server)
{
	if (server->image == NULL)
		return;
	free_all(server->image->held, server->image->fences);
	free(server->image);
	server->image = NULL;
}

void sim_store_save(struct sim_store *server)
{
	sim_store_image_free(server);
	server->image = calloc(1, sizeof(*server->image));
	MUST(server->image != NULL);
	server->image->held = copy_all_held(server->held);
	server->image->fences = copy_all_fences(server->fences);
	memcpy(server->image->live, server->live, sizeof(server->live));
}

void sim_store_forget(struct sim_store *server)
{
	free_all(server->held, server->fences);
	server->held = NULL;
	server->fences = NULL;
	memset(server->live, 0, sizeof(server->live));
	if (server->image == NULL)
		return;
	server->held = copy_all_held(server->image->held);
	server->fences = copy_all_fences(server->image->fences);
	memcpy(server->live, server->image->live, sizeof(server->live));
}
