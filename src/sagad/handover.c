#include "handover.h"

#include "base/crash_point.h"

#include "net/server.h"
#include "sagad/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define ASK_TIMEOUT_S  5
#define WAIT_PAUSE_MS  20
#define WAIT_MARGIN_MS 10000 /* beyond the older daemon's drain_timeout: it still has to close its connections */

/* The first finds out whether the second will be heard, before anything is changed. */
static const char stats_line[] = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"sagad.stats\"}\n";
static const char drain_line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sagad.drain\"}\n";

/* A connection to the daemon that listens on the administration socket. 0 with *out_fd -1: there is none. */
static int older_connect(const char *path, int *out_fd, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = ASK_TIMEOUT_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	memcpy(address.sun_path, path, strlen(path) + 1); /* the configuration refuses longer ones */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)); /* without it the wait is longer */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*out_fd = fd;
		return 0;
	}
	(void)close(fd); /* nothing was written */
	*out_fd = -1;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return 0;
	return err_set(err, -EADDRINUSE, "--replace: the daemon on %s can't be reached: %s", path, strerror(errno));
}

/* Reads up to the newline; what is longer is cut. Bytes, or 0 or -1 as recv(2). */
static ssize_t answer_read(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = recv(fd, text + len, size - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && len < size - 1 && text[len - 1] != '\n');
	text[len] = '\0';
	return n > 0 ? (ssize_t)len : n;
}

/* Sends a request, and wants a result. */
static int older_ask(int fd, const char *path, const char *line, struct err *err)
{
	static char answer[32768];
	ssize_t n;

	CRASH_POINT(HANDOVER_ASK_BEFORE);
	n = send(fd, line, strlen(line), MSG_NOSIGNAL);
	if (n == (ssize_t)strlen(line))
		n = answer_read(fd, answer, sizeof(answer));
	CRASH_POINT(HANDOVER_ASK_AFTER);
	if (n <= 0)
		return err_set(err, -EADDRINUSE,
			       "--replace: the daemon on %s doesn't answer (%s): stop it with SIGTERM", path,
			       n < 0 ? strerror(errno) : "it closed the connection");
	if (strstr(answer, "\"result\"") == NULL)
		return err_set(err, -EADDRINUSE,
			       "--replace: the daemon on %s doesn't do what it is asked: stop it with SIGTERM; it said "
			       "%.200s",
			       path, answer);
	return 0;
}

static int sockets_replace(struct handover *handover, const struct config *config, struct err *err)
{
	struct server_config jobs = {.path = config->daemon.jobs_socket, .mode = (mode_t)config->daemon.jobs_mode};
	struct server_config admin = {.path = config->daemon.admin_socket, .mode = (mode_t)config->daemon.admin_mode};
	int rc;

	jobs.socket_gid = config->daemon.jobs_group.n > 0 ? config->daemon.jobs_group.ids[0] : (gid_t)-1;
	admin.socket_gid = (gid_t)-1;
	rc = server_replace(&jobs, &handover->jobs_fd, err);
	if (rc == 0)
		rc = server_replace(&admin, &handover->admin_fd, err);
	return rc;
}

int handover_begin(struct handover *handover, const struct config *config, bool is_replacing, struct log *log,
		   struct err *err)
{
	/* no crash point: older_ask() has them */
	const char *path = config->daemon.admin_socket;
	int fd = -1, rc;

	*handover = (struct handover){.jobs_fd = -1, .admin_fd = -1, .may_wait = notify_n_sockets() > 0};
	if (!is_replacing)
		return 0;
	if (handover->may_wait)
		return err_set(
			err, -EINVAL,
			"--replace is for sockets that sagad makes itself; these are systemd's: systemctl restart "
			"hands them over");
	rc = older_connect(path, &fd, err);
	if (rc != 0 || fd < 0)
		return rc;
	rc = older_ask(fd, path, stats_line, err);
	if (rc == 0)
		rc = sockets_replace(handover, config, err);
	if (rc == 0)
		rc = older_ask(fd, path, drain_line, err);
	if (rc == 0) {
		handover->may_wait = true;
		log_info(log, "took %s and %s over; the older daemon has been asked to stop",
			 config->daemon.jobs_socket, path);
	}
	(void)close(fd); /* nothing more is wanted of it */
	return rc;
}

bool handover_wait(struct handover *handover, const struct config *config, struct log *log, const char *why)
{
	uint64_t limit_ms = config->daemon.drain_timeout_ms + WAIT_MARGIN_MS;
	const struct timespec pause = {.tv_nsec = WAIT_PAUSE_MS * 1000000L};

	if (!handover->may_wait)
		return false;
	if (!handover->is_waiting) {
		handover->is_waiting = true;
		handover->until_ns = uv_hrtime() + limit_ms * 1000000;
		log_info(log, "waiting %llu ms at most for the older daemon to end; clients wait meanwhile (%s)",
			 (unsigned long long)limit_ms, why);
		notify_waiting("waiting for the older daemon to end", limit_ms);
	}
	if (uv_hrtime() >= handover->until_ns)
		return false;
	(void)nanosleep(&pause, NULL); /* a signal ends it early: no harm */
	return true;
}
