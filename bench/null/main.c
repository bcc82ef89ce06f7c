/* nullstores: instant servers in the place of PostgreSQL, Qdrant, Neo4j and Redis, to measure what sagad costs by
 * itself. Real sockets and wire formats; every request is parsed completely, and nothing is kept.
 *
 * Prints its ports as one line of JSON, serves until its standard input ends, then prints what it was asked for. */
#include "null_neo4j.h"
#include "null_pg.h"
#include "null_qdrant.h"
#include "null_redis.h"
#include "null_tcp.h"
#include "null_web.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct null_tcp pg_server, redis_server;
static struct null_counts pg_counts;
static struct null_redis redis;
static struct null_web qdrant, neo4j;

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
	static char bytes[256];

	(void)handle;
	(void)suggested;
	*out_buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_input(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *unused)
{
	(void)unused;
	if (n_read < 0)
		uv_stop(stream->loop);
}

static void print_counts(const char *name, const struct null_counts *counts, const char *end)
{
	printf("\"%s\":{\"requests\":%" PRIu64 ",\"items\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"refused\":%" PRIu64
	       "}%s",
	       name, counts->n_requests, counts->n_items, counts->n_bytes, counts->n_refused, end);
}

/* False: standard output is gone. */
static bool print_all_counts(void)
{
	printf("{");
	print_counts("postgres", &pg_counts, ",");
	print_counts("qdrant", &qdrant.counts, ",");
	print_counts("neo4j", &neo4j.counts, ",");
	print_counts("redis", &redis.counts, "}\n");
	return fflush(stdout) == 0;
}

static bool start(uv_loop_t *loop, uv_pipe_t *input)
{
	return null_tcp_listen(&pg_server, loop, &null_pg_ops, &pg_counts) == 0 &&
	       null_tcp_listen(&redis_server, loop, &null_redis_ops, &redis) == 0 &&
	       null_web_start(&qdrant, null_qdrant_answer) && null_web_start(&neo4j, null_neo4j_answer) &&
	       uv_pipe_init(loop, input, 0) == 0 && uv_pipe_open(input, 0) == 0 &&
	       uv_read_start((uv_stream_t *)input, on_alloc, on_input) == 0;
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	uv_pipe_t input;

	(void)argv;
	if (argc > 1) {
		fputs("usage: nullstores (standard input: a pipe; serves until it ends)\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* can't fail for this signal */
	if (loop == NULL || !start(loop, &input)) {
		fputs("nullstores: can't listen, or standard input is no pipe\n", stderr);
		return 1;
	}
	printf("{\"postgres\":%u,\"qdrant\":%u,\"neo4j\":%u,\"redis\":%u}\n", pg_server.port, qdrant.port, neo4j.port,
	       redis_server.port);
	if (fflush(stdout) != 0)
		return 1;
	(void)uv_run(loop, UV_RUN_DEFAULT); /* until on_input() stops it */
	null_web_stop(&qdrant);
	null_web_stop(&neo4j);
	return print_all_counts() ? 0 : 1;
}
