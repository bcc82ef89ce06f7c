/* The line framer, over a real socket: however a stream is cut into pieces, the same lines come out of it, in order,
 * and the same lines are skipped for their length. */
#include "feed.h"

#include "base/buf.h"
#include "net/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define STREAM_MAX 400 /* all of it fits into a socket's buffer, cut into single bytes as well */

int LLVMFuzzerInitialize(int *argc, char ***argv);

static uv_loop_t loop;
static char folder[] = "/tmp/sagad-fuzz-XXXXXX", path[64];
static struct server *server;
static struct buf delivered; /* "=" and the line, or "!" for one that was skipped, and a newline, for each */

static void on_line(struct server_events *events, struct peer *peer, const char *bytes, size_t len)
{
	(void)events;
	MUST(len > 0 && bytes[len] == '\0' && memchr(bytes, '\n', len) == NULL);
	buf_append_text(&delivered, "=");
	buf_append(&delivered, bytes, len);
	buf_append_text(&delivered, "\n");
	peer_reply(peer, "ok\n", 3);
}

static void on_skipped(struct server_events *events, struct peer *peer, size_t n_bytes, enum server_skip why)
{
	(void)events;
	(void)peer;
	MUST(n_bytes > 0 && why == SERVER_SKIP_TOO_LONG);
	buf_append_text(&delivered, "!\n");
}

static struct server_events events = {.line = on_line, .skipped = on_skipped};

static struct server_config make_config(size_t max_line_bytes)
{
	return (struct server_config){.name = "jobs",
				      .path = path,
				      .fd = -1,
				      .mode = 0600,
				      .socket_gid = (gid_t)-1,
				      .access.is_open = true,
				      .max_line_bytes = max_line_bytes,
				      .max_buffered_bytes = 1 << 20,
				      .max_clients = 8,
				      .max_jobs = 8,
				      .max_unsent_bytes = 1 << 20};
}

static void remove_files(void)
{
	char lock[72];

	(void)snprintf(lock, sizeof(lock), "%s.lock", path);
	(void)unlink(path); /* at best, so are the next */
	(void)unlink(lock);
	(void)rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct server_config config;
	struct err err;

	(void)argc;
	(void)argv;
	MUST(uv_loop_init(&loop) == 0 && mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof(path), "%s/jobs.sock", folder);
	config = make_config(100);
	MUST(server_create(&loop, &config, &events, &server, &err) == 0 && atexit(remove_files) == 0);
	return 0;
}

/* ---- what must come out ---- */

static void expect_line(struct buf *out, struct str line, size_t max_line_bytes)
{
	const char *nul;

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		return;
	nul = line.len > max_line_bytes ? "!" : "=";
	buf_append_text(out, nul);
	if (line.len <= max_line_bytes)
		buf_append_str(out, line);
	buf_append_text(out, "\n");
}

/* The end of the stream ends a line as well, if there is one. */
static void expect_all(struct buf *out, struct str stream, size_t max_line_bytes)
{
	while (stream.len > 0) {
		const char *end = memchr(stream.at, '\n', stream.len);
		size_t len = end != NULL ? (size_t)(end - stream.at) : stream.len;

		expect_line(out, (struct str){stream.at, len}, max_line_bytes);
		len += end != NULL ? 1 : 0;
		stream = (struct str){stream.at + len, stream.len - len};
	}
}

/* ---- what does ---- */

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	return fd;
}

static size_t n_lines(const struct buf *text, char kind)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->at[i] == kind && (i == 0 || text->at[i - 1] == '\n') ? 1 : 0;
	return n;
}

/* Reads the answers up to the end: the server closes when all is said. */
static size_t read_answers(int fd)
{
	char bytes[4096];
	size_t n_bytes = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) != 0) {
		if (n > 0)
			n_bytes += (size_t)n;
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	return n_bytes;
}

static void send_pieces(int fd, struct str stream, struct feed *sizes, bool is_bytewise)
{
	while (stream.len > 0) {
		size_t n = is_bytewise ? 1 : 1 + (size_t)feed_byte(sizes) % 64;

		n = n < stream.len ? n : stream.len;
		MUST(send(fd, stream.at, n, MSG_NOSIGNAL) == (ssize_t)n);
		stream = (struct str){stream.at + n, stream.len - n};
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	MUST(shutdown(fd, SHUT_WR) == 0);
}

static void check_stream(struct str stream, struct feed *sizes, bool is_bytewise, const struct buf *expected)
{
	struct server_counts counts;
	int fd = dial();

	buf_clear(&delivered);
	send_pieces(fd, stream, sizes, is_bytewise);
	MUST(read_answers(fd) == 3 * n_lines(expected, '='));
	MUST(str_is_equal(buf_str(&delivered), buf_str(expected)));
	(void)close(fd);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	server_counts(server, &counts);
	MUST(counts.buffered_bytes == 0 && counts.unsent_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint8_t choice = feed_byte(&feed);
	size_t max_line_bytes = 1 + feed_below(&feed, 32);
	struct feed sizes = {(const uint8_t *)feed_bytes(&feed, 8).at, 0};
	struct str stream = feed_bytes(&feed, STREAM_MAX);
	struct server_config config = make_config(max_line_bytes);
	struct buf expected = {0};

	sizes.len = size > 2 ? (size - 2 < 8 ? size - 2 : 8) : 0;
	server_reconfigure(server, &config);
	expect_all(&expected, stream, max_line_bytes);
	check_stream(stream, &sizes, choice % 2 == 0, &expected);
	buf_fini(&expected);
	return 0;
}
