/* One request to a fake store, for the two files that make it: fake_store_call.c sends it and gives its answer,
 * fake_store_fault.c lets it arrive, fail, arrive again. */
#ifndef SAGAD_SIM_FAKE_STORE_CALL_H
#define SAGAD_SIM_FAKE_STORE_CALL_H

#include "sim.h"

struct store_call {
	struct sent call;
	struct store_port *port;
	struct store_req *req; /* the engine's, until the answer */
	struct write_copy *writes;
	uint32_t n_writes;
	uint64_t delay_ns;  /* one way */
	enum fault fault;   /* FAULT_KINDS: none */
	bool is_sent_again; /* RESENT: the answer is that of its second arrival */
	bool is_shared;     /* as it will be answered; so is the next */
	bool is_cut;
	const char *text; /* of the error */
};

static inline struct store_call *store_call_of(struct sent *call)
{
	return container_of(call, struct store_call, call);
}

static inline struct sim *store_call_sim(const struct store_call *call)
{
	return call->port->server->sim;
}

/* For struct sent. */
uint32_t store_call_states(const struct sent *base);

void store_call_redraw(struct sent *base);

/* Draws what will become of a call that was just made, and sends it on its way. */
void store_call_plan(struct store_call *call, uint64_t timeout_ns);

#endif
