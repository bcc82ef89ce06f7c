/* A server under test, on a thread of its own, so that a test's blocking calls are those of another process as far as
 * the loop can tell; and a client of few words. */
#ifndef SAGAD_TEST_NET_RIG_H
#define SAGAD_TEST_NET_RIG_H

#include "net/server.h"

#include <pthread.h>

#define HELD_MAX  64
#define BIG_BYTES 65536

/* What the server under test does with a line:
 *   job TEXT   begins a job that a timer answers with TEXT
 *   hold       begins a job that is answered at the end of the server
 *   big        answers with 64 KiB
 *   pause      pauses the server for 50 ms
 *   {...}      a JSON-RPC request: answers {"n": id}, in an order turned around by threes
 *   else       the line itself */
struct rig {
	struct server_events events;
	struct server_config config;
	struct server *server;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t timer;
	uv_timer_t unpause;
	pthread_t thread;
	char dir[64];
	char path[100];
	struct peer *held[HELD_MAX]; /* answered at the end */
	unsigned n_held;
	struct {
		struct peer *peer;
		char text[128];
	} jobs[HELD_MAX]; /* answered by the timer, last first */
	unsigned n_jobs;
	unsigned max_jobs_seen;
	size_t max_unsent_seen;
	struct server_counts counts; /* at the end */
};

/* Makes a directory and a configuration that the test may change. */
void rig_prepare(struct rig *rig);
void rig_start(struct rig *rig);

/* Ends the server and removes what the rig has made; its counts stay. */
void rig_stop(struct rig *rig);

/* The same in two halves, for a test that has something to remove in between. */
void rig_end(struct rig *rig);
void rig_remove(struct rig *rig);

/* Ends the loop of a rig whose server never came to be. */
void rig_cancel(struct rig *rig);

/* Makes the timer that answers jobs come every so many milliseconds; before rig_start(). */
void rig_answer_every_ms(struct rig *rig, unsigned ms);

int dial(const char *path);
void say(int fd, const char *text, size_t len);

/* Reads until `expected` has come, and not a byte more. */
void expect(int fd, const char *expected);
void expect_end(int fd);

#endif
