/* Drives one adapter against a real server: each call runs the loop until its done() came. Header only: include it once
 * in a test program. */
#ifndef SAGAD_TESTS_LIVE_LIVE_STORE_H
#define SAGAD_TESTS_LIVE_LIVE_STORE_H

#include "base/must.h"
#include "lib/documents.h"
#include "port/store.h"
#include "stores/http/http.h"

#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define LIVE_SKIP       77 /* meson's exit code for a skipped test */
#define LIVE_TIMEOUT_NS 20000000000u
#define LIVE_MAX        512

struct live_req {
	struct store_req req;
	bool is_done;
};

struct live_init_req {
	struct store_init_req req;
	bool is_done;
};

static uv_loop_t live_loop;

/* uv_stop(): a timer that brought done() must not be followed by a wait for the next event. */
static inline void live_done(struct store_req *req)
{
	uv_stop(&live_loop);
	container_of(req, struct live_req, req)->is_done = true;
}

static inline void live_init_done(struct store_init_req *req)
{
	uv_stop(&live_loop);
	container_of(req, struct live_init_req, req)->is_done = true;
}

/* One request with these writes; is_shared is returned. */
static inline bool live_submit_for(struct store *store, struct leg_write **writes, uint32_t n_writes,
				   uint64_t timeout_ns)
{
	struct live_req live = {
		.req = {.writes = writes, .n_writes = n_writes, .timeout_ns = timeout_ns, .done = live_done}};

	store->ops->submit(store, &live.req);
	MUST(!live.is_done); /* later, never from inside submit() */
	while (!live.is_done)
		(void)uv_run(&live_loop, UV_RUN_ONCE);
	return live.req.is_shared;
}

/* One write alone; its verdict is returned. */
static inline enum verdict live_one(struct store *store, struct leg_write *write)
{
	struct leg_write *writes[] = {write};

	(void)live_submit_for(store, writes, 1, LIVE_TIMEOUT_NS);
	return write->verdict;
}

static inline struct leg_write live_apply_of(const struct document *document, uint64_t saga)
{
	return (struct leg_write){
		.op = LEG_APPLY, .saga = documents_saga(saga), .document_id = document->id, .document = document};
}

static inline enum verdict live_apply(struct store *store, const struct document *document, uint64_t saga)
{
	struct leg_write write = live_apply_of(document, saga);

	return live_one(store, &write);
}

static inline enum verdict live_publish(struct store *store, const char *id, uint64_t saga)
{
	struct leg_write write = {.op = LEG_PUBLISH, .saga = documents_saga(saga), .document_id = str_of(id)};

	return live_one(store, &write);
}

static inline enum verdict live_remove(struct store *store, const char *id, uint64_t saga, uint32_t n_chunks)
{
	struct leg_write write = {
		.op = LEG_REMOVE, .saga = documents_saga(saga), .document_id = str_of(id), .n_chunks = n_chunks};

	return live_one(store, &write);
}

static inline enum verdict live_run_init(struct store *store,
					 void (*begin)(struct store *store, struct store_init_req *req),
					 const struct store_schema *schema, bool check_only, struct store_init_req *out)
{
	struct live_init_req live = {.req = {.schema = schema, .check_only = check_only, .done = live_init_done}};

	begin(store, &live.req);
	MUST(!live.is_done);
	while (!live.is_done)
		(void)uv_run(&live_loop, UV_RUN_ONCE);
	if (out != NULL)
		*out = live.req;
	return live.req.verdict;
}

static inline void live_closed(void *arg)
{
	*(bool *)arg = true;
	uv_stop(&live_loop);
}

static inline void live_close(struct store *store)
{
	bool is_closed = false;

	store->ops->close(store, live_closed, &is_closed);
	while (!is_closed)
		(void)uv_run(&live_loop, UV_RUN_ONCE);
}

/* Lets timers of the adapter run. */
static inline void live_wait_ms(uint64_t ms)
{
	uint64_t end = uv_hrtime() + ms * 1000000u;

	while (uv_hrtime() < end) {
		(void)uv_run(&live_loop, UV_RUN_NOWAIT);
		(void)usleep(1000);
	}
}

/* A client of the test's own, to look at what is in the store. */
struct live_http {
	struct http_req req;
	bool is_done;
	struct buf reply; /* the caller's: buf_fini() */
};

static inline void live_http_done(struct http_req *req)
{
	struct live_http *live = container_of(req, struct live_http, req);

	uv_stop(&live_loop);
	buf_append(&live->reply, req->reply.at, req->reply.len);
	live->is_done = true;
}

static inline struct buf live_fetch(struct http_client *client, const char *method, const char *path, const char *body)
{
	struct live_http live = {.req = {.method = method,
					 .path = path,
					 .body = str_of(body),
					 .timeout_ns = LIVE_TIMEOUT_NS,
					 .done = live_http_done}};

	http_client_submit(client, &live.req);
	while (!live.is_done)
		(void)uv_run(&live_loop, UV_RUN_ONCE);
	return live.reply;
}

static inline void live_http_close(struct http_client *client)
{
	bool is_closed = false;

	http_client_close(client, live_closed, &is_closed);
	while (!is_closed)
		(void)uv_run(&live_loop, UV_RUN_ONCE);
}

/* The environment's value; ends the program with a reason when there is none. */
static inline const char *live_env(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0') {
		(void)printf("skipped: %s is not set; eval \"$(tools/stores env)\"\n", name);
		exit(LIVE_SKIP);
	}
	return value;
}

#endif
