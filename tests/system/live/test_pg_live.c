/* What the PostgreSQL adapter writes, against a real server, read back with plain libpq: every field, after each kind
 * of pivot; and what it reads. */
#include "pg_fixture.h"

PG_FIXTURE_DONE(read_done, truth_read_req)
PG_FIXTURE_DONE(pay_done, truth_pay_req)

static void an_insert_holds_every_field(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct debt debt = {.store = "redis", .op = LEG_PUBLISH, .n_chunks = 3};

	pg_fixture_sample(&s, "doc/\xc3\xa4 1", 5, 3);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pivot.idempotency_key = str_of("key-1");
	debt.saga = debt.owner = pivot.saga;
	pivot.debts = &debt;
	pivot.n_debts = 1;
	pg_fixture_pivot_ok(f, &pivot);
	assert_sql("SELECT id, title, source, content, metadata, left(content_hash::text, 6), chunk_count, "
		   "ingestion_status, "
		   "updated_at >= created_at, now() - created_at < interval '1 minute' FROM documents",
		   "doc/\xc3\xa4 1|a title|NULL|content, with \t and \n and ,}\"|{\"n\": [1, 2], \"lang\": "
		   "\"de\"}|\\x0500|3|"
		   "COMPLETED|t|t");
	assert_sql("SELECT chunk_id, ordinal, text, metadata, embedding::real[] FROM chunks ORDER BY ordinal",
		   "c0|0|text 5.0|{\"page\": 7}|{5,5.25,5.5,5.75}\n"
		   "c1|1|text 5.1|NULL|{6,6.25,6.5,6.75}\n"
		   "c2|2|text 5.2|NULL|{7,7.25,7.5,7.75}");
	assert_sql("SELECT document_id, ordinal, type, name, properties FROM entities ORDER BY ordinal",
		   "doc/\xc3\xa4 1|0|Person|Ada \"L\" \\ {x}|NULL\n"
		   "doc/\xc3\xa4 1|1|Place|Z\xc3\xbcrich|{\"zip\": 8000}");
	assert_sql("SELECT ordinal, from_type, from_name, type, to_type, to_name, properties FROM relationships",
		   "0|Person|Ada \"L\" \\ {x}|LIVES_IN|Place|Z\xc3\xbcrich|{\"since\": 1843}");
	assert_sql("SELECT l.saga_id = d.version, idempotency_key, document_id, outcome, is_delete, code FROM "
		   "sagad_ledger l, "
		   "documents d",
		   "t|key-1|doc/\xc3\xa4 1|committed|f|NULL");
	assert_sql("SELECT store, op, saga_id = owner, owner = version, document_id, b.chunk_count FROM sagad_debts b, "
		   "documents d",
		   "redis|publish|t|t|doc/\xc3\xa4 1|3");
}

static void a_read_tells_the_same(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct truth_read read;
	struct debt debt = {.store = "qdrant", .op = LEG_REMOVE, .n_chunks = STORE_CHUNKS_UNKNOWN};

	pg_fixture_sample(&s, "d", 9, 2);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pivot.idempotency_key = str_of("k");
	pivot.debts = &debt;
	pivot.n_debts = 1;
	pg_fixture_pivot_ok(f, &pivot);
	read = pg_fixture_read(f, "d", "k");
	assert_true(read.is_found && !read.is_deleted);
	assert_int_equal(uuid_compare(&read.version, &pivot.saga), 0);
	assert_int_equal(read.content_hash[0], 9);
	assert_int_equal(read.n_chunks, 2);
	assert_int_equal(read.n_debts, 1);
	assert_true(read.updated_unix_ms > 1600000000000);
	assert_int_equal(read.by_key.outcome, LEDGER_COMMITTED);
	assert_int_equal(uuid_compare(&read.by_key.saga, &pivot.saga), 0);
	assert_int_equal(read.by_key.content_hash[0], 9);
	read = pg_fixture_read(f, "nobody", "other");
	assert_false(read.is_found);
	assert_int_equal(read.by_key.outcome, LEDGER_ABSENT);
	read = pg_fixture_read(f, "d", NULL);
	assert_int_equal(read.by_key.outcome, LEDGER_ABSENT);
}

static void a_batch_of_reads_keeps_its_order(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct truth_read reads[50], *list[50];
	struct truth_read_req req = {.reads = list, .n_reads = 50, .timeout_ns = TIMEOUT_NS, .done = read_done};

	pg_fixture_sample(&s, "there", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_pivot_ok(f, &pivot);
	for (unsigned i = 0; i < 50; i++) {
		reads[i] = (struct truth_read){.document_id = str_of(i == 33 ? "there" : "not there")};
		list[i] = &reads[i];
	}
	pg_fixture_begin(f);
	f->truth->ops->read(f->truth, &req);
	pg_fixture_wait(f);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(reads[i].verdict, VERDICT_OK);
		assert_int_equal(reads[i].is_found, i == 33);
	}
}

static void an_overwrite_with_fewer_chunks_leaves_no_tail(void **state)
{
	struct fixture *f = *state;
	struct sample s, shorter;
	struct truth_pivot pivot, again;

	pg_fixture_sample(&s, "d", 1, 5);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_pivot_ok(f, &pivot);
	pg_fixture_sample(&shorter, "d", 2, 2);
	shorter.document.n_entities = 1;
	shorter.document.n_relationships = 0;
	again = pg_fixture_pivot_of(&shorter, &pivot.saga);
	pg_fixture_pivot_ok(f, &again);
	assert_sql("SELECT chunk_id, text, embedding::real[] FROM chunks ORDER BY ordinal",
		   "c0|text 2.0|{2,2.25,2.5,2.75}\nc1|text 2.1|{3,3.25,3.5,3.75}");
	assert_sql("SELECT count(*), (SELECT count(*) FROM relationships) FROM entities", "1|0");
	assert_sql("SELECT chunk_count, left(content_hash::text, 4) FROM documents", "2|\\x02");
	assert_sql("SELECT count(*) FROM sagad_ledger", "2");
}

static void a_conflict_writes_nothing_of_its_saga(void **state)
{
	struct fixture *f = *state;
	struct sample first, second, third;
	struct truth_pivot a, b, c, *batch[2];
	struct truth_pivot_req req;
	struct debt debt = {.store = "neo4j", .op = LEG_REMOVE};
	struct uuid wrong = pg_fixture_saga();

	pg_fixture_sample(&first, "d", 1, 2);
	a = pg_fixture_pivot_of(&first, NULL);
	pg_fixture_pivot_ok(f, &a);
	pg_fixture_sample(&second, "d", 2, 4);
	b = pg_fixture_pivot_of(&second, &wrong);
	b.debts = &debt;
	b.n_debts = 1;
	b.idempotency_key = str_of("b");
	pg_fixture_sample(&third, "e", 3, 1);
	c = pg_fixture_pivot_of(&third, NULL);
	batch[0] = &b;
	batch[1] = &c;
	req = pg_fixture_pivots(f, batch, 2, TIMEOUT_NS);
	assert_false(req.is_shared);
	assert_int_equal(b.verdict, VERDICT_OK);
	assert_int_equal(b.result, PIVOT_CONFLICT);
	assert_int_equal(c.verdict, VERDICT_OK);
	assert_int_equal(c.result, PIVOT_COMMITTED);
	assert_sql("SELECT id, chunk_count FROM documents ORDER BY id", "d|2\ne|1");
	assert_sql("SELECT document_id, text FROM chunks ORDER BY document_id, ordinal",
		   "d|text 1.0\nd|text 1.1\ne|text 3.0");
	assert_sql("SELECT (SELECT count(*) FROM sagad_ledger), (SELECT count(*) FROM sagad_debts)", "2|0");
	/* A document that must not be there, and is. */
	c = pg_fixture_pivot_of(&third, NULL);
	(void)pg_fixture_pivot(f, &c);
	assert_int_equal(c.verdict, VERDICT_OK);
	assert_int_equal(c.result, PIVOT_CONFLICT);
}

static void a_repeated_pivot_reports_its_commit_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;

	pg_fixture_sample(&s, "d", 1, 2);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_pivot_ok(f, &pivot);
	pg_fixture_run_sql(pg_fixture_database, "UPDATE chunks SET text = 'untouched'");
	pg_fixture_pivot_ok(f, &pivot);
	assert_sql("SELECT string_agg(text, ',') FROM chunks", "untouched,untouched");
}

static void a_key_that_another_saga_has_is_a_conflict(void **state)
{
	struct fixture *f = *state;
	struct sample s, other;
	struct truth_pivot a, b;

	pg_fixture_sample(&s, "d", 1, 1);
	pg_fixture_sample(&other, "e", 1, 1);
	a = pg_fixture_pivot_of(&s, NULL);
	b = pg_fixture_pivot_of(&other, NULL);
	a.idempotency_key = b.idempotency_key = str_of("same");
	pg_fixture_pivot_ok(f, &a);
	(void)pg_fixture_pivot(f, &b);
	assert_int_equal(b.verdict, VERDICT_OK);
	assert_int_equal(b.result, PIVOT_CONFLICT);
	assert_sql("SELECT string_agg(id, ',') FROM documents", "d");
	assert_sql("SELECT count(*) FROM chunks", "1");
}

static void a_delete_leaves_a_tombstone(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot, gone, back;
	struct truth_read read;

	pg_fixture_sample(&s, "d", 4, 3);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_pivot_ok(f, &pivot);
	gone = (struct truth_pivot){.saga = pg_fixture_saga(),
				    .is_delete = true,
				    .document_id = str_of("d"),
				    .is_expected = true,
				    .expected = pivot.saga};
	pg_fixture_pivot_ok(f, &gone);
	assert_sql("SELECT id, title, source, content, metadata, content_hash, chunk_count, ingestion_status FROM "
		   "documents",
		   "d|NULL|NULL|NULL|NULL|NULL|0|DELETED");
	assert_sql("SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM entities), "
		   "(SELECT count(*) FROM relationships)",
		   "0|0|0");
	assert_sql("SELECT is_delete FROM sagad_ledger ORDER BY saga_id DESC LIMIT 1", "t");
	read = pg_fixture_read(f, "d", NULL);
	assert_true(read.is_found && read.is_deleted);
	assert_int_equal(uuid_compare(&read.version, &gone.saga), 0);
	assert_int_equal(read.content_hash[0], 0);
	back = pg_fixture_pivot_of(&s, &gone.saga);
	pg_fixture_pivot_ok(f, &back);
	assert_sql("SELECT ingestion_status, chunk_count, created_at = updated_at FROM documents", "COMPLETED|3|t");
}

static void a_batch_with_a_bad_document_is_refused_as_a_whole(void **state)
{
	struct fixture *f = *state;
	struct sample good, bad;
	struct truth_pivot a, b, *batch[2] = {&a, &b};
	struct truth_pivot_req req;

	pg_fixture_sample(&good, "good", 1, 1);
	pg_fixture_sample(&bad, "bad", 1, 1);
	bad.document.metadata_json = str_of("{\"a\": \"\\u0000\"}");
	a = pg_fixture_pivot_of(&good, NULL);
	b = pg_fixture_pivot_of(&bad, NULL);
	req = pg_fixture_pivots(f, batch, 2, TIMEOUT_NS);
	assert_true(req.is_shared);
	assert_int_equal(a.verdict, VERDICT_PERMANENT);
	assert_int_equal(b.verdict, VERDICT_PERMANENT);
	assert_sql("SELECT count(*) FROM documents", "0");
	pg_fixture_pivot_ok(f, &a);
	(void)pg_fixture_pivot(f, &b);
	assert_int_equal(b.verdict, VERDICT_PERMANENT);
	assert_non_null(strstr(b.err.text, "bad"));
	assert_non_null(strstr(b.err.text, "22P05"));
	bad.document.metadata_json = STR_NONE;
	bad.document.dims = 3;
	(void)pg_fixture_pivot(f, &b);
	assert_int_equal(b.verdict, VERDICT_PERMANENT);
	assert_sql("SELECT string_agg(id, ',') FROM documents", "good");
}

static void a_large_batch_goes_through_full_sockets(void **state)
{
	enum { N = 100, BYTES = 100000 };
	struct fixture *f = *state;
	static struct sample samples[N];
	static struct truth_pivot pivots[N], *batch[N];
	static char ids[N][16];
	char *content = malloc(BYTES);

	assert_non_null(content);
	memset(content, 'x', BYTES);
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "d%u", i);
		pg_fixture_sample(&samples[i], ids[i], i, CHUNKS_MAX);
		samples[i].document.content = (struct str){content, BYTES};
		pivots[i] = pg_fixture_pivot_of(&samples[i], NULL);
		batch[i] = &pivots[i];
		assert_true(f->truth->ops->pivot_bytes(f->truth, &pivots[i]) > BYTES);
	}
	(void)pg_fixture_pivots(f, batch, N, TIMEOUT_NS);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(pivots[i].result, PIVOT_COMMITTED);
	free(content);
	assert_sql("SELECT count(*), sum(length(content)), (SELECT count(*) FROM chunks) FROM documents",
		   "100|10000000|800");
}

/* The transaction waits for a lock that another session holds; its connection ends meanwhile. */

static void debts_are_paged_paid_and_kept(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct debt debts[3] = {{.store = "neo4j", .op = LEG_REMOVE, .n_chunks = 7},
				{.store = "qdrant", .op = LEG_REMOVE, .n_chunks = STORE_CHUNKS_UNKNOWN},
				{.store = "redis", .op = LEG_PUBLISH}};
	struct truth_pay_req pay = {.debts = &debts[1], .n_debts = 1, .timeout_ns = TIMEOUT_NS, .done = pay_done};

	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	for (unsigned i = 0; i < 3; i++)
		debts[i].saga = pg_fixture_saga();
	pivot.debts = debts;
	pivot.n_debts = 3;
	pg_fixture_pivot_ok(f, &pivot);
	for (unsigned round = 0; round < 2; round++) { /* paying twice is no error */
		pg_fixture_begin(f);
		f->truth->ops->pay(f->truth, &pay);
		pg_fixture_wait(f);
		assert_int_equal(pay.verdict, VERDICT_OK);
	}
	assert_sql("SELECT store, op, chunk_count FROM sagad_debts ORDER BY store", "neo4j|remove|7\nredis|publish|0");
}

static uint32_t n_rows_seen;

static struct truth_debt_row last_row;

static char last_id[32];

static void page_done(struct truth_debts_req *req)
{
	n_rows_seen = req->n_rows;
	if (req->n_rows > 0) {
		last_row = req->rows[req->n_rows - 1];
		(void)snprintf(last_id, sizeof(last_id), "%.*s", STR_ARG(last_row.document_id));
	}
	pg_fixture_now->is_done = true;
}

static void pages_of_debts_come_oldest_first(void **state)
{
	struct fixture *f = *state;
	struct sample s[3];
	struct truth_pivot pivots[3];
	struct debt debts[3][2];
	static const char *const ids[3] = {"z", "y", "x"};
	struct truth_debts_req req = {.limit = 4, .timeout_ns = TIMEOUT_NS, .done = page_done};

	for (unsigned i = 0; i < 3; i++) {
		pg_fixture_sample(&s[i], ids[i], i, 1);
		pivots[i] = pg_fixture_pivot_of(&s[i], NULL);
		debts[i][0] =
			(struct debt){.store = "qdrant", .op = LEG_REMOVE, .saga = pg_fixture_saga(), .n_chunks = i};
		debts[i][1] =
			(struct debt){.store = "neo4j", .op = LEG_PUBLISH, .saga = pg_fixture_saga(), .n_chunks = i};
		pivots[i].debts = debts[i];
		pivots[i].n_debts = 2;
		pg_fixture_pivot_ok(f, &pivots[i]);
	}
	pg_fixture_begin(f);
	f->truth->ops->debts(f->truth, &req);
	pg_fixture_wait(f);
	assert_int_equal(req.verdict, VERDICT_OK);
	assert_int_equal(n_rows_seen, 4);
	assert_string_equal(last_id, "y");
	assert_string_equal(last_row.debt.store, "qdrant");
	assert_int_equal(last_row.debt.n_chunks, 1);
	assert_int_equal(uuid_compare(&last_row.debt.owner, &pivots[1].saga), 0);
	req.after_owner = last_row.debt.owner;
	req.after = last_row.debt;
	pg_fixture_begin(f);
	f->truth->ops->debts(f->truth, &req);
	pg_fixture_wait(f);
	assert_int_equal(n_rows_seen, 2);
	assert_string_equal(last_id, "x");
	assert_int_equal(last_row.debt.op, LEG_REMOVE);
}

static void pruning_forgets_old_outcomes_only(void **state)
{
	struct fixture *f = *state;
	struct sample s, other;
	struct truth_pivot a, b;
	struct truth_pay_req req = {.timeout_ns = TIMEOUT_NS, .done = pay_done};

	pg_fixture_sample(&s, "old", 1, 1);
	pg_fixture_sample(&other, "new", 1, 1);
	a = pg_fixture_pivot_of(&s, NULL);
	b = pg_fixture_pivot_of(&other, NULL);
	pg_fixture_pivot_ok(f, &a);
	pg_fixture_run_sql(pg_fixture_database, "UPDATE sagad_ledger SET created_at = now() - interval '2 hours'");
	pg_fixture_pivot_ok(f, &b);
	pg_fixture_begin(f);
	f->truth->ops->prune(f->truth, 3600000, &req);
	pg_fixture_wait(f);
	assert_int_equal(req.verdict, VERDICT_OK);
	assert_sql("SELECT string_agg(document_id, ',') FROM sagad_ledger", "new");
	assert_sql("SELECT count(*) FROM documents", "2");
}

/* Closing with requests out ends them first. */

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWNER_TEST(an_insert_holds_every_field),
		OWNER_TEST(a_read_tells_the_same),
		OWNER_TEST(a_batch_of_reads_keeps_its_order),
		OWNER_TEST(an_overwrite_with_fewer_chunks_leaves_no_tail),
		OWNER_TEST(a_conflict_writes_nothing_of_its_saga),
		OWNER_TEST(a_repeated_pivot_reports_its_commit_and_changes_nothing),
		OWNER_TEST(a_key_that_another_saga_has_is_a_conflict),
		OWNER_TEST(a_delete_leaves_a_tombstone),
		OWNER_TEST(a_batch_with_a_bad_document_is_refused_as_a_whole),
		OWNER_TEST(a_large_batch_goes_through_full_sockets),
		OWNER_TEST(debts_are_paged_paid_and_kept),
		OWNER_TEST(pages_of_debts_come_oldest_first),
		OWNER_TEST(pruning_forgets_old_outcomes_only),
	};

	if (!pg_fixture_has_server())
		return 77;
	return cmocka_run_group_tests(tests, pg_fixture_group_open, pg_fixture_group_close);
}
