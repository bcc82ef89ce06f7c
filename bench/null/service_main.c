/* nullservice: an application's HTTP service that answers at once, to measure what sagas cost.
 *
 * Prints its port as one line of JSON, serves until its standard input ends, then prints what it was asked for. */
#include "null_service.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

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

static bool start(struct null_tcp *server, struct null_counts *counts, uv_loop_t *loop, uv_pipe_t *input)
{
	return null_tcp_listen(server, loop, &null_service_ops, counts) == 0 && uv_pipe_init(loop, input, 0) == 0 &&
	       uv_pipe_open(input, 0) == 0 && uv_read_start((uv_stream_t *)input, on_alloc, on_input) == 0;
}

int main(int argc, char **argv)
{
	static struct null_tcp server;
	static struct null_counts counts;
	uv_loop_t *loop = uv_default_loop();
	uv_pipe_t input;

	(void)argv;
	if (argc > 1) {
		fputs("usage: nullservice (standard input: a pipe; serves until it ends)\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* can't fail for this signal */
	if (loop == NULL || !start(&server, &counts, loop, &input)) {
		fputs("nullservice: can't listen, or standard input is no pipe\n", stderr);
		return 1;
	}
	printf("{\"service\":%u}\n", server.port);
	if (fflush(stdout) != 0)
		return 1;
	(void)uv_run(loop, UV_RUN_DEFAULT); /* until on_input() stops it */
	printf("{\"service\":{\"requests\":%" PRIu64 ",\"items\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"refused\":%" PRIu64
	       "}}\n",
	       counts.n_requests, counts.n_items, counts.n_bytes, counts.n_refused);
	return fflush(stdout) == 0 ? 0 : 1;
}
