#include "load.h"

#include "sagad/client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#define NS_PER_S       1000000000u
#define CONNECT_MS     10000
#define TICK_NS        50000000u
#define REFUSED_MS_MAX 1000u

/* A request under way. */
struct slot {
	uint64_t id; /* of the request, on its connection */
	struct op op;
	uint64_t start_ns; /* open loop: when it should have started */
	size_t n_bytes;
	struct slot *next_free;
	UT_hash_handle hh;
};

struct conn {
	struct sagad_client *client;
	struct slot *slots; /* owned: depth of them */
	struct slot *free;
	struct slot *by_id;
	uint32_t n_out;
	uint64_t pause_until_ns; /* the daemon said `overloaded` */
	bool may_hold;           /* the library may hold answers that poll() doesn't tell of */
};

struct load {
	const struct load_config *config;
	struct plan *plan;
	struct load_result *result;
	struct err *err;
	struct conn *conns;    /* owned */
	struct pollfd *polled; /* owned, one for each of them */
	struct buf params;
	uint64_t begin_ns, warm_ns, end_ns; /* end_ns: UINT64_MAX when the number of requests ends it */
	uint64_t next_start_ns;             /* open loop */
	bool is_behind;                     /* open loop: every connection is full, requests are due */
	uint64_t last_answer_ns;
	uint64_t last_counted_ns;
	uint64_t n_started, n_out;
	uint32_t next_conn;
	uint64_t shown_ns, n_shown;
};

static uint64_t load_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail with this clock */
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool load_is_open(const struct load *load)
{
	return load->config->rate > 0;
}

/* ---- connections ---- */

static int conn_open(struct load *load, struct conn *conn)
{
	const struct load_config *config = load->config;
	char error[SAGAD_ERROR_BYTES];
	int rc = sagad_connect(config->socket_path, CONNECT_MS, &conn->client, error, sizeof(error));

	if (rc != 0)
		return err_set(load->err, rc, "%s", error);
	conn->slots = calloc(config->depth, sizeof(*conn->slots));
	if (conn->slots == NULL)
		return err_set(load->err, -ENOMEM, "out of memory for %" PRIu32 " requests of a connection",
			       config->depth);
	for (uint32_t i = 0; i < config->depth; i++) {
		conn->slots[i].next_free = conn->free;
		conn->free = &conn->slots[i];
	}
	return 0;
}

static void conn_close(struct conn *conn)
{
	HASH_CLEAR(hh, conn->by_id);
	sagad_close(conn->client);
	free(conn->slots);
}

static int load_open(struct load *load)
{
	uint32_t n = load->config->n_clients;

	load->conns = calloc(n, sizeof(*load->conns));
	load->polled = calloc(n, sizeof(*load->polled));
	if (load->conns == NULL || load->polled == NULL)
		return err_set(load->err, -ENOMEM, "out of memory for %" PRIu32 " connections", n);
	for (uint32_t i = 0; i < n; i++) {
		int rc = conn_open(load, &load->conns[i]);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static void load_close(struct load *load)
{
	for (uint32_t i = 0; load->conns != NULL && i < load->config->n_clients; i++)
		conn_close(&load->conns[i]);
	free(load->conns);
	free(load->polled);
	buf_fini(&load->params);
}

/* ---- sending ---- */

static int load_send_failed(struct load *load, const struct conn *conn, int rc)
{
	return err_set(load->err, rc, "%s", sagad_client_error(conn->client));
}

static int load_send(struct load *load, struct conn *conn, uint64_t start_ns)
{
	struct slot *slot = conn->free;
	int rc = plan_next(load->plan, &slot->op);

	buf_clear(&load->params);
	if (rc == 0)
		plan_write(load->plan, &slot->op, &load->params);
	if (rc != 0 || load->params.failed)
		return err_set(load->err, -ENOMEM, "out of memory for a request");
	rc = sagad_submit(conn->client, plan_method(&slot->op), load->params.at, load->params.len, &slot->id);
	if (rc != 0)
		return load_send_failed(load, conn, rc);
	conn->free = slot->next_free;
	slot->start_ns = start_ns;
	slot->n_bytes = load->params.len;
	HASH_ADD(hh, conn->by_id, id, sizeof(slot->id), slot);
	conn->may_hold = true;
	conn->n_out++;
	load->n_out++;
	load->n_started++;
	return 0;
}

static bool load_may_start(const struct load *load, uint64_t at_ns)
{
	return at_ns < load->end_ns && (load->config->n_max == 0 || load->n_started < load->config->n_max);
}

/* Closed loop: every connection gets what it may have under way. */
static int load_fill(struct load *load)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < load->config->n_clients; i++) {
		struct conn *conn = &load->conns[i];

		while (rc == 0 && conn->free != NULL) {
			uint64_t now_ns = load_now_ns();

			if (conn->pause_until_ns > now_ns || !load_may_start(load, now_ns))
				break;
			rc = load_send(load, conn, now_ns);
		}
	}
	return rc;
}

/* The next connection with room, in turns; NULL: all are full. */
static struct conn *load_free_conn(struct load *load)
{
	for (uint32_t i = 0; i < load->config->n_clients; i++) {
		struct conn *conn = &load->conns[load->next_conn];

		load->next_conn = (load->next_conn + 1) % load->config->n_clients;
		if (conn->free != NULL)
			return conn;
	}
	return NULL;
}

/* Open loop: all whose time has come. */
static int load_start_due(struct load *load)
{
	double gap_ns = NS_PER_S / load->config->rate;
	uint64_t now_ns = load_now_ns();
	struct conn *conn;
	int rc = 0;

	while (rc == 0 && load->next_start_ns <= now_ns && load_may_start(load, load->next_start_ns)) {
		conn = load_free_conn(load);
		if (conn == NULL) {
			load->is_behind = true;
			return 0;
		}
		load->result->n_late_starts += load->is_behind;
		rc = load_send(load, conn, load->next_start_ns);
		load->next_start_ns = load->begin_ns + (uint64_t)(gap_ns * (double)load->n_started);
	}
	load->is_behind = false;
	return rc;
}

/* ---- answers ---- */

static bool load_counts(const struct load *load, const struct slot *slot, uint64_t now_ns)
{
	uint64_t at_ns = load_is_open(load) ? slot->start_ns : now_ns;

	return at_ns >= load->warm_ns && at_ns < load->end_ns;
}

static void load_count_code(struct load_result *result, const char *name)
{
	uint32_t i = 0;

	while (i < result->n_codes && strcmp(result->codes[i].name, name) != 0)
		i++;
	if (i == LOAD_CODES) {
		i = LOAD_CODES - 1;
		(void)strcpy(result->codes[i].name, "other");
	} else if (i == result->n_codes) {
		(void)snprintf(result->codes[i].name, LOAD_CODE_BYTES, "%s", name); /* codes are short; cut if not */
		result->n_codes++;
	}
	result->codes[i].n++;
}

static void load_refused(struct load *load, struct conn *conn, const struct sagad_reply *reply, uint64_t now_ns)
{
	uint64_t wait_ms = sagad_reply_retry_after_ms(reply);

	load->result->n_failed++;
	load_count_code(load->result, sagad_reply_code(reply));
	if (sagad_reply_is_retriable(reply))
		conn->pause_until_ns = now_ns + (wait_ms < REFUSED_MS_MAX ? wait_ms : REFUSED_MS_MAX) * 1000000u;
}

/* The version that this answer tells of: a put's own, also when it was found unchanged; a delete's is its saga. */
static const char *load_version(const struct slot *slot, const struct sagad_reply *reply, const char *outcome)
{
	if (slot->op.kind != OP_DELETE)
		return sagad_reply_text(reply, "version");
	return outcome != NULL && strcmp(outcome, "deleted") == 0 ? sagad_reply_text(reply, "saga_id") : NULL;
}

static int load_done(struct load *load, const struct slot *slot, const struct sagad_reply *reply, uint64_t now_ns)
{
	struct load_result *result = load->result;
	const char *outcome = sagad_reply_text(reply, "outcome"), *version = load_version(slot, reply, outcome);

	if (version != NULL)
		plan_committed(load->plan, &slot->op, version);
	if (!load_counts(load, slot, now_ns))
		return 0;
	result->n_ok[slot->op.kind]++;
	result->n_bytes += slot->n_bytes;
	result->n_unchanged += outcome != NULL && strcmp(outcome, "unchanged") == 0;
	result->n_owed += strstr(sagad_reply_json(reply), "\"owed\":[{") != NULL;
	load->last_counted_ns = now_ns;
	if (samples_add(&result->all, now_ns - slot->start_ns) != 0)
		return err_set(load->err, -ENOMEM, "out of memory for %zu latencies", result->all.n);
	return 0;
}

static int load_answer(struct load *load, struct conn *conn, const struct sagad_reply *reply)
{
	uint64_t id = sagad_reply_id(reply), now_ns = load_now_ns();
	struct slot *slot;
	int rc = 0;

	HASH_FIND(hh, conn->by_id, &id, sizeof(id), slot);
	if (slot == NULL)
		return err_set(load->err, -EPROTO, "the daemon says of no request of ours: %s: %s",
			       sagad_reply_code(reply), sagad_reply_message(reply));
	if (sagad_reply_is_error(reply))
		load_refused(load, conn, reply, now_ns);
	else
		rc = load_done(load, slot, reply, now_ns);
	HASH_DEL(conn->by_id, slot);
	slot->next_free = conn->free;
	conn->free = slot;
	conn->n_out--;
	load->n_out--;
	load->last_answer_ns = now_ns;
	return rc;
}

static int load_receive(struct load *load, struct conn *conn)
{
	struct sagad_reply *reply;
	int rc;

	conn->may_hold = false;
	while ((rc = sagad_wait_any(conn->client, 0, &reply)) == 0) {
		rc = load_answer(load, conn, reply);
		sagad_reply_free(reply);
		if (rc != 0)
			return rc;
	}
	return rc == -ETIMEDOUT || rc == -ENOENT ? 0 : load_send_failed(load, conn, rc);
}

/* How long nothing is to be done, unless an answer comes. */
static struct timespec load_pause(const struct load *load)
{
	uint64_t now_ns = load_now_ns(), wait_ns = TICK_NS;

	if (load_is_open(load))
		wait_ns = load->next_start_ns > now_ns ? load->next_start_ns - now_ns : 1000000;
	for (uint32_t i = 0; i < load->config->n_clients; i++) {
		const struct conn *conn = &load->conns[i];

		if (conn->may_hold && conn->n_out > 0)
			wait_ns = 0;
		else if (conn->pause_until_ns > now_ns && conn->pause_until_ns - now_ns < wait_ns)
			wait_ns = conn->pause_until_ns - now_ns;
	}
	if (wait_ns > TICK_NS)
		wait_ns = TICK_NS;
	return (struct timespec){.tv_nsec = (long)wait_ns};
}

static int load_wait(struct load *load)
{
	struct timespec pause = load_pause(load);
	uint32_t n = load->config->n_clients;
	int rc = 0;

	for (uint32_t i = 0; i < n; i++)
		load->polled[i] = (struct pollfd){.fd = sagad_client_fd(load->conns[i].client), .events = POLLIN};
	if (ppoll(load->polled, n, &pause, NULL) < 0 && errno != EINTR)
		return err_set(load->err, -errno, "cannot wait for answers: %s", strerror(errno));
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		if (load->polled[i].revents != 0 || load->conns[i].may_hold)
			rc = load_receive(load, &load->conns[i]);
	return rc;
}

/* ---- the whole ---- */

static void load_show(struct load *load)
{
	uint64_t now_ns = load_now_ns(), n = load->n_started - load->n_out;

	if (load->config->is_quiet || now_ns - load->shown_ns < NS_PER_S)
		return;
	fprintf(stderr, "\r%s %5.0f s %9.0f requests/s %7" PRIu64 " under way %7" PRIu64 " failed ",
		now_ns < load->warm_ns ? "warming  " : "measuring", (double)(now_ns - load->begin_ns) / NS_PER_S,
		(double)(n - load->n_shown) * NS_PER_S / (double)(now_ns - load->shown_ns), load->n_out,
		load->result->n_failed);
	load->shown_ns = now_ns;
	load->n_shown = n;
}

static bool load_is_over(const struct load *load)
{
	uint64_t at_ns = load_is_open(load) ? load->next_start_ns : load_now_ns();

	return load->n_out == 0 && !load_may_start(load, at_ns);
}

static int load_check_patience(const struct load *load)
{
	uint64_t now_ns = load_now_ns();
	double waited_s = (double)(now_ns - load->last_answer_ns) / NS_PER_S;

	if (load->n_out == 0 || waited_s < load->config->patience_s)
		return 0;
	return err_set(load->err, -ETIMEDOUT,
		       "no answer for %.0f s to any of %" PRIu64 " requests: look at `sagactl stats`", waited_s,
		       load->n_out);
}

static int load_turn(struct load *load)
{
	int rc = load_is_open(load) ? load_start_due(load) : load_fill(load);

	if (rc == 0)
		rc = load_wait(load);
	if (rc == 0)
		rc = load_check_patience(load);
	load_show(load);
	return rc;
}

/* A load that ends by its number of requests has measured until the last answer that counts. */
static double load_seconds(const struct load *load)
{
	bool has_run_out = load->config->n_max > 0 && load->n_started >= load->config->n_max;
	uint64_t end_ns = has_run_out || load->end_ns == UINT64_MAX ? load->last_counted_ns : load->end_ns;

	return end_ns > load->warm_ns ? (double)(end_ns - load->warm_ns) / NS_PER_S : 0;
}

static void load_begin(struct load *load)
{
	const struct load_config *config = load->config;

	load->begin_ns = load->next_start_ns = load->last_answer_ns = load->shown_ns = load_now_ns();
	load->warm_ns = load->begin_ns + (uint64_t)(config->warmup_s * NS_PER_S);
	load->end_ns = config->measure_s > 0 ? load->warm_ns + (uint64_t)(config->measure_s * NS_PER_S) : UINT64_MAX;
}

int load_run(const struct load_config *config, struct plan *plan, struct load_result *result, struct err *err)
{
	struct load load = {.config = config, .plan = plan, .result = result, .err = err};
	int rc;

	*result = (struct load_result){0};
	rc = load_open(&load);
	load_begin(&load);
	while (rc == 0 && !load_is_over(&load))
		rc = load_turn(&load);
	result->n_unknown = load.n_out;
	result->seconds = load_seconds(&load);
	if (!config->is_quiet)
		fputs("\r\033[K", stderr);
	load_close(&load);
	return rc;
}

void load_result_fini(struct load_result *result)
{
	samples_fini(&result->all);
}
