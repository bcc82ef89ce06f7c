/* A lying PostgreSQL behind the real libpq: whatever it sends and whenever, each request ends exactly once and with a
 * text when it is not OK, the loop never hangs, and the process lives. */
#include "feed.h"
#include "liar.h"

#include "proto/document.h"
#include "stores/postgres/pg.h"

#include <signal.h>
#include <uv.h>

#define TURNS_MAX 300
#define IDLE_MAX  6

int LLVMFuzzerInitialize(int *argc, char ***argv);

static uv_loop_t loop;
static struct liar liar;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	MUST(uv_loop_init(&loop) == 0);
	liar_listen(&liar, ".s.PGSQL.5432");
	return 0;
}

/* ---- what the server says: https://www.postgresql.org/docs/15/protocol-message-formats.html ---- */

static void say_message(char type, struct str body)
{
	buf_append(&liar.script, &type, 1);
	buf_append_be32(&liar.script, (uint32_t)body.len + 4);
	buf_append_str(&liar.script, body);
}

static void say_be32(char type, uint32_t value)
{
	buf_append(&liar.script, &type, 1);
	buf_append_be32(&liar.script, 8);
	buf_append_be32(&liar.script, value);
}

static void say_text(char type, const char *text, size_t len)
{
	say_message(type, (struct str){text, len});
}

static void say_ready(void)
{
	say_text('Z', "I", 1);
}

/* Greets a client as a server does: authenticated, version, ready. */
static void say_welcome(struct feed *feed)
{
	static const char version[] = "server_version\0"
				      "15.1";
	static const char encoding[] = "client_encoding\0"
				       "UTF8";

	say_be32('R', 0);
	say_text('S', version, sizeof(version));
	say_text('S', encoding, sizeof(encoding));
	if (feed_below(feed, 2) == 0)
		say_text('K', "\0\0\0\1\0\0\0\2", 8);
	say_ready();
}

/* A statement's answer: parsed, bound, rows of any shape, done. */
static void say_rows(struct feed *feed)
{
	uint32_t n_columns = feed_below(feed, 12), n_rows = feed_below(feed, 4);
	struct buf body = {0};

	say_text('1', "", 0);
	say_text('2', "", 0);
	buf_append_be16(&body, (uint16_t)n_columns);
	for (uint32_t i = 0; i < n_columns; i++) {
		buf_append(&body, "c", 2); /* with its NUL */
		buf_append(&body, "\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\1", 18);
	}
	say_message('T', buf_str(&body));
	for (uint32_t row = 0; row < n_rows; row++) {
		buf_clear(&body);
		buf_append_be16(&body, (uint16_t)n_columns);
		for (uint32_t i = 0; i < n_columns; i++) {
			uint32_t len = feed_below(feed, 40);
			struct str value = feed_bytes(feed, len);
			buf_append_be32(&body, len == 39 ? UINT32_MAX : (uint32_t)value.len);
			buf_append(&body, value.at, len == 39 ? 0 : value.len);
		}
		say_message('D', buf_str(&body));
	}
	buf_fini(&body);
	say_text('C', "SELECT 1", 9);
}

static void say_error(struct feed *feed)
{
	static const char *const states[] = {"40001", "57P01", "42P01", "23505", "28P01", "08006", "25006", "XX"};
	static const char *const severities[] = {"ERROR", "FATAL", "PANIC", "?"};
	const char *severity = severities[feed_below(feed, ARRAY_LEN(severities))];
	struct buf body = {0};

	buf_append_format(&body, "S%s%cV%s%cC%s%cMno%c", severity, 0, severity, 0,
			  states[feed_below(feed, ARRAY_LEN(states))], 0, 0);
	buf_append(&body, "", 1);
	say_message('E', buf_str(&body));
	buf_fini(&body);
}

/* Any message, its length right or not. */
static void say_any(struct feed *feed, bool is_right)
{
	static const char types[] = "RSKZ12TDCENAIn3tsGHWVcdvp";
	static const uint8_t shifts[] = {0, 16, 24, 28};
	char type = types[feed_below(feed, sizeof(types) - 1)];
	struct str body = feed_bytes(feed, feed_below(feed, 48));

	if (is_right) {
		say_message(type, body);
		return;
	}
	buf_append(&liar.script, &type, 1);
	/* Some bytes, some kilobytes, or more than there is memory: what lies between only takes its time. */
	buf_append_be32(&liar.script, feed_u32(feed) >> shifts[feed_below(feed, ARRAY_LEN(shifts))]);
	buf_append_str(&liar.script, body);
}

static void say_something(struct feed *feed)
{
	struct str raw;

	switch (feed_below(feed, 12)) {
	case 0:
		raw = feed_bytes(feed, feed_below(feed, 64));
		buf_append_str(&liar.script, raw);
		return;
	case 1:
		say_welcome(feed);
		return;
	case 2:
	case 3:
	case 4:
	case 5:
		say_rows(feed);
		return;
	case 6:
	case 7:
		say_ready();
		return;
	case 8:
		say_error(feed);
		return;
	case 9:
		say_any(feed, false);
		return;
	default:
		say_any(feed, true);
		return;
	}
}

static void make_script(struct feed *feed)
{
	bool has_room = true;

	if (feed_below(feed, 4) >
	    0) { /* most often a good beginning: welcome, and an answer to the session's settings */
		say_welcome(feed);
		(void)liar_cut(&liar, false);
		say_rows(feed);
		say_rows(feed);
		say_ready();
		(void)liar_cut(&liar, false);
	}
	while (feed->len > 0 && has_room) {
		uint8_t flags = feed_byte(feed);
		say_something(feed);
		if ((flags & 3) == 0)
			has_room = liar_cut(&liar, (flags & 4) != 0);
	}
	if (has_room)
		(void)liar_cut(&liar, false);
}

/* ---- requests ---- */

struct asked {
	struct truth_claim_req claim;
	struct truth_read_req read;
	struct truth_read one_read;
	struct truth_read *reads[1];
	struct truth_pivot_req pivot;
	struct truth_pivot one_pivot;
	struct truth_pivot *pivots[1];
	struct truth_settle_req settle;
	struct truth_settle one_settle;
	struct truth_settle *settles[1];
	struct truth_pay_req pay;
	struct truth_debts_req debts;
	struct store_init_req init;
	struct debt debt;
	uint32_t n_asked;
	uint32_t n_done;
};

static void check_end(struct asked *asked, enum verdict verdict, const struct err *err)
{
	MUST((unsigned)verdict <= VERDICT_MISCONFIGURED && (verdict == VERDICT_OK || err->text[0] != '\0'));
	asked->n_done++;
}

static void on_claim(struct truth_claim_req *req)
{
	check_end(container_of(req, struct asked, claim), req->verdict, &req->err);
}

static void on_read(struct truth_read_req *req)
{
	check_end(container_of(req, struct asked, read), req->reads[0]->verdict, &req->reads[0]->err);
}

static void on_pivot(struct truth_pivot_req *req)
{
	struct asked *asked = container_of(req, struct asked, pivot);

	/* The daemon stops then, and looks at nothing else. */
	if (req->is_epoch_lost)
		asked->n_done++;
	else
		check_end(asked, req->pivots[0]->verdict, &req->pivots[0]->err);
}

static void on_settle(struct truth_settle_req *req)
{
	struct asked *asked = container_of(req, struct asked, settle);

	if (req->is_epoch_lost)
		asked->n_done++;
	else
		check_end(asked, req->verdict, &req->err);
}

static void on_pay(struct truth_pay_req *req)
{
	check_end(container_of(req, struct asked, pay), req->verdict, &req->err);
}

static void on_debts(struct truth_debts_req *req)
{
	for (uint32_t i = 0; req->verdict == VERDICT_OK && i < req->n_rows; i++)
		MUST(memchr(req->rows[i].debt.store, '\0', TRUTH_STORE_NAME_BYTES) != NULL);
	check_end(container_of(req, struct asked, debts), req->verdict, &req->err);
}

static void on_init(struct store_init_req *req)
{
	check_end(container_of(req, struct asked, init), req->verdict, &req->err);
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static void ask_claim(struct truth *truth, struct asked *asked)
{
	asked->claim = (struct truth_claim_req){.take_over = true, .timeout_ns = 10000000000u, .done = on_claim};
	truth->ops->claim(truth, &asked->claim);
	asked->n_asked++;
}

static void ask_pivot(struct truth *truth, struct asked *asked)
{
	static const struct document document = {.id = {"d", 1}, .n_chunks = 0};

	asked->one_pivot = (struct truth_pivot){
		.document = &document, .document_id = str_of("d"), .debts = &asked->debt, .n_debts = 1};
	asked->pivots[0] = &asked->one_pivot;
	asked->pivot = (struct truth_pivot_req){
		.pivots = asked->pivots, .n_pivots = 1, .timeout_ns = 10000000000u, .done = on_pivot};
	truth->ops->pivot(truth, &asked->pivot);
	asked->n_asked++;
}

static void ask_settle(struct truth *truth, struct asked *asked, bool aborts)
{
	asked->one_settle = (struct truth_settle){
		.document_id = str_of("d"), .abort_if_absent = aborts, .code = "x", .reason = "y"};
	asked->settles[0] = &asked->one_settle;
	asked->settle = (struct truth_settle_req){.backend = aborts ? "sagad:1:1" : "",
						  .settles = asked->settles,
						  .n_settles = 1,
						  .timeout_ns = 10000000000u,
						  .done = on_settle};
	truth->ops->settle(truth, &asked->settle);
	asked->n_asked++;
}

static void ask_read(struct truth *truth, struct asked *asked)
{
	asked->one_read = (struct truth_read){.document_id = str_of("d"), .idempotency_key = str_of("k")};
	asked->reads[0] = &asked->one_read;
	asked->read = (struct truth_read_req){
		.reads = asked->reads, .n_reads = 1, .timeout_ns = 10000000000u, .done = on_read};
	truth->ops->read(truth, &asked->read);
	asked->n_asked++;
}

static void ask_debts(struct truth *truth, struct asked *asked)
{
	asked->debts = (struct truth_debts_req){.limit = 3, .timeout_ns = 10000000000u, .done = on_debts};
	truth->ops->debts(truth, &asked->debts);
	asked->n_asked++;
}

static void ask_pay(struct truth *truth, struct asked *asked)
{
	asked->pay =
		(struct truth_pay_req){.debts = &asked->debt, .n_debts = 1, .timeout_ns = 10000000000u, .done = on_pay};
	truth->ops->pay(truth, &asked->pay);
	asked->n_asked++;
}

static void ask_init(struct truth *truth, struct asked *asked, bool is_ping)
{
	static const struct store_schema schema = {.dims = 3, .distance = "cosine", .ann_index = true};

	asked->init = (struct store_init_req){.schema = &schema, .done = on_init};
	if (is_ping)
		truth->ops->ping(truth, &asked->init);
	else
		truth->ops->init(truth, &asked->init);
	asked->n_asked++;
}

static void ask(struct truth *truth, struct asked *asked, uint8_t choice)
{
	asked->debt = (struct debt){.store = "qdrant", .op = LEG_REMOVE};
	switch (choice % 8) {
	case 0:
		ask_claim(truth, asked);
		return;
	case 1:
		ask_read(truth, asked);
		return;
	case 2:
		ask_pivot(truth, asked);
		return;
	case 3:
		ask_settle(truth, asked, (choice & 8) != 0);
		return;
	case 4:
		ask_debts(truth, asked);
		return;
	case 5:
		ask_pay(truth, asked);
		return;
	default:
		ask_init(truth, asked, choice % 8 == 6);
		return;
	}
}

static void run_until_done(const struct asked *asked)
{
	uint32_t n_idle = 0;

	for (uint32_t turn = 0; turn < TURNS_MAX && n_idle < IDLE_MAX && asked->n_done < asked->n_asked; turn++) {
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		n_idle = liar_pump(&liar) ? 0 : n_idle + 1;
	}
}

static struct truth *make_truth(void)
{
	struct pg_config config = postgres_config_default();
	struct truth *truth;

	config.host = liar.folder;
	config.user = config.dbname = "sagad";
	config.password = "secret";
	config.sslmode = "disable";
	config.application_prefix = "sagad";
	config.n_pivot_connections = config.n_read_connections = 1;
	MUST(postgres_create(&loop, &config, NULL, &truth, NULL) == 0);
	return truth;
}

/* Pivots and settles need an owner's epoch and a look at the catalog; a script that gives both to a claim is long. */
static void pretend_claim(struct truth *truth)
{
	struct pg *pg = pg_of(truth);

	pg->epoch = 7;
	pg->shared.embedding = (struct pg_embedding){.is_known = true, .is_vector = true, .types = {16400, 16405}};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint8_t first = feed_byte(&feed), second = feed_byte(&feed);
	struct asked asked = {.n_asked = 0}, later = {.n_asked = 0};
	struct truth *truth;
	bool is_closed = false;

	make_script(&feed);
	truth = make_truth();
	if ((first & 16) != 0)
		pretend_claim(truth);
	ask(truth, &asked, first);
	run_until_done(&asked);
	if (asked.n_done == asked.n_asked) { /* after a claim that went well, for one, a pivot is sent */
		ask(truth, &later, second);
		run_until_done(&later);
	}
	truth->ops->close(truth, on_closed, &is_closed);
	while (!is_closed)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	MUST(asked.n_done == asked.n_asked && later.n_done == later.n_asked && uv_loop_alive(&loop) == 0);
	liar_reset(&liar);
	return 0;
}
