/* A real PostgreSQL for the live tests: an adapter, plain libpq beside it, sample documents. The server is named by
 * POSTGRES_HOST, _PORT, _USER, _PASSWORD; a database is made in it for the run and dropped at the end. */
#ifndef SAGAD_TESTS_LIVE_PG_FIXTURE_H
#define SAGAD_TESTS_LIVE_PG_FIXTURE_H

#include "stores/postgres/postgres.h"

#include "proto/document.h"

#include <libpq-fe.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DIMS       4
#define TIMEOUT_NS ((uint64_t)10 * 1000000000u)
#define TEXT_BYTES 4096
#define CHUNKS_MAX 8

/* One adapter and its loop. */
struct fixture {
	uv_loop_t loop;
	struct truth *truth;
	struct log log;
	bool is_done; /* the request that is waited for */
	bool is_closed;
};

/* A document with so many chunks, numbered from a seed, two entities and one relationship. */
struct sample {
	struct document document;
	struct chunk chunks[CHUNKS_MAX];
	char texts[CHUNKS_MAX][32];
	char ids[CHUNKS_MAX][16];
	float embeddings[CHUNKS_MAX][DIMS];
	struct entity entities[2];
	struct relationship relationship;
};

extern char pg_fixture_database[64];
extern bool pg_fixture_has_vector;     /* the server has pgvector */
extern struct fixture *pg_fixture_now; /* whose request is waited for: done() has no argument of ours */
extern const struct store_schema pg_fixture_schema;

/* False, and a line that says why, when the environment names no server. */
bool pg_fixture_has_server(void);

/* For cmocka: the run's database; an adapter that owns it, with empty tables, as *state. */
int pg_fixture_group_open(void **state);
int pg_fixture_group_close(void **state);
int pg_fixture_owner_open(void **state);
int pg_fixture_owner_close(void **state);

#define OWNER_TEST(test) cmocka_unit_test_setup_teardown(test, pg_fixture_owner_open, pg_fixture_owner_close)

/* Plain libpq. The text has columns parted by '|' and rows by newlines, in a static buffer. */
PGconn *pg_fixture_connect(const char *dbname);
void pg_fixture_run_sql(const char *dbname, const char *sql);
const char *pg_fixture_sql(const char *sql);

#define assert_sql(sql, expected) assert_string_equal(pg_fixture_sql(sql), expected)

/* The adapter. */
struct pg_config pg_fixture_config(void);
void pg_fixture_open(struct fixture *f);
void pg_fixture_open_with(struct fixture *f, const struct pg_config *config);
void pg_fixture_close(struct fixture *f);

/* begin() before a submit, wait() after it: until done(). */
void pg_fixture_begin(struct fixture *f);
void pg_fixture_wait(struct fixture *f);

/* One request and its answer. */
struct store_init_req pg_fixture_init(struct fixture *f, const struct store_schema *schema, bool check_only);
struct truth_claim_req pg_fixture_claim(struct fixture *f, uint8_t journal, bool take_over);
struct truth_read pg_fixture_read(struct fixture *f, const char *id, const char *key);
struct truth_pivot_req pg_fixture_pivots(struct fixture *f, struct truth_pivot **pivots, uint32_t n,
					 uint64_t timeout_ns);
struct truth_pivot_req pg_fixture_pivot(struct fixture *f, struct truth_pivot *pivot);
void pg_fixture_pivot_ok(struct fixture *f, struct truth_pivot *pivot);
struct truth_settle_req pg_fixture_settle(struct fixture *f, struct truth_settle *settle, const char *backend);

/* The done() of requests that the tests submit themselves. */
#define PG_FIXTURE_DONE(name, type)                                                                                    \
	static void name(struct type *req)                                                                             \
	{                                                                                                              \
		(void)req;                                                                                             \
		pg_fixture_now->is_done = true;                                                                        \
	}

/* Documents and sagas; each saga is greater than the one before. */
void pg_fixture_sample(struct sample *s, const char *id, unsigned seed, uint32_t n_chunks);
struct uuid pg_fixture_saga(void);
struct truth_pivot pg_fixture_pivot_of(const struct sample *s, const struct uuid *expected);

#endif
