/* Redis as what steps of clients' own sagas run on: implements port/target.h, with a barrier.
 *
 * A do or undo object is {"commands": [["SET", "k", "v"], ...]}: one Lua script, so no other client sees a part of it.
 * The result is {"replies": [...]}.
 *
 * The barrier is a hash at PREFIX:step:{SAGA/STEP}, written first. Redis can't roll back: when a command fails, those
 * before it stay. So commands and their arity are checked before anything is sent, and the server is asked for the
 * user's rights before the first command runs. If one fails all the same, the barrier remembers how far the script
 * came:
 * - at the first command: nothing has changed; the verdict is that of the error;
 * - later: DOUBT, so that the undo runs. The same call again goes on at the command that failed, and repeats none.
 *
 * A barrier expires after barrier_ttl_s from its last change, the one of an ended undo after a day: it must outlive the
 * longest time between two tries of one step. */
#ifndef SAGAD_STORES_REDIS_REDIS_STEPS_H
#define SAGAD_STORES_REDIS_REDIS_STEPS_H

#include "port/target.h"
#include "stores/redis/redis.h"

/* Zeroes stand for the defaults, given at each field. */
struct redis_steps_config {
	struct redis_config server; /* where, as whom, TLS, key_prefix; connections and batches in it are unused */
	uint32_t connections;       /* 2: 1..64 */
	uint32_t pipeline;          /* 64: calls in one pipeline, 1..256 */
	uint32_t barrier_ttl_s;     /* 604800: a week */
	size_t max_result_bytes;    /* 256 KiB, at most 512 KiB: of one call; a longer result becomes null */
};

/* Makes the target; connects to nothing. Loop's thread. Texts are copied, `log` is kept until close(). -EINVAL: a
 * value that can't be; err names it. -ENOTSUP: TLS, which this build hasn't. */
int redis_steps_create(uv_loop_t *loop, const struct redis_steps_config *config, struct log *log,
		       struct target **out_target, struct err *err) WARN_UNUSED;

#endif
