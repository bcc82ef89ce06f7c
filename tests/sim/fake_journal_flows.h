/* Sagas of clients' own on a fake journal's disk: see fake_journal.h. */
#ifndef SAGAD_SIM_FAKE_JOURNAL_FLOWS_H
#define SAGAD_SIM_FAKE_JOURNAL_FLOWS_H

#include "core/flow.h"
#include "port/journal.h"

#include <uthash.h>

struct journal_port;
struct sim_disk;

struct disk_step {
	const char *state; /* NULL: it has none yet. A name of the core's */
	uint32_t n_tries;
	char *result, *error, *reason;
	int64_t unix_ms;
};

struct disk_flow {
	struct uuid id;
	const char *state;
	char *code, *reason, *key, *spec;
	uint32_t uid;
	uint8_t hash[32];
	int64_t began_unix_ms, deadline_unix_ms, ended_unix_ms;
	bool has_ended;
	UT_hash_handle hh; /* in the order of their beginnings */
	struct disk_step steps[FLOW_STEPS_MAX];
};

/* A record on its way; its texts are the engine's, which lives on when its daemon has died. */
struct flow_record {
	struct list node;
	struct journal_flow_req *req;
	struct uuid flow;
	uint64_t action;
};

void journal_flows_write(struct journal_port *port, struct list *records);
void journal_flows_answer(struct journal_port *port, struct list *records, int rc);
void journal_flows_found(struct journal_port *port);

void disk_flows_fini(struct sim_disk *disk);
void disk_flows_lose(struct sim_disk *disk);
bool disk_flows_are_open(const struct sim_disk *disk);

void journal_flows_submit(struct journal *journal, struct journal_flow_req *req);
void journal_flows_find(struct journal *journal, struct journal_flow_find_req *req);
void journal_flows_list(struct journal *journal, struct journal_flow_list_req *req);
int journal_flows_load(struct journal *journal, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
		       struct err *err);

#endif
