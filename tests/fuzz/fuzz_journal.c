/* A journal whose content somebody else made: damaged bytes, a file cut off, rows with values that no sagad writes, a
 * foreign write-ahead log. It is refused with a text, or opened; then everything in it is loaded as a start does, its
 * jobs are parsed, and records are written to it. */
#include "feed.h"

#include "journal/journal_db.h"
#include "journal/journal_flows.h"
#include "journal/journal_flows_read.h"
#include "journal/journal_load.h"
#include "proto/request.h"

#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDS_MAX     16
#define COLUMNS_MAX 16

int LLVMFuzzerInitialize(int *argc, char ***argv);

static char path[64], wal_path[72], shm_path[72];
static char template[65536]; /* a good journal's bytes */
static size_t template_len;

/* ---- SQLite's memory ---- */

/* Nothing is used twice within a run, and what was freed is poison: a text that is read too late is noticed, as with
 * the sanitizer's own allocator, which takes half of a run's time for SQLite's thousands of small blocks. */
#define BLOCK_HEAD  16 /* the size; poisoned, so that it guards the block before it */
#define ARENA_BYTES (24u << 20)

static _Alignas(16) char arena[ARENA_BYTES];
static size_t arena_used, arena_base;       /* base: what SQLite holds from run to run */
static uint64_t n_blocks, n_blocks_at_base; /* not freed */

static int block_size(void *block)
{
	size_t n_bytes;
	char *head = (char *)block - BLOCK_HEAD;

	ASAN_UNPOISON_MEMORY_REGION(head, BLOCK_HEAD);
	memcpy(&n_bytes, head, sizeof(n_bytes));
	ASAN_POISON_MEMORY_REGION(head, BLOCK_HEAD);
	return (int)n_bytes;
}

static int round_up(int n_bytes)
{
	return (n_bytes + 15) & ~15;
}

static void *block_new(int n_bytes)
{
	size_t n = (size_t)round_up(n_bytes);
	char *head = arena + arena_used;

	if (BLOCK_HEAD + n > ARENA_BYTES - arena_used)
		return NULL;
	arena_used += BLOCK_HEAD + n;
	ASAN_UNPOISON_MEMORY_REGION(head, BLOCK_HEAD + n);
	memcpy(head, &n, sizeof(n));
	ASAN_POISON_MEMORY_REGION(head, BLOCK_HEAD);
	n_blocks++;
	return head + BLOCK_HEAD;
}

static void block_free(void *block)
{
	ASAN_POISON_MEMORY_REGION(block, (size_t)block_size(block));
	n_blocks--;
}

static void *block_resize(void *block, int n_bytes)
{
	int had = block_size(block);
	void *other = n_bytes <= had ? block : block_new(n_bytes);

	if (other != NULL && other != block) {
		memcpy(other, block, (size_t)had);
		block_free(block);
	}
	return other;
}

static int arena_init(void *unused)
{
	(void)unused;
	return SQLITE_OK;
}

static void arena_shutdown(void *unused)
{
	(void)unused;
}

static void arena_set_up(void)
{
	static const sqlite3_mem_methods methods = {block_new, block_free, block_resize,   block_size,
						    round_up,  arena_init, arena_shutdown, NULL};

	/* One thread: the target uses the journal without its own. */
	MUST(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
	MUST(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK);
	MUST(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
	MUST(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
	MUST(sqlite3_initialize() == SQLITE_OK);
}

static void arena_reset(void)
{
	MUST(n_blocks == n_blocks_at_base); /* a statement or a connection was left open */
	ASAN_POISON_MEMORY_REGION(arena + arena_base, arena_used - arena_base);
	arena_used = arena_base;
}

/* ---- files ---- */

static void write_file(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	(void)close(fd);
}

static void remove_files(void)
{
	(void)unlink(path);
	(void)unlink(wal_path);
	(void)unlink(shm_path);
}

/* ---- use: what a daemon does with its journal ---- */

struct found {
	struct uuid ids[IDS_MAX];
	uint32_t n;
};

static void keep_id(struct found *found, const struct uuid *id)
{
	if (found->n < IDS_MAX)
		found->ids[found->n++] = *id;
}

static int on_intent(void *arg, const struct journal_intent *intent)
{
	MUST(intent->document_id.at != NULL);
	keep_id(arg, &intent->saga);
	return 0;
}

static int on_job(void *arg, const struct journal_job *job)
{
	struct document_limits limits = document_limits_default();
	struct request_fault fault;
	struct request *request;

	MUST(job->document_id.at != NULL && job->job_json.at != NULL);
	if (request_parse_job(job->job_json, job->is_delete, &limits, &request, &fault) == 0)
		request_destroy(request);
	else
		MUST(fault.err.text[0] != '\0');
	keep_id(arg, &job->id);
	return 0;
}

static void look_at_flow(const struct journal_flow *flow)
{
	MUST(flow->state != NULL && flow->code != NULL && flow->n_steps <= JOURNAL_STEPS_MAX);
	for (uint32_t i = 0; i < flow->n_steps; i++) {
		const struct journal_step *step = &flow->steps[i];

		MUST(step->step < JOURNAL_STEPS_MAX && (i == 0 || step[-1].step < step->step));
		MUST(strlen(step->state) + step->result_json.len + step->error.len + step->reason.len < SIZE_MAX);
	}
}

static int on_flow(void *arg, const struct journal_flow *flow)
{
	look_at_flow(flow);
	keep_id(arg, &flow->id);
	return 0;
}

/* The beginning of a flow, or what has changed since. */
static int write_flow(struct journal_db *db, const struct uuid *id, uint8_t choice, struct err *err)
{
	static const char *const states[] = {"running", "compensating", "committed", "compensated"};
	const struct journal_step steps[] = {
		{.step = choice % 3, .state = "done", .n_tries = 1, .result_json = str_of("{}"), .unix_ms = 1},
		{.step = 63, .state = "starting", .error = str_of("an error"), .unix_ms = 1},
	};
	struct journal_flow_req req = {
		.is_begin = choice % 2 == 0,
		.flow = *id,
		.state = states[choice / 2 % ARRAY_LEN(states)],
		.code = choice % 5 == 0 ? "cancelled" : NULL,
		.reason = choice % 3 == 0 ? str_of("a reason") : STR_NONE,
		.uid = 1,
		.key = choice % 4 == 0 ? str_of("k") : STR_NONE,
		.spec_json = str_of("{}"),
		.steps = steps,
		.n_steps = ARRAY_LEN(steps),
		.unix_ms = 1,
	};

	if (req.is_begin)
		req.flow.bytes[1] ^= (uint8_t)(choice + 1); /* a new one */
	return journal_flows_record(db, &req, err);
}

/* All of the journal but its thread, whose turns would make each run another one: batches of one record and of several,
 * with a prune and a commit each, then look-ups. */
static int write_batch(struct journal_db *db, const struct found *found, uint8_t choice, struct err *err)
{
	static const char job[] = "{\"id\":\"d\",\"wait\":\"accepted\"}";
	int rc = journal_db_begin(db, err);

	for (uint32_t i = 0; rc == 0 && i < found->n; i++) {
		struct journal_req req = {.op = (enum journal_op)((choice + i) % (JOURNAL_RESOLVED + 1)),
					  .saga = found->ids[i],
					  .document_id = str_of("d"),
					  .job_json = {job, sizeof(job) - 1},
					  .code = "invalid",
					  .reason = "a reason",
					  .store = "redis",
					  .n_deaths = choice % 2,
					  .work = "remove",
					  .error = "an error",
					  .unix_ms = 1};
		rc = journal_db_record(db, &req, err);
		if (rc == 0)
			rc = write_flow(db, &found->ids[i], (uint8_t)(choice + i), err);
	}
	if (rc == 0)
		rc = journal_db_prune(db, 2000 + choice, err);
	return rc == 0 ? journal_db_commit(db, err) : rc;
}

static void free_rows(struct list *rows)
{
	struct list *node;

	while ((node = list_take_first(rows)) != NULL)
		free(container_of(node, struct journal_resolved_row, node));
}

static int look_up_flows(struct journal_db *db, const struct found *found, struct err *err)
{
	struct journal_flow_list_req list = {.limit = 3, .has_uid = found->n % 2 == 0, .uid = 1};
	struct list *node;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < found->n; i++) {
		struct journal_flow_find_req find = {.flow = found->ids[i]};

		rc = journal_flows_find(db, &find, err);
		if (find.found != NULL)
			look_at_flow(find.found);
		free(find.found);
	}
	list_init(&list.rows);
	if (rc == 0)
		rc = journal_flows_list(db, &list, err);
	while ((node = list_take_first(&list.rows)) != NULL) {
		struct journal_flow_row *row = container_of(node, struct journal_flow_row, node);

		MUST(memchr(row->state, '\0', sizeof(row->state)) != NULL);
		MUST(memchr(row->code, '\0', sizeof(row->code)) != NULL);
		free(row);
	}
	return rc;
}

static int look_up(struct journal_db *db, const struct found *found, struct err *err)
{
	struct journal_resolved_req list = {.limit = 3};
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < found->n; i++) {
		struct journal_job_row row = {.state = JOB_UNKNOWN};

		rc = journal_db_lookup(db, &found->ids[i], &row, err);
		MUST(memchr(row.code, '\0', sizeof(row.code)) != NULL);
		MUST(memchr(row.reason.text, '\0', sizeof(row.reason.text)) != NULL);
	}
	list_init(&list.rows);
	if (rc == 0)
		rc = journal_db_list_resolved(db, &list, err);
	free_rows(&list.rows);
	return rc == 0 ? look_up_flows(db, found, err) : rc;
}

static int use(struct journal_db *db, const struct found *found, uint8_t choice, struct err *err)
{
	int rc = write_batch(db, found, choice, err);

	if (rc == 0)
		rc = write_batch(db, found, (uint8_t)(choice + 1), err);
	return rc == 0 ? look_up(db, found, err) : rc;
}

static void open_and_use(uint8_t choice)
{
	const struct journal_options options = {.keep_ms = 1000, .keep_count = 3, .busy_ms = 0};
	struct found found = {.n = 0};
	struct journal_db db = {0};
	struct err err = {0};
	int rc = journal_db_open(&db, path, &options, &err);

	if (rc == 0)
		rc = journal_load(path, on_intent, on_job, &found, &err);
	if (rc == 0)
		rc = journal_flows_load(path, on_flow, &found, &err);
	if (rc == 0)
		rc = use(&db, &found, choice, &err);
	MUST(rc == 0 || strncmp(err.text, "journal ", 8) == 0);
	journal_db_close(&db, rc != 0);
}

/* ---- the template ---- */

static void run_sql(const char *sql)
{
	sqlite3 *db;

	MUST(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
	MUST(sqlite3_close(db) == SQLITE_OK);
}

/* Made by the journal itself, with a row of each kind; then with small pages, so that most bytes mean something. */
static void make_template(void)
{
	struct found found = {.n = 0};
	struct journal_options options;
	struct journal_db db = {0};
	FILE *file;

	for (uint8_t i = 0; i < 8; i++)
		keep_id(&found, &(struct uuid){{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, i}});
	options = journal_options_default();
	MUST(journal_db_open(&db, path, &options, NULL) == 0);
	for (uint8_t op = 0; op <= JOURNAL_RESOLVED; op++)
		MUST(write_batch(&db, &found, op, NULL) == 0);
	journal_db_close(&db, false);
	run_sql("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL;");
	file = fopen(path, "re");
	MUST(file != NULL);
	template_len = fread(template, 1, sizeof(template), file);
	MUST(template_len > 0 && template_len < sizeof(template));
	(void)fclose(file);
	remove_files();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char folder[] = "/dev/shm/sagad-fuzz-XXXXXX";

	(void)argc;
	(void)argv;
	MUST(mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof(path), "%s/journal", folder);
	(void)snprintf(wal_path, sizeof(wal_path), "%s-wal", path);
	(void)snprintf(shm_path, sizeof(shm_path), "%s-shm", path);
	arena_set_up();
	make_template();
	arena_base = arena_used;
	n_blocks_at_base = n_blocks;
	return 0;
}

/* ---- damage ---- */

/* The rest is the file. */
static void make_raw(struct feed *feed)
{
	write_file(path, feed->at, feed->len);
}

/* The template with some bytes changed, and perhaps its end missing. */
static void make_patched(struct feed *feed)
{
	static char bytes[sizeof(template)];
	size_t len = feed_byte(feed) < 200 ? template_len : (size_t)feed_u32(feed) % template_len;

	memcpy(bytes, template, template_len);
	while (feed->len > 0) {
		size_t at = ((size_t)feed_byte(feed) << 8 | feed_byte(feed)) % template_len;
		bytes[at] = (char)feed_byte(feed);
	}
	write_file(path, bytes, len);
}

/* The template and the rest as its write-ahead log. */
static void make_wal(struct feed *feed)
{
	write_file(path, template, template_len);
	write_file(wal_path, feed->at, feed->len);
}

static void bind_any(sqlite3_stmt *statement, int at, struct feed *feed)
{
	static const char *const words[] = {"waiting",
					    "done",
					    "failed",
					    "running",
					    "00000000-0000-7000-8000-000000000001",
					    "{\"id\":\"d\",\"wait\":\"accepted\"}"};
	struct str bytes;

	switch (feed_below(feed, 6)) {
	case 0:
		(void)sqlite3_bind_null(statement, at); /* memory aside, none of these fails */
		return;
	case 1:
		(void)sqlite3_bind_int64(statement, at, (int64_t)((uint64_t)feed_u32(feed) << 32 | feed_u32(feed)));
		return;
	case 2:
		(void)sqlite3_bind_double(statement, at, (double)feed_u32(feed) / 3.0);
		return;
	case 3:
		bytes = feed_bytes(feed, feed_byte(feed));
		(void)sqlite3_bind_text(statement, at, bytes.at, (int)bytes.len, SQLITE_TRANSIENT);
		return;
	case 4:
		bytes = feed_bytes(feed, feed_byte(feed));
		(void)sqlite3_bind_blob(statement, at, bytes.at, (int)bytes.len, SQLITE_TRANSIENT);
		return;
	default:
		bytes = str_of(words[feed_below(feed, ARRAY_LEN(words))]);
		(void)sqlite3_bind_text(statement, at, bytes.at, (int)bytes.len, SQLITE_STATIC);
		return;
	}
}

static void put_row(sqlite3 *db, const char *table, int n_columns, struct feed *feed)
{
	sqlite3_stmt *statement = NULL;
	char sql[160];
	size_t len = (size_t)snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO %s VALUES (?", table);

	for (int i = 1; i < n_columns; i++)
		len += (size_t)snprintf(sql + len, sizeof(sql) - len, ", ?");
	(void)snprintf(sql + len, sizeof(sql) - len, ")");
	MUST(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
	for (int i = 1; i <= n_columns; i++)
		bind_any(statement, i, feed);
	(void)sqlite3_step(statement);     /* a table may refuse what it gets */
	(void)sqlite3_finalize(statement); /* so may this */
}

static int n_columns_of(sqlite3 *db, const char *table)
{
	sqlite3_stmt *statement = NULL;
	char sql[80];
	int n;

	(void)snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
	MUST(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
	n = sqlite3_column_count(statement);
	(void)sqlite3_finalize(statement); /* nothing was run */
	MUST(n <= COLUMNS_MAX);
	return n;
}

/* The template with rows of any values. */
static void make_rows(struct feed *feed)
{
	static const char *const tables[] = {"about", "intents", "jobs", "deaths", "resolved", "sagas", "saga_steps"};
	sqlite3 *db;

	write_file(path, template, template_len);
	MUST(sqlite3_open(path, &db) == SQLITE_OK);
	MUST(sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL) == SQLITE_OK);
	while (feed->len > 0) {
		const char *table = tables[feed_below(feed, ARRAY_LEN(tables))];
		put_row(db, table, n_columns_of(db, table), feed);
	}
	MUST(sqlite3_close(db) == SQLITE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const make[])(struct feed * feed) = {make_raw, make_patched, make_wal, make_rows};
	struct feed feed = {data, size};
	uint8_t choice = feed_byte(&feed);

	make[choice % ARRAY_LEN(make)](&feed);
	open_and_use(choice / ARRAY_LEN(make));
	remove_files();
	arena_reset();
	return 0;
}
