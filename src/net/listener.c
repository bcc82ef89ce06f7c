#include "listener.h"

#include "base/crash_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Clients that wait until the older daemon has ended; the kernel lowers it to net.core.somaxconn. */
#define LISTENER_BACKLOG 1024

static int listener_set_path(struct listener *listener, const char *path, struct err *err)
{
	if (path[0] == '\0')
		return err_set(err, -EINVAL, "a socket's path must not be empty");
	if (strlen(path) >= sizeof(listener->path))
		return err_set(err, -ENAMETOOLONG,
			       "socket path %s has %zu bytes; the kernel takes %zu: choose a shorter one", path,
			       strlen(path), sizeof(listener->path) - 1);
	memcpy(listener->path, path, strlen(path) + 1);
	return 0;
}

/* Two daemons that start at once could both find the old socket dead and remove each other's new one: the lock lets one
 * of them through. Its file stays; removing it would bring the race back. */
static int listener_lock(struct listener *listener, struct err *err)
{
	char path[sizeof(listener->path) + 8];

	(void)snprintf(path, sizeof(path), "%s.lock", listener->path); /* fits */
	listener->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (listener->lock_fd < 0)
		return err_set(err, -errno,
			       "cannot open %s: %s; does its directory exist, and may this user write there?", path,
			       strerror(errno));
	if (flock(listener->lock_fd, LOCK_EX | LOCK_NB) == 0) {
		CRASH_POINT(SOCKET_LOCK_AFTER);
		return 0;
	}
	if (errno == EWOULDBLOCK)
		return err_set(err, -EADDRINUSE,
			       "another daemon holds %s: stop it first, or choose another socket path", path);
	return err_set(err, -errno, "cannot lock %s: %s", path, strerror(errno));
}

static struct sockaddr_un listener_address(const struct listener *listener)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, listener->path, sizeof(address.sun_path));
	return address;
}

/* Does somebody listen there? A full backlog (EAGAIN) is a yes, too. */
static bool listener_is_live(const struct listener *listener)
{
	struct sockaddr_un address = listener_address(listener);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool is_live;

	if (fd < 0)
		return true; /* can't tell: never remove what may be in use */
	is_live = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
		  (errno != ECONNREFUSED && errno != ENOENT);
	(void)close(fd); /* nothing was written */
	return is_live;
}

/* Removes a socket file that a dead daemon has left. */
static int listener_clear(struct listener *listener, struct err *err)
{
	struct stat found;

	if (lstat(listener->path, &found) != 0) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, -errno, "cannot look at %s: %s", listener->path, strerror(errno));
	}
	if (!S_ISSOCK(found.st_mode))
		return err_set(err, -EEXIST, "%s exists and is no socket: move it away, or choose another path",
			       listener->path);
	if (listener_is_live(listener))
		return err_set(err, -EADDRINUSE, "another process listens on %s: stop it first, or choose another path",
			       listener->path);
	CRASH_POINT(SOCKET_CLEAR_BEFORE);
	if (unlink(listener->path) != 0 && errno != ENOENT)
		return err_set(err, -errno, "cannot remove the old socket %s: %s", listener->path, strerror(errno));
	CRASH_POINT(SOCKET_CLEAR_AFTER);
	return 0;
}

static int listener_bind(struct listener *listener, mode_t mode, gid_t gid, struct err *err)
{
	struct sockaddr_un address = listener_address(listener);
	struct stat made;

	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	CRASH_POINT(SOCKET_BIND_BEFORE);
	if (bind(listener->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return err_set(err, -errno, "cannot bind %s: %s", listener->path, strerror(errno));
	CRASH_POINT(SOCKET_BIND_AFTER);
	/* Nobody can connect before listen(), so the file's mode is right from the first client on. */
	if (gid != (gid_t)-1 && chown(listener->path, (uid_t)-1, gid) != 0)
		return err_set(err, -errno, "cannot give %s to group %u: %s", listener->path, gid, strerror(errno));
	if (chmod(listener->path, mode) != 0 || lstat(listener->path, &made) != 0)
		return err_set(err, -errno, "cannot set the mode of %s: %s", listener->path, strerror(errno));
	listener->dev = made.st_dev;
	listener->ino = made.st_ino;
	CRASH_POINT(SOCKET_MODE_AFTER);
	return 0;
}

int listener_open(struct listener *listener, const char *path, mode_t mode, gid_t gid, struct err *err)
{
	int rc;

	*listener = (struct listener){.fd = -1, .lock_fd = -1};
	rc = listener_set_path(listener, path, err);
	if (rc == 0)
		rc = listener_lock(listener, err);
	if (rc == 0)
		rc = listener_clear(listener, err);
	if (rc == 0)
		rc = listener_bind(listener, mode, gid, err);
	if (rc != 0) {
		listener_remove(listener);
		listener_fini(listener);
	}
	return rc;
}

/* The file may be another's by now: then there is nothing to remove at the end. */
static int listener_adopt(struct listener *listener, const char *path, struct err *err)
{
	struct stat found;
	int rc = listener_set_path(listener, path, err);

	if (rc == 0)
		rc = listener_lock(listener, err);
	if (rc != 0) {
		listener->fd = -1; /* stays the caller's */
		listener_fini(listener);
		return rc;
	}
	if (lstat(path, &found) == 0) {
		listener->dev = found.st_dev;
		listener->ino = found.st_ino;
	}
	return 0;
}

int listener_take(struct listener *listener, int fd, const char *path, struct err *err)
{
	struct sockaddr_un address;
	socklen_t address_len = sizeof(address), type_len = sizeof(int);
	int type = 0;

	*listener = (struct listener){.fd = -1, .lock_fd = -1};
	if (getsockname(fd, (struct sockaddr *)&address, &address_len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0)
		return err_set(err, -errno, "the inherited descriptor %d is no socket: %s", fd, strerror(errno));
	if (address.sun_family != AF_UNIX || type != SOCK_STREAM)
		return err_set(err, -EINVAL, "the inherited descriptor %d is no Unix stream socket", fd);
	listener->fd = fd;
	return path != NULL ? listener_adopt(listener, path, err) : 0;
}

int listener_replace(const char *path, mode_t mode, gid_t gid, int *out_fd, struct err *err)
{
	struct listener made = {.fd = -1, .lock_fd = -1};
	char beside[sizeof(made.path) + 8];
	int rc;

	(void)snprintf(beside, sizeof(beside), "%s.new", path); /* a path that is too long is refused below */
	rc = listener_set_path(&made, beside, err);
	if (rc != 0)
		return rc;
	if (unlink(beside) != 0 && errno != ENOENT)
		return err_set(err, -errno, "cannot remove %s, which an earlier try has left: %s", beside,
			       strerror(errno));
	rc = listener_bind(&made, mode, gid, err);
	if (rc != 0)
		goto fini;
	CRASH_POINT(SOCKET_REPLACE_BEFORE);
	if (listen(made.fd, LISTENER_BACKLOG) != 0 || rename(beside, path) != 0) {
		rc = err_set(err, -errno, "cannot take %s over: %s", path, strerror(errno));
		goto fini;
	}
	CRASH_POINT(SOCKET_REPLACE_AFTER);
	*out_fd = made.fd;
	return 0;
fini:
	listener_remove(&made);
	listener_fini(&made);
	return rc;
}

void listener_remove(struct listener *listener)
{
	struct stat found;

	if (listener->ino == 0 || lstat(listener->path, &found) != 0)
		return;
	CRASH_POINT(SOCKET_REMOVE_BEFORE);
	if (found.st_dev == listener->dev && found.st_ino == listener->ino)
		(void)unlink(listener->path); /* a file that stays is found dead and replaced at the next start */
	CRASH_POINT(SOCKET_REMOVE_AFTER);
	listener->ino = 0;
}

void listener_fini(struct listener *listener)
{
	if (listener->fd >= 0)
		(void)close(listener->fd); /* a listening socket has nothing to lose */
	if (listener->lock_fd >= 0)
		(void)close(listener->lock_fd); /* ends the lock */
	listener->fd = -1;
	listener->lock_fd = -1;
}
