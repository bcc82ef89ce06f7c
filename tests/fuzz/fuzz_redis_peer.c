/* A lying Redis behind the real hiredis: whatever it sends and whenever, each request ends exactly once, no write
 * counts as done unless the script's own word came, and the process lives. */
#include "feed.h"
#include "liar.h"

#include "stores/redis/redis.h"

#include <signal.h>
#include <uv.h>

#define N_WRITES  3
#define TURNS_MAX 300
#define IDLE_MAX  6

int LLVMFuzzerInitialize(int *argc, char ***argv);

static uv_loop_t loop;
static struct liar liar;

static const char *const words[] = {
	"+PONG\r\n",
	"+OK\r\n",
	"+fenced\r\n",
	"+removed\r\n",
	"+staged\r\n",
	"$6\r\nfenced\r\n",
	"$-1\r\n",
	":7\r\n",
	"*0\r\n",
	"*2\r\n+a\r\n:1\r\n",
	"-NOSCRIPT no\r\n",
	"-OOM command not allowed\r\n",
	"-READONLY replica\r\n",
	"-LOADING\r\n",
	"-NOAUTH\r\n",
	"%1\r\n+a\r\n+b\r\n",
	">2\r\n+message\r\n+x\r\n",
	"$83\r\n# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\nx:123456\r\n\r\n",
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	MUST(uv_loop_init(&loop) == 0);
	liar_listen(&liar, "redis.sock");
	return 0;
}

static void make_script(struct feed *feed)
{
	bool has_room = true;

	while (feed->len > 0 && has_room) {
		uint8_t kind = feed_byte(feed);
		struct str raw;

		if (kind < 128) {
			buf_append_text(&liar.script, words[kind % ARRAY_LEN(words)]);
		} else {
			raw = feed_bytes(feed, kind & 63);
			buf_append(&liar.script, raw.at, raw.len);
		}
		if ((kind & 64) == 0) /* else the next piece comes with it */
			has_room = liar_cut(&liar, (kind & 32) != 0);
	}
	if (has_room)
		(void)liar_cut(&liar, false);
}

static bool was_said(const char *word)
{
	return liar.script.at != NULL && memmem(liar.script.at, liar.script.len, word, strlen(word)) != NULL;
}

/* ---- requests ---- */

struct asked {
	struct store_req req;
	struct store_init_req init;
	struct leg_write writes[N_WRITES];
	struct leg_write *pointers[N_WRITES];
	uint32_t n_done;
};

static void on_done(struct store_req *req)
{
	container_of(req, struct asked, req)->n_done++;
}

static void on_init_done(struct store_init_req *req)
{
	container_of(req, struct asked, init)->n_done++;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static void ask(struct store *store, struct asked *asked, uint8_t choice)
{
	static const struct store_schema schema = {.dims = 3, .distance = "cosine"};

	asked->init = (struct store_init_req){.schema = &schema, .check_only = (choice & 4) != 0, .done = on_init_done};
	asked->req = (struct store_req){
		.writes = asked->pointers, .n_writes = N_WRITES, .timeout_ns = 10000000000u, .done = on_done};
	for (uint32_t i = 0; i < N_WRITES; i++) {
		asked->writes[i] = (struct leg_write){.op = LEG_REMOVE, .document_id = str_of("d")};
		asked->writes[i].saga.bytes[0] = (uint8_t)i;
		asked->pointers[i] = &asked->writes[i];
	}
	if ((choice & 3) == 0)
		store->ops->init(store, &asked->init);
	else if ((choice & 3) == 1)
		store->ops->ping(store, &asked->init);
	else
		store->ops->submit(store, &asked->req);
	MUST(asked->n_done == 0);
}

static void run_until_done(const struct asked *asked)
{
	uint32_t n_idle = 0;

	for (uint32_t turn = 0; turn < TURNS_MAX && n_idle < IDLE_MAX && asked->n_done == 0; turn++) {
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		n_idle = liar_pump(&liar) ? 0 : n_idle + 1;
	}
	for (uint32_t turn = 0; turn < 3; turn++) { /* more than it was asked for */
		(void)liar_pump(&liar);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
}

static void check(const struct asked *asked, uint8_t choice)
{
	MUST(asked->n_done == 1);
	if ((choice & 3) < 2) {
		MUST(asked->init.verdict == VERDICT_OK || asked->init.err.text[0] != '\0');
		return;
	}
	for (uint32_t i = 0; i < N_WRITES; i++) {
		MUST((unsigned)asked->writes[i].verdict <= VERDICT_MISCONFIGURED);
		if (asked->writes[i].verdict == VERDICT_OK)
			MUST(was_said("fenced") || was_said("removed"));
		else
			MUST(strstr(asked->writes[i].err.text, "redis") != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint8_t choice = feed_byte(&feed);
	const struct redis_config config = {.path = liar.path,
					    .password = choice & 8 ? "secret" : NULL,
					    .db = choice & 16 ? 3 : 0,
					    .connections = 1};
	struct asked first = {0}, second = {0};
	struct store *store;
	bool is_closed = false;

	make_script(&feed);
	MUST(redis_store_create(&loop, &config, NULL, &store, NULL) == 0);
	ask(store, &first, choice);
	run_until_done(&first);
	if (first.n_done == 1) { /* the same connection may be used again */
		ask(store, &second, choice);
		run_until_done(&second);
	}
	store->ops->close(store, on_closed, &is_closed);
	while (!is_closed)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	check(&first, choice);
	MUST(second.n_done == (second.req.done != NULL ? 1 : 0));
	MUST(uv_loop_alive(&loop) == 0);
	liar_reset(&liar);
	return 0;
}
