#include "liar.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct liar *listening; /* for the end of the program */

static void liar_remove(void)
{
	(void)unlink(listening->path); /* at best, so is the next */
	(void)rmdir(listening->folder);
}

void liar_listen(struct liar *liar, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*liar = (struct liar){.folder = "/tmp/sagad-fuzz-XXXXXX"};
	MUST(mkdtemp(liar->folder) != NULL);
	(void)snprintf(liar->path, sizeof(liar->path), "%s/%s", liar->folder, name);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", liar->path);
	liar->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(liar->listener >= 0);
	MUST(bind(liar->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	MUST(listen(liar->listener, LIAR_CLIENTS_MAX) == 0);
	for (size_t i = 0; i < LIAR_CLIENTS_MAX; i++)
		liar->clients[i].fd = -1;
	listening = liar;
	MUST(atexit(liar_remove) == 0);
}

bool liar_cut(struct liar *liar, bool at_once)
{
	MUST(!liar->script.failed && liar->n_chunks < LIAR_CHUNKS_MAX);
	liar->ends[liar->n_chunks] = liar->script.len;
	liar->at_once[liar->n_chunks++] = at_once;
	return liar->n_chunks < LIAR_CHUNKS_MAX;
}

static void client_close(struct liar_client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	client->fd = -1;
}

static bool liar_accept(struct liar *liar)
{
	bool has_accepted = false;

	for (size_t i = 0; i < LIAR_CLIENTS_MAX; i++) {
		struct liar_client *client = &liar->clients[i];
		if (client->fd >= 0)
			continue;
		*client = (struct liar_client){.fd = accept4(liar->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)};
		if (client->fd < 0)
			break;
		has_accepted = true;
	}
	return has_accepted;
}

/* True: something was read, or the client has gone. */
static bool client_listen(struct liar_client *client)
{
	static char bytes[65536];
	ssize_t n = recv(client->fd, bytes, sizeof(bytes), 0);

	if (n < 0)
		return false;
	if (n == 0)
		client_close(client);
	client->has_heard = true;
	return true;
}

static bool client_talk(const struct liar *liar, struct liar_client *client)
{
	size_t from = client->next > 0 ? liar->ends[client->next - 1] : 0;

	if (client->next == liar->n_chunks && client->has_heard) {
		client_close(client);
		return true;
	}
	if (client->next == liar->n_chunks || !(client->has_heard || liar->at_once[client->next]))
		return false;
	if (liar->ends[client->next] > from) /* one that the socket has no room for is lost, and that is fine, too */
		(void)send(client->fd, liar->script.at + from, liar->ends[client->next] - from, MSG_NOSIGNAL);
	client->next++;
	client->has_heard = false;
	return true;
}

bool liar_pump(struct liar *liar)
{
	bool has_happened = liar_accept(liar);

	for (size_t i = 0; i < LIAR_CLIENTS_MAX; i++) {
		struct liar_client *client = &liar->clients[i];
		if (client->fd >= 0)
			has_happened |= client_listen(client);
		if (client->fd >= 0)
			has_happened |= client_talk(liar, client);
	}
	return has_happened;
}

void liar_reset(struct liar *liar)
{
	(void)liar_accept(liar); /* those that wait at the door */
	for (size_t i = 0; i < LIAR_CLIENTS_MAX; i++)
		client_close(&liar->clients[i]);
	buf_clear(&liar->script);
	liar->n_chunks = 0;
}
