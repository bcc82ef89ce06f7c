/* Who is at the other end of a Unix socket, and may they be? Private to src/net/. */
#ifndef SAGAD_NET_ACCESS_H
#define SAGAD_NET_ACCESS_H

#include "net/server.h"

#include <sys/socket.h>

/* The peer's credentials as of its connect(). 0 or a negative errno. */
int access_read(int fd, struct ucred *out_who) WARN_UNUSED;

bool access_is_allowed(const struct server_access *access, int fd, const struct ucred *who);

#endif
