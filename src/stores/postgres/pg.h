/* The adapter's own struct, and what its operations share. Each operation lives in a file of its own. */
#ifndef SAGAD_STORES_POSTGRES_PG_H
#define SAGAD_STORES_POSTGRES_PG_H

#include "pg_pool.h"

#include "port/truth.h"

/* The texts of a configuration, kept in one place so that one loop copies and one frees them. */
#define PG_TEXTS 11

struct pg {
	struct truth truth;
	struct pg_config config; /* its texts are in `texts` */
	char *texts[PG_TEXTS];   /* owned */
	struct rng rng;
	struct pg_shared shared;
	struct pg_pool pivots;
	struct pg_pool reads; /* read, settle, pay, debts */
	struct pg_pool admin; /* claim, init, ping, prune */
	uint64_t epoch;       /* of the claim; 0 before it */
	uint64_t prune_keep_ms;
	uv_timer_t closer; /* puts the end of everything into a turn of its own */
	uint32_t n_open;   /* pools that are not closed yet */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* The operations of truth_ops. */
void pg_pivot_submit(struct truth *truth, struct truth_pivot_req *req);
void pg_read_submit(struct truth *truth, struct truth_read_req *req);
void pg_settle_submit(struct truth *truth, struct truth_settle_req *req);
void pg_claim_submit(struct truth *truth, struct truth_claim_req *req);
void pg_debts_pay(struct truth *truth, struct truth_pay_req *req);
void pg_debts_submit(struct truth *truth, struct truth_debts_req *req);
void pg_debts_prune(struct truth *truth, uint64_t keep_ms, struct truth_pay_req *req);
void pg_schema_init(struct truth *truth, struct store_init_req *req);
void pg_schema_ping(struct truth *truth, struct store_init_req *req);

/* pg_config.c: 0, or -EINVAL and err. */
int pg_config_check(const struct pg_config *config, struct err *err) WARN_UNUSED;

/* Copies the configuration, its texts into `texts`, which are the caller's to free, also after -ENOMEM. */
int pg_config_copy(const struct pg_config *config, struct pg_config *own, char *texts[PG_TEXTS]) WARN_UNUSED;

/* As truth_ops' renew_secret. */
int pg_config_renew_secret(struct pg_config *own, char *texts[PG_TEXTS], const char *secret) WARN_UNUSED;

/* Seeds `rng` and names this run of the daemon. */
int pg_config_seed(struct rng *rng, struct pg_shared *shared, struct err *err) WARN_UNUSED;

static inline struct pg *pg_of(struct truth *truth)
{
	return container_of(truth, struct pg, truth);
}

/* The class of an exchange that did not end well; in `out_err` what the server said and about what. For an exchange
 * that may simply be sent again: an ERROR's own class, else DOUBT or OUTAGE. */
enum verdict pg_end_verdict(const struct pg_end *end, const char *about, struct err *out_err);

#endif
