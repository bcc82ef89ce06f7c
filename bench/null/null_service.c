#include "null_service.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_BODY_BYTES (1u << 20)
#define HEAD_END       "\r\n\r\n"

static const char done[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
static const char later[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
static const char refused[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/* A request's head, without the empty line at its end. */
struct head {
	struct str path;
	size_t n_body;
	bool is_well; /* a request line, a key, and a length if there is one that is a number */
	bool has_key;
};

/* Takes a line off the front; its end isn't part of it. */
static struct str head_line(struct str *rest)
{
	const char *end = memmem(rest->at, rest->len, "\r\n", 2);
	struct str line = {rest->at, end != NULL ? (size_t)(end - rest->at) : rest->len};
	size_t n_taken = end != NULL ? line.len + 2 : line.len;

	*rest = (struct str){rest->at + n_taken, rest->len - n_taken};
	return line;
}

/* "POST /now/1 HTTP/1.1" */
static void head_take_request(struct head *head, struct str line)
{
	const char *path = memchr(line.at, ' ', line.len), *end;

	head->is_well = path != NULL;
	if (path == NULL)
		return;
	path++;
	end = memchr(path, ' ', (size_t)(line.at + line.len - path));
	head->is_well = end != NULL && *path == '/';
	if (end != NULL)
		head->path = (struct str){path, (size_t)(end - path)};
}

static bool head_is(struct str line, const char *name)
{
	size_t len = strlen(name);

	return line.len > len && line.at[len] == ':' && strncasecmp(line.at, name, len) == 0;
}

static void head_take_length(struct head *head, struct str line)
{
	const char *at = memchr(line.at, ':', line.len), *end = line.at + line.len;

	for (at++; at < end && *at == ' '; at++)
		;
	head->is_well = head->is_well && at < end;
	for (; at < end; at++) {
		head->is_well = head->is_well && *at >= '0' && *at <= '9' && head->n_body <= MAX_BODY_BYTES;
		if (head->is_well)
			head->n_body = 10 * head->n_body + (size_t)(*at - '0');
	}
}

static struct head head_read(struct str text)
{
	struct head head = {0};

	head_take_request(&head, head_line(&text));
	while (text.len > 0) {
		struct str line = head_line(&text);

		if (head_is(line, "Content-Length"))
			head_take_length(&head, line);
		else if (head_is(line, "Idempotency-Key"))
			head.has_key = true;
		else if (head_is(line, "Transfer-Encoding"))
			head.is_well = false; /* sagad sends none */
	}
	head.is_well = head.is_well && head.has_key && head.n_body <= MAX_BODY_BYTES;
	return head;
}

static bool path_begins(struct str path, const char *with)
{
	size_t len = strlen(with);

	return path.len >= len && memcmp(path.at, with, len) == 0;
}

/* What is answered; NULL: nothing. */
static const char *service_answer(struct null_counts *counts, const struct head *head)
{
	counts->n_requests++;
	if (head->is_well && path_begins(head->path, "/now")) {
		counts->n_items++;
		return done;
	}
	if (head->is_well && path_begins(head->path, "/later"))
		return later;
	if (head->is_well && path_begins(head->path, "/never"))
		return NULL;
	counts->n_refused++;
	return refused;
}

/* The whole request at the front: its length; 0 when it isn't whole. */
static size_t service_take_one(struct null_conn *conn, struct str bytes)
{
	struct null_counts *counts = conn->state;
	const char *end = memmem(bytes.at, bytes.len, HEAD_END, strlen(HEAD_END)), *answer;
	size_t n_head = end != NULL ? (size_t)(end - bytes.at) : 0;
	struct head head;

	if (end == NULL)
		return 0;
	head = head_read((struct str){bytes.at, n_head});
	n_head += strlen(HEAD_END);
	if (head.is_well && bytes.len - n_head < head.n_body)
		return 0;
	answer = service_answer(counts, &head);
	if (answer != NULL)
		buf_append_text(&conn->out, answer);
	counts->n_bytes += n_head + head.n_body;
	return head.is_well ? n_head + head.n_body : bytes.len;
}

static ssize_t service_take(struct null_conn *conn, const char *bytes, size_t n_bytes)
{
	size_t n_taken = 0, n = 1;

	while (n > 0 && n_taken < n_bytes) {
		n = service_take_one(conn, (struct str){bytes + n_taken, n_bytes - n_taken});
		n_taken += n;
	}
	return (ssize_t)n_taken;
}

static void *service_open(void *owner)
{
	return owner;
}

static void service_close(void *state)
{
	(void)state; /* the counts outlive all connections */
}

const struct null_tcp_ops null_service_ops = {.open = service_open, .take = service_take, .close = service_close};
