/* A listening Unix socket as a file. Private to src/net/. */
#ifndef SAGAD_NET_LISTENER_H
#define SAGAD_NET_LISTENER_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

struct listener {
	int fd;      /* owned until it is given to libuv; -1: none */
	int lock_fd; /* owned; held as long as the daemon lives; -1: none */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "": an inherited socket */
	dev_t dev;                                                 /* of the socket's file as it was made */
	ino_t ino;
};

/* Binds and sets group and mode; doesn't listen yet. See server_create() for what is refused. */
int listener_open(struct listener *listener, const char *path, mode_t mode, gid_t gid, struct err *err) WARN_UNUSED;

/* Checks that an inherited descriptor is a Unix stream socket, and takes it. With a path it is the socket that
 * listener_replace() bound there: its file is this daemon's from now on, and so is the lock. */
int listener_take(struct listener *listener, int fd, const char *path, struct err *err) WARN_UNUSED;

/* Binds beside `path`, listens, and moves the file over whatever socket is at `path` in one step, so that a client
 * finds one daemon or the other there and never none. The lock stays the older daemon's. 0 and a descriptor that the
 * caller owns. */
int listener_replace(const char *path, mode_t mode, gid_t gid, int *out_fd, struct err *err) WARN_UNUSED;

/* Removes the socket's file, unless another one has taken its place. */
void listener_remove(struct listener *listener);

/* Closes what is owned. Takes zeroes only after one of the opens. */
void listener_fini(struct listener *listener);

#endif
