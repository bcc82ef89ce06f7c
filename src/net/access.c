#include "access.h"

#include <errno.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* Linux 4.13, include/uapi/asm-generic/socket.h */
#endif
#define ACCESS_GROUPS_MAX 512

int access_read(int fd, struct ucred *out_who)
{
	socklen_t len = sizeof(*out_who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out_who, &len) == 0 ? 0 : -errno;
}

static bool access_has_gid(const struct server_access *access, gid_t gid)
{
	for (uint32_t i = 0; i < access->n_gids; i++)
		if (access->gids[i] == gid)
			return true;
	return false;
}

/* Where the kernel doesn't tell the other groups, or there are too many of them, only the first one counts. */
static bool access_has_other_gid(const struct server_access *access, int fd)
{
	gid_t gids[ACCESS_GROUPS_MAX];
	socklen_t len = sizeof(gids);

	if (access->n_gids == 0 || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*gids); i++)
		if (access_has_gid(access, gids[i]))
			return true;
	return false;
}

bool access_is_allowed(const struct server_access *access, int fd, const struct ucred *who)
{
	if (access->is_open || who->uid == 0 || who->uid == geteuid())
		return true;
	for (uint32_t i = 0; i < access->n_uids; i++)
		if (access->uids[i] == who->uid)
			return true;
	return access_has_gid(access, who->gid) || access_has_other_gid(access, fd);
}
