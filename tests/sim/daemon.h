/* One run of the daemon: an engine with its ports, from start to crash.
 *
 * A crash doesn't destroy the engine: its process is gone, and so nobody calls it any more, but what it had sent may
 * still have its effect and refers to its memory. The dead stay in a graveyard until the end of the run. */
#ifndef SAGAD_SIM_DAEMON_H
#define SAGAD_SIM_DAEMON_H

#include "engine/engine.h"
#include "fake_journal.h"
#include "engine/flows.h"
#include "fake_store.h"
#include "fake_target.h"
#include "fake_truth.h"

struct sim;

enum doom { DOOM_NONE, DOOM_IN_RECOVERY, DOOM_SOON, DOOM_TWICE, DOOM_WITH_JOURNAL, DOOM_AFTER_TURN };

struct daemon {
	struct sim *sim;
	unsigned number; /* from 1, in the order of the starts */
	struct list node;
	struct engine *engine;
	struct store *ports[SIM_STORES];
	struct store_port stores[SIM_STORES];
	struct truth_port truth;
	struct journal_port journal;
	struct target_port targets[SIM_TARGETS];
	struct flow_stats flow_stats; /* after the last turn */
	uint64_t n_flows[FLOW_COLUMNS];
	struct log log;
	struct list calls;
	struct seen_saga *seen; /* their states after the last turn, for the trace: states.c */
	struct event wake;      /* the next engine_turn() */
	struct event death;     /* DOOM_SOON, DOOM_TWICE, DOOM_WITH_JOURNAL */
	bool is_dead;
	bool is_zombie;            /* a successor runs */
	bool is_told_of_successor; /* PostgreSQL has told it: it must halt */
	bool is_told_of_failure;   /* a record that it waited for has failed: it must halt */
	enum doom doom;
	uint64_t doom_actions;     /* DOOM_IN_RECOVERY: dies behind so many, if recovery lasts that long */
	uint64_t asleep_ns;        /* its process is stopped until then */
	bool is_asleep;            /* ... and hasn't woken yet */
	uint64_t n_actions;        /* requests and records sent, and answers given, so far */
	uint64_t last_action;      /* behind this one it is dead, whatever it still does in this turn; 0: not decided */
	uint64_t turn_first;       /* n_actions when the last turn began */
	uint64_t turn_ns;          /* when that was */
	uint64_t last_answer;      /* n_actions at the last answer to a client */
	bool has_run;              /* was in ENGINE_RUNNING */
	uint64_t n_errands_found;  /* when it came there */
	uint32_t n_turns_now;      /* turns without any time passing */
	struct engine_stats stats; /* after the last turn */
	struct uuid last_commit;   /* the last that PostgreSQL confirmed to it; nil: none */
	struct uuid lost_commit;   /* that it goes by, and that PostgreSQL has lost: it must not write; nil: none */
};

/* Starts a daemon with this journal; the simulation's current one from then on. It may be dead already: its journal
 * could not be read. */
struct daemon *daemon_start(struct sim *sim, struct sim_disk *disk, bool take_over);

/* Something came in: a turn follows soon. */
void daemon_touch(struct daemon *daemon);

/* kill -9. */
void daemon_crash(struct daemon *daemon);

/* Frees a dead daemon. */
void daemon_bury(struct daemon *daemon);

/* It does something that the world can see: a request, a record, an answer. The number of the action. */
uint64_t daemon_act(struct daemon *daemon);

/* PostgreSQL has gone back: may this daemon still write? */
void daemon_note_lost(struct daemon *daemon);

/* A client is answered: what was sent up to here has been sent. */
void daemon_note_answer(struct daemon *daemon);

/* Is it dead already, though its turn goes on? Then nothing that it does now reaches anybody. */
bool daemon_is_doomed(const struct daemon *daemon);

/* The states, as bits, of its sagas that apply or publish this version, or (REMOVE) replace it; FAULT_AFTER when there
 * is none: background work, or the daemon is dead. */
uint32_t daemon_states_of(const struct daemon *daemon, enum leg_op op, const struct uuid *version);

/* ... of the saga that this is the reading of. */
uint32_t daemon_states_of_reader(const struct daemon *daemon, const struct truth_read *read);

/* ---- states.c ---- */

/* Notes in the trace what states its sagas have come to since the last turn. */
void states_trace(struct daemon *daemon);
void states_forget(struct daemon *daemon);

/* Nothing is left to do, and nothing is on its way. */
bool daemon_is_at_rest(const struct daemon *daemon);

#endif
