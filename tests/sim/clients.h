/* The clients: what they ask for, what they are told, and what they may conclude from it.
 *
 * They work on few documents, so that jobs meet. A job may carry a key, be repeated with it, ask for a version, be
 * accepted only, have a short deadline, or lose its client. */
#ifndef SAGAD_SIM_CLIENTS_H
#define SAGAD_SIM_CLIENTS_H

#include "content.h"
#include "engine/engine.h"
#include "proto/request.h"
#include "world.h"

#include <uthash.h>

struct sim;
struct daemon;
struct sim_disk;

#define KEY_BYTES 24

/* What a job asks for. Two jobs with the same want are the same, byte for byte. */
struct want {
	uint32_t doc;
	uint32_t number;
	struct poison_mark mark;
	bool is_delete;
	char key[KEY_BYTES]; /* "": none */
	bool has_if_version;
	struct uuid if_version;
	bool if_absent;
	bool write_unchanged;
	bool is_accepted;
	uint64_t deadline_ms;
};

struct client_job {
	struct engine_job job;
	struct clients *clients;
	struct daemon *daemon; /* that has it */
	struct list node;
	struct event retry;
	struct want want;
	uint32_t number; /* from 1, in the order of the arrivals; 0: not one of those */
	struct buf json;
	struct request *request; /* keeps the texts */
	unsigned n_answers;
	unsigned n_tries;
	bool is_vanished;
	bool is_last_question; /* asked at rest, when every key must be known */
};

/* What a key has been answered with. */
struct key_fact {
	char key[KEY_BYTES];
	struct want want; /* the first to use it */
	bool is_committed;
	struct want committed; /* which content */
	bool is_refused;       /* for good, and that stood in the ledger */
	struct want refused;
	struct uuid saga;
	UT_hash_handle hh;
};

struct accepted_job {
	struct uuid id;
	struct sim_disk *disk;
	uint32_t doc;
	bool is_lost; /* with its journal */
};

struct clients {
	struct sim *sim;
	struct rng rng; /* for what is asked, and when */
	struct list jobs;
	struct event next;
	uint32_t n_docs;
	uint32_t n_left;   /* arrivals to come */
	uint32_t n_asked;  /* jobs so far, those included that are left out */
	uint64_t pause_ns; /* between them, at most */
	uint32_t n_keys;
	struct key_fact *keys;
	struct uuid versions[DOCS_MAX]; /* the last that a client was told */
	struct accepted_job *accepted;
	uint32_t n_accepted, n_accepted_room;
	uint32_t n_open; /* jobs without an answer that a living daemon has */
	uint64_t n_answered, n_committed;
};

void clients_init(struct clients *clients, struct sim *sim);
void clients_fini(struct clients *clients);

/* Starts the arrivals. */
void clients_begin(struct clients *clients);

/* No more arrivals and repetitions. */
void clients_end(struct clients *clients);

/* The daemon has died: its jobs get no answer. Some clients ask its successor. */
void clients_daemon_died(struct clients *clients, struct daemon *daemon);

/* Asks again for every key that was committed; each must get its stored outcome. */
void clients_ask_again(struct clients *clients);

/* A put of new content, to see what happens. */
void clients_probe(struct clients *clients);

/* This journal is gone, and with it what it had accepted. */
void clients_journal_lost(struct clients *clients, const struct sim_disk *disk);

/* Every accepted job has ended as it should. */
void clients_check_accepted(const struct clients *clients);

#endif
