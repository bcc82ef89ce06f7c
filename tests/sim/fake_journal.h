/* The journal's disk, and one daemon's way to it.
 *
 * What was committed as a group survives; a crash loses the group that gathers, and the one that is on its way is there
 * or not. A commit that fails may be on the disk all the same, and nothing is written after it. */
#ifndef SAGAD_SIM_FAKE_JOURNAL_H
#define SAGAD_SIM_FAKE_JOURNAL_H

#include "base/list.h"
#include "fake_journal_flows.h"
#include "fault.h"
#include "port/journal.h"
#include "world.h"

#include <uthash.h>

struct sim;
struct daemon;

struct disk_intent {
	struct uuid saga;
	uint32_t doc;
	uint32_t n_chunks;
	bool is_delete;
	bool is_aborted;
	int64_t unix_ms;
	UT_hash_handle hh;
};

struct disk_job {
	struct uuid id;
	uint32_t doc;
	bool is_delete;
	char *json; /* NULL when it has ended */
	struct journal_job_row row;
	struct journal_deaths deaths[JOURNAL_DEATHS_MAX];
	uint32_t n_deaths;
	UT_hash_handle hh; /* in the order of acceptance */
};

struct sim_disk {
	struct sim *sim;
	struct uuid id;
	uint64_t full_ns; /* no space until then */
	bool is_lost;     /* the file is gone for good */
	struct disk_intent *intents;
	struct disk_job *jobs;
	struct disk_flow *flows;
};

/* A submitted record: the engine's request, and a copy of it. */
struct record {
	struct list node;
	struct journal_req *req; /* NULL: nobody waits */
	uint64_t action;
	struct journal_req copy;
	char *document_id, *json, *code, *reason;
};

struct journal_port {
	struct journal journal;
	struct sim_disk *disk;
	struct daemon *daemon;
	struct list gathering; /* records */
	struct list going;     /* the group that is being committed */
	struct list lookups;
	struct list gathering_flows, going_flows; /* flow_record.node, with the groups above */
	struct list finds;                        /* journal_flow_find_req.node */
	struct event commit;
	struct event looked_up;
	enum fault how; /* it will fail at the next commit; FAULT_KINDS: it won't */
	bool has_failed;
	bool is_unreadable; /* at the start */
	bool is_fenced;     /* a successor has opened the file: nothing is written any more */
};

void sim_disk_init(struct sim_disk *disk, struct sim *sim);
void sim_disk_fini(struct sim_disk *disk);

/* The file is gone: with it its jobs, and what was known of unfinished sagas. */
void sim_disk_lose(struct sim_disk *disk);

/* Jobs that wait on this disk. */
uint32_t sim_disk_waiting(const struct sim_disk *disk);

void journal_port_init(struct journal_port *port, struct sim_disk *disk, struct daemon *daemon);

/* For a record of any kind that was submitted. */
void journal_port_begin_commit(struct journal_port *port);

bool journal_port_is_busy(const struct journal_port *port);

/* The daemon dies; what was submitted beyond `last_action` never was. */
void journal_port_crash(struct journal_port *port, uint64_t last_action);

/* At the end of a run. */
void journal_port_bury(struct journal_port *port);

#endif
