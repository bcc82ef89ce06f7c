#include "postgres.h"

#include "pg.h"

#include "base/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct pg_config postgres_config_default(void)
{
	return (struct pg_config){
		.host = "127.0.0.1",
		.port = 5432,
		.application_prefix = "sagad",
		.connect_timeout_ms = 5000,
		.statement_timeout_ms = 30000,
		.lock_timeout_ms = 10000,
		.idle_in_transaction_timeout_ms = 30000,
		.transaction_timeout_ms = 60000,
		.n_pivot_connections = 2,
		.n_read_connections = 2,
		.max_batch = 256,
		.max_batch_bytes = (size_t)8 << 20,
		.backoff = {.base_ns = 50000000u, .cap_ns = 5000000000u},
	};
}

enum verdict pg_end_verdict(const struct pg_end *end, const char *about, struct err *out_err)
{
	(void)err_set(out_err, 0, "postgres, %s: %.300s", about, end->err.text);
	return end->verdict;
}

/* ---- status, sizes, closing ---- */

/* The error that matters most: of the pivots, then of the reads, then of the rest. */
static const struct err *pg_status_error(const struct pg *pg)
{
	if (pg->pivots.last_error.text[0] != '\0')
		return &pg->pivots.last_error;
	return pg->reads.last_error.text[0] != '\0' ? &pg->reads.last_error : &pg->admin.last_error;
}

static void pg_status(const struct truth *truth, struct store_status *out_status)
{
	/* container_of() would drop the const. */
	const struct pg *pg = (const void *)((const char *)truth - offsetof(struct pg, truth));

	*out_status = (struct store_status){
		.is_up = pg_pool_n_up(&pg->pivots) > 0 && pg_pool_n_up(&pg->reads) > 0,
		.was_tried = pg->pivots.was_tried || pg->reads.was_tried || pg->admin.was_tried,
		.latency_ns = pg->reads.latency_ns != 0 ? pg->reads.latency_ns : pg->admin.latency_ns,
		.n_connections = pg_pool_n_up(&pg->pivots) + pg_pool_n_up(&pg->reads) + pg_pool_n_up(&pg->admin),
		.last_error = *pg_status_error(pg),
	};
	(void)snprintf(out_status->version, sizeof(out_status->version), "%s", pg->shared.server); /* as large */
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "%.120s%s%u", pg->config.host,
		       pg->config.host[0] == '/' ? "/.s.PGSQL." : ":", pg->config.port); /* cut is good enough */
	if (pg->shared.is_unsafe && out_status->last_error.text[0] == '\0')
		(void)err_set(&out_status->last_error, 0,
			      "warning: the server runs with fsync = off and may lose committed documents");
}

static size_t pg_bytes(const struct truth *truth, const struct truth_pivot *pivot)
{
	(void)truth;
	return pg_pivot_bytes(pivot);
}

static void pg_destroy(struct pg *pg)
{
	pg_pool_fini(&pg->pivots);
	pg_pool_fini(&pg->reads);
	pg_pool_fini(&pg->admin);
	for (size_t i = 0; i < PG_TEXTS; i++)
		free(pg->texts[i]);
	free(pg);
}

static void pg_closer_closed(uv_handle_t *handle)
{
	struct pg *pg = container_of(handle, struct pg, closer);
	void (*closed)(void *arg) = pg->closed;
	void *arg = pg->closed_arg;

	pg_destroy(pg);
	if (closed != NULL)
		closed(arg);
}

static void pg_pool_is_closed(struct pg_pool *pool)
{
	if (--pool->pg->n_open == 0)
		uv_close((uv_handle_t *)&pool->pg->closer, pg_closer_closed);
}

static void pg_close_now(uv_timer_t *timer)
{
	struct pg *pg = container_of(timer, struct pg, closer);

	pg->n_open = 3;
	pg_pool_close(&pg->pivots, pg_pool_is_closed);
	pg_pool_close(&pg->reads, pg_pool_is_closed);
	pg_pool_close(&pg->admin, pg_pool_is_closed);
}

static void pg_close(struct truth *truth, void (*closed)(void *arg), void *arg)
{
	struct pg *pg = pg_of(truth);

	pg->closed = closed;
	pg->closed_arg = arg;
	MUST(uv_timer_start(&pg->closer, pg_close_now, 0, 0) == 0); /* fails for a closed timer only */
}

void postgres_set_timeout(struct pg_config *config, uint64_t timeout_ms)
{
	config->lock_timeout_ms = (uint32_t)timeout_ms;
	config->statement_timeout_ms = 3 * (uint32_t)timeout_ms;
	config->idle_in_transaction_timeout_ms = 3 * (uint32_t)timeout_ms;
	config->transaction_timeout_ms = 6 * (uint32_t)timeout_ms;
}

static int pg_renew_secret(struct truth *truth, const char *secret)
{
	struct pg *pg = container_of(truth, struct pg, truth);

	return pg_config_renew_secret(&pg->config, pg->texts, secret);
}

static void pg_renew_timeout(struct truth *truth, uint64_t timeout_ms)
{
	struct pg *pg = container_of(truth, struct pg, truth);

	postgres_set_timeout(&pg->config, timeout_ms);
	pg->shared.n_settings++;
}

static const struct truth_ops pg_ops = {
	.claim = pg_claim_submit,
	.read = pg_read_submit,
	.pivot = pg_pivot_submit,
	.settle = pg_settle_submit,
	.pay = pg_debts_pay,
	.debts = pg_debts_submit,
	.prune = pg_debts_prune,
	.init = pg_schema_init,
	.ping = pg_schema_ping,
	.status = pg_status,
	.pivot_bytes = pg_bytes,
	.renew_secret = pg_renew_secret,
	.renew_timeout = pg_renew_timeout,
	.close = pg_close,
};

/* ---- making it ---- */

static void pg_set_limits(struct pg *pg)
{
	pg->truth = (struct truth){
		.ops = &pg_ops,
		.max_pivots = pg->config.n_pivot_connections,
		.max_reads = pg->config.n_read_connections,
		.max_batch = pg->config.max_batch,
		.max_batch_bytes = pg->config.max_batch_bytes,
	};
}

/* Memory for all three first: what has handles can be taken down through the loop only. */
static int pg_make_pools(struct pg *pg)
{
	struct pg_shared *shared = &pg->shared;
	int rc = pg_pool_alloc(&pg->pivots, pg, shared, pg->config.n_pivot_connections, pg->config.n_pivot_connections);

	if (rc == 0)
		rc = pg_pool_alloc(&pg->reads, pg, shared, pg->config.n_read_connections,
				   pg->config.n_read_connections);
	if (rc == 0)
		rc = pg_pool_alloc(&pg->admin, pg, shared, 1, POSTGRES_ADMIN_REQUESTS_MAX);
	return rc;
}

int postgres_create(uv_loop_t *loop, const struct pg_config *config, struct log *log, struct truth **out_truth,
		    struct err *err)
{
	int rc = pg_config_check(config, err);
	struct pg *pg;

	if (rc != 0)
		return rc;
	pg = calloc(1, sizeof(*pg));
	if (pg == NULL)
		return err_set(err, -ENOMEM, "postgres: out of memory");
	pg->shared.loop = loop;
	pg->shared.log = log;
	pg->shared.config = &pg->config;
	pg->shared.rng = &pg->rng;
	rc = pg_config_seed(&pg->rng, &pg->shared, err);
	if (rc == 0 && (pg_config_copy(config, &pg->config, pg->texts) != 0 || pg_make_pools(pg) != 0))
		rc = err_set(err, -ENOMEM, "postgres: out of memory");
	if (rc != 0) {
		pg_destroy(pg);
		return rc;
	}
	pg_set_limits(pg);
	MUST(uv_timer_init(loop, &pg->closer) == 0); /* always 0 */
	pg_pool_start(&pg->pivots);
	pg_pool_start(&pg->reads);
	pg_pool_start(&pg->admin);
	*out_truth = &pg->truth;
	return 0;
}
