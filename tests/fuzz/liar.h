/* A server that lies: a Unix socket in a folder of its own, on the target's own thread. Every connection gets the same
 * script, a chunk at a time: the next one when the client has said something since the last, or at once. At the end of
 * the script the connection is closed. */
#ifndef SAGAD_TESTS_FUZZ_LIAR_H
#define SAGAD_TESTS_FUZZ_LIAR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIAR_CHUNKS_MAX  48
#define LIAR_CLIENTS_MAX 8

struct liar_client {
	int fd;        /* -1: none */
	uint32_t next; /* chunk */
	bool has_heard;
};

struct liar {
	char folder[40];
	char path[80];
	int listener;
	struct buf script;
	size_t ends[LIAR_CHUNKS_MAX]; /* of each chunk, in the script */
	bool at_once[LIAR_CHUNKS_MAX];
	uint32_t n_chunks;
	struct liar_client clients[LIAR_CLIENTS_MAX];
};

/* Makes folder and socket; once for a program, and gone with it. `name` is the socket's file in the folder. */
void liar_listen(struct liar *liar, const char *name);

/* What was appended to liar->script since the last call becomes a chunk. False: there are enough. */
bool liar_cut(struct liar *liar, bool at_once);

/* Takes clients, listens to them, talks to them. False: nothing has happened. */
bool liar_pump(struct liar *liar);

/* Ends all connections and forgets the script. */
void liar_reset(struct liar *liar);

#endif
