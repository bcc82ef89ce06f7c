/* The collector: one small transaction after another, never two at once, each in steps of a bounded size.
 *
 * It runs after removals, after the first check, and now and then for tombstones whose time is over. What it does is
 * never urgent: a failed step is done again with the next. */
#include "neo4j_internal.h"

#include "base/crash_point.h"

#define COLLECT_LIMIT       200u /* tombstones in a step */
#define COLLECT_AGAIN_MS    5000u
#define COLLECT_AT_LEAST_MS 600000u

static void neo4j_collect_step(uv_timer_t *timer);

static void neo4j_collect_arm(struct neo4j *neo4j, uint64_t wait_ms)
{
	uv_timer_t *timer = &neo4j->collect_timer;

	if (neo4j->is_closing || neo4j->is_collecting)
		return; /* the end of a step sets the timer */
	if (uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= wait_ms)
		return;
	(void)uv_timer_start(timer, neo4j_collect_step, wait_ms, 0); /* fails on a closing handle only */
}

void neo4j_collect_soon(struct neo4j *neo4j)
{
	neo4j->has_removed = true;
	neo4j_collect_arm(neo4j, neo4j->collect_interval_ms);
}

static uint64_t neo4j_collect_rest_ms(const struct neo4j *neo4j)
{
	uint64_t rest_ms = neo4j->tombstone_ms / 4 + neo4j->collect_interval_ms;

	return rest_ms < COLLECT_AT_LEAST_MS ? rest_ms : COLLECT_AT_LEAST_MS;
}

static void neo4j_collect_done(struct http_req *http)
{
	struct neo4j *neo4j = container_of(http, struct neo4j, collect);
	uint64_t wait_ms = COLLECT_AGAIN_MS;
	struct err err = {{0}};
	enum verdict verdict = http_verdict(http);

	CRASH_POINT(NEO4J_COLLECT_AFTER);
	neo4j->is_collecting = false;
	neo4j_body_fini(&neo4j->collect_body);
	if (http->outcome == HTTP_ANSWERED)
		verdict = neo4j_answer(http->status, buf_str(&http->reply), &err).verdict;
	else
		err = http->err;
	if (verdict == VERDICT_OK)
		wait_ms = neo4j->has_removed || neo4j_collect_is_full(buf_str(&http->reply), COLLECT_LIMIT)
				  ? neo4j->collect_interval_ms
				  : neo4j_collect_rest_ms(neo4j);
	else if (!neo4j->has_collect_failed && !neo4j->is_closing)
		log_with(neo4j->log, LOG_WARN_LEVEL, LOG_STORE_FAILED, LOG_FIELDS({"store", str_of("neo4j")}),
			 "neo4j: entities that nothing mentions any more stay for now: %s", err.text);
	neo4j->has_collect_failed = verdict != VERDICT_OK;
	neo4j_collect_arm(neo4j, wait_ms);
}

static void neo4j_collect_step(uv_timer_t *timer)
{
	struct neo4j *neo4j = container_of(timer, struct neo4j, collect_timer);

	if (neo4j_collect_body(COLLECT_LIMIT, neo4j->tombstone_ms, &neo4j->collect_body) != 0) {
		neo4j_collect_arm(neo4j, COLLECT_AGAIN_MS);
		return;
	}
	CRASH_POINT(NEO4J_COLLECT_BEFORE);
	neo4j->has_removed = false;
	neo4j->is_collecting = true;
	neo4j->collect.done = neo4j_collect_done;
	neo4j_send(neo4j, &neo4j->collect, &neo4j->collect_body, neo4j->admin_timeout_ns);
}
