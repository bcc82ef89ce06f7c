/* One request to the fake PostgreSQL, for the three files that make it: fake_truth_port.c sends it,
 * fake_truth_call.c lets it arrive, fake_truth_reply.c answers it. */
#ifndef SAGAD_SIM_FAKE_TRUTH_CALL_H
#define SAGAD_SIM_FAKE_TRUTH_CALL_H

#include "sim.h"

enum truth_kind { TRUTH_READ, TRUTH_PIVOT, TRUTH_SETTLE, TRUTH_PAY, TRUTH_PRUNE, TRUTH_DEBTS, TRUTH_CLAIM, TRUTH_PING };

struct truth_call {
	struct sent call;
	struct list node; /* in `running` while it may commit after its answer */
	struct truth_port *port;
	enum truth_kind kind;
	union {
		struct truth_read_req *read;
		struct truth_pivot_req *pivot;
		struct truth_settle_req *settle;
		struct truth_pay_req *pay;
		struct truth_debts_req *debts;
		struct truth_claim_req *claim;
		struct store_init_req *ping;
	} req; /* the engine's, until the answer */
	uint64_t delay_ns;
	uint64_t timeout_at_ns;
	bool was_connected; /* when it was sent: what is lost then is in doubt */
	uint64_t epoch;
	uint32_t starts; /* of the server, as its connection knows it */
	enum fault fault;
	char backend[64];
	struct pivot_copy *pivots;
	uint32_t n_pivots;
	struct truth_debt_row *rows; /* of DEBTS */
	uint32_t n_rows;
	char (*row_docs)[16];
	/* As it will be answered. */
	enum verdict verdict;
	bool is_shared;
	bool is_cut;
	bool is_epoch_lost;
	bool is_broken; /* its connection was of before a restart */
	const char *text;
};

static inline struct truth_call *truth_call_of(struct sent *call)
{
	return container_of(call, struct truth_call, call);
}

static inline struct sim *truth_call_sim(const struct truth_call *call)
{
	return call->port->server->sim;
}

/* "pivot"; never NULL. */
const char *truth_kind_name(enum truth_kind kind);

/* Counts requests that are out; how many are now, of those that share a bound with this one. Claims and pings have
 * none. */
uint32_t truth_call_count_out(struct truth_port *port, enum truth_kind kind, int change);

/* For struct sent. */
uint32_t truth_call_states(const struct sent *base);
void truth_call_reply(struct sent *base);
void truth_call_destroy(struct sent *base);

/* For its events. */
void truth_call_on_answer(struct event *event);
void truth_call_on_arrival(struct event *event);
void truth_call_on_again(struct event *event);

#endif
