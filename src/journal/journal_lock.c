/* The lock is an open-file-description lock (fcntl(2), F_OFD_SETLK) on a file of its own beside the journal.
 *
 * Not SQLite's locking_mode=EXCLUSIVE: that would keep the sqlite3 shell out, and the journal is there to be read. Not
 * a lock on the journal itself: SQLite holds POSIX locks on it, and closing any other descriptor of that file drops
 * those. The kernel gives the lock back when the process dies, however it dies. */
#include "journal/journal_lock.h"

#include "base/crash_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* realpath() of the directory, then the file's own name behind it. */
static int real_path_of_new(const char *path, char **out_path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char *directory = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
	char *real = directory != NULL ? realpath(directory, NULL) : NULL;
	int rc = 0;

	if (real == NULL)
		rc = err_set(err, -errno,
			     "journal %s: its directory %s can't be used: %s; create it, writable for sagad", path,
			     directory != NULL ? directory : "", strerror(errno));
	else if (name[0] == '\0')
		rc = err_set(err, -EISDIR, "journal %s: this names a directory; name a file in it", path);
	else if (asprintf(out_path, "%s/%s", real, name) < 0)
		rc = err_set(err, -ENOMEM, "journal %s: out of memory", path);
	free(real);
	free(directory);
	return rc;
}

int journal_lock_real_path(const char *path, char **out_path, struct err *err)
{
	char *real = realpath(path, NULL);

	if (real == NULL)
		return real_path_of_new(path, out_path, err);
	*out_path = real;
	return 0;
}

/* The process id in the file is for people; the lock is what counts. */
static void write_holder(int fd)
{
	/* no crash point: journal_lock_take() has one behind it */
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0); /* without it the message names no process; no harm */
}

static long read_holder(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

int journal_lock_take(const char *path, int *out_fd, struct err *err)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char name[PATH_MAX];
	int fd, rc;

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >= sizeof(name))
		return err_set(err, -ENAMETOOLONG, "journal %s: the path is too long", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, -errno,
			       "journal %s: its lock file %s can't be opened for writing: %s; sagad needs a directory "
			       "that it may write to",
			       path, name, strerror(errno));
	if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
		rc = errno == EAGAIN || errno == EACCES
			     ? err_set(err, -EBUSY,
				       "journal %s: another sagad (process %ld) has it open; stop that one, or give "
				       "this one a journal of its own",
				       path, read_holder(fd))
			     : err_set(err, -errno, "journal %s: %s can't be locked: %s", path, name, strerror(errno));
		goto close_fd;
	}
	write_holder(fd);
	CRASH_POINT(JOURNAL_LOCK_AFTER);
	*out_fd = fd;
	return 0;
close_fd:
	(void)close(fd); /* nothing was written through it */
	return rc;
}

void journal_lock_drop(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* nothing that must be durable was written through it */
}
