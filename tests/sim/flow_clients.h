/* Clients that write sagas of their own: random graphs over all targets, with pivots, optional steps, references,
 * deadlines and cancellations; keys that are sent again. */
#ifndef SAGAD_SIM_FLOW_CLIENTS_H
#define SAGAD_SIM_FLOW_CLIENTS_H

#include "base/buf.h"
#include "core/flow.h"
#include "engine/flows.h"
#include "world.h"

struct sim;
struct daemon;

#define FLOW_KEYS_MAX  64
#define FLOW_JOB_FIRST 1000001 /* their numbers among the jobs of a case */

struct flow_key {
	char *text;  /* of the request that was drawn with it; NULL: unused */
	char *taken; /* of the one that a saga was made of, as far as clients know */
	bool has_id, has_ended;
	struct uuid id;
	enum flow_state end;
};

struct flow_clients {
	struct sim *sim;
	bool is_on;
	struct rng rng; /* of their own, so that documents fare as without them */
	struct list jobs;
	struct event next;
	uint32_t n_left, n_keys, n_open;
	uint32_t n_asked; /* those included that are left out */
	struct flow_key keys[FLOW_KEYS_MAX];
	uint64_t n_ended;
};

void flow_clients_init(struct flow_clients *clients, struct sim *sim);
void flow_clients_fini(struct flow_clients *clients);
void flow_clients_begin(struct flow_clients *clients);

/* No more arrivals, repetitions, cancellations. */
void flow_clients_end(struct flow_clients *clients);

void flow_clients_daemon_died(struct flow_clients *clients, struct daemon *daemon);

/* Asks again under every key: each gets the answer that it had. */
void flow_clients_ask_again(struct flow_clients *clients);

/* At rest: settles what only an operator can settle. */
void flow_clients_resolve(struct flow_clients *clients);

/* What the daemon is configured with. */
void flow_clients_configure(struct sim *sim);

#endif
