/* Drives one target of steps against a real server: each call runs the loop until its done() came. Header only: include
 * it once in a test program, after cmocka. */
#ifndef SAGAD_TESTS_LIVE_LIVE_TARGET_H
#define SAGAD_TESTS_LIVE_LIVE_TARGET_H

#include "port/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define LIVE_CALL_TIMEOUT_NS 10000000000u
#define LIVE_CALLS_MAX       256

struct live_call {
	struct call call;
	bool is_done;
	uv_loop_t *loop;
};

static inline void live_call_done(struct call *call)
{
	struct live_call *live = container_of(call, struct live_call, call);

	live->is_done = true;
	uv_stop(live->loop); /* a timer that brought done() must not be followed by a wait for the next event */
}

/* A saga that no run of the tests has used before. */
static inline struct uuid live_saga(void)
{
	static uint64_t n;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return uuid_make_v7((uint64_t)now.tv_sec * 1000, (uint64_t)getpid(), ++n);
}

static inline void live_call_init(struct live_call *live, uv_loop_t *loop, enum call_kind kind, struct uuid saga,
				  const char *step, const char *body)
{
	*live = (struct live_call){.loop = loop,
				   .call = {.kind = kind,
					    .saga = saga,
					    .step = str_of(step),
					    .body_json = str_of(body),
					    .timeout_ns = LIVE_CALL_TIMEOUT_NS,
					    .done = live_call_done}};
}

/* Waits for all of them. */
static inline void live_calls_run(struct target *target, struct live_call *calls, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		target->ops->submit(target, &calls[i].call);
		MUST(!calls[i].is_done); /* later, never from inside submit() */
	}
	for (uint32_t i = 0; i < n; i++)
		while (!calls[i].is_done)
			(void)uv_run(calls[i].loop, UV_RUN_ONCE);
}

/* What came of a call, with its texts; the last one's. */
struct live_outcome {
	enum verdict verdict;
	bool is_repeated;
	struct err err;
	char result[65536];
	uint64_t retry_after_ms;
};

static inline struct live_outcome *live_outcome_of(struct live_call *live)
{
	static struct live_outcome outcome;

	outcome = (struct live_outcome){.verdict = live->call.verdict,
					.is_repeated = live->call.is_repeated,
					.err = live->call.err,
					.retry_after_ms = live->call.retry_after_ms};
	(void)snprintf(outcome.result, sizeof(outcome.result), "%.*s", STR_ARG(buf_str(&live->call.result_json)));
	buf_fini(&live->call.result_json);
	return &outcome;
}

static inline struct live_outcome *live_run(struct target *target, uv_loop_t *loop, enum call_kind kind,
					    struct uuid saga, const char *body, bool keeps_result)
{
	struct live_call live;

	live_call_init(&live, loop, kind, saga, "step", body);
	live.call.keeps_result = keeps_result;
	live_calls_run(target, &live, 1);
	return live_outcome_of(&live);
}

static inline void live_target_closed(void *arg)
{
	*(bool *)arg = true;
}

static inline void live_target_close(struct target *target, uv_loop_t *loop)
{
	bool is_closed = false;

	target->ops->close(target, live_target_closed, &is_closed);
	while (!is_closed)
		(void)uv_run(loop, UV_RUN_ONCE);
}

#define assert_call(outcome_of, expected_verdict)                                                                      \
	do {                                                                                                           \
		struct live_outcome *live_seen = (outcome_of);                                                         \
		if (live_seen->verdict != (expected_verdict))                                                          \
			fail_msg("verdict %d, expected %d: %s", (int)live_seen->verdict, (int)(expected_verdict),      \
				 live_seen->err.text);                                                                 \
	} while (0)

#endif
