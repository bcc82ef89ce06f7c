#include "sockets.h"

#include "proto/reply.h"
#include "sagad/notify.h"
#include "sagad/settings.h"

#include <errno.h>
#include <string.h>

#define ADMIN_CLIENTS 16

_Static_assert(CONFIG_IDS_MAX <= SERVER_IDS_MAX, "the server takes as many ids as the configuration");

static void access_fill(struct server_access *access, const struct config_ids *uids, const struct config_ids *gids)
{
	for (uint32_t i = 0; i < uids->n; i++)
		access->uids[i] = uids->ids[i];
	access->n_uids = uids->n;
	for (uint32_t i = 0; i < gids->n; i++)
		access->gids[i] = gids->ids[i];
	access->n_gids = gids->n;
}

/* A path is for those who make their sockets themselves; one that systemd made has its own mode and owner. */
static const char *place_fill(struct server_config *server, const char *fd_name, const char *path, uint64_t mode)
{
	server->fd = notify_socket(fd_name);
	server->path = server->fd < 0 ? path : NULL;
	server->mode = (mode_t)mode;
	return server->fd < 0 ? path : "a socket of systemd's";
}

static int open_jobs(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		     struct server_config common, struct err *err)
{
	const struct config_ids *uids = &config->daemon.jobs_uids, *gids = &config->daemon.jobs_gids;

	common.name = "jobs";
	sockets->jobs_place = place_fill(&common, "jobs", config->daemon.jobs_socket, config->daemon.jobs_mode);
	if (config->daemon.jobs_group.n > 0)
		common.socket_gid = config->daemon.jobs_group.ids[0];
	common.access.is_open = uids->n == 0 && gids->n == 0;
	access_fill(&common.access, uids, gids);
	return server_create(loop, &common, &dispatch->jobs.events, &sockets->jobs, err);
}

static int open_admin(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		      struct server_config common, struct err *err)
{
	static const struct config_ids no_groups;

	common.name = "administration";
	sockets->admin_place = place_fill(&common, "admin", config->daemon.admin_socket, config->daemon.admin_mode);
	common.max_clients = ADMIN_CLIENTS;
	access_fill(&common.access, &config->daemon.admin_uids, &no_groups);
	return server_create(loop, &common, &dispatch->admin.events, &sockets->admin, err);
}

int sockets_open(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		 struct log *log, struct err *err)
{
	struct server_config common = settings_server(config);
	int rc;

	*sockets = (struct sockets){0};
	reply_error(&sockets->full_line, "null", CODE_OVERLOADED,
		    "limits.max_clients connections are open: connect again later");
	reply_error(&sockets->forbidden_line, "null", CODE_FORBIDDEN,
		    "your user may not use this socket: see daemon.jobs_uids, jobs_gids and admin_uids");
	if (sockets->full_line.failed || sockets->forbidden_line.failed)
		return err_set(err, -ENOMEM, "out of memory");
	common.full_line = sockets->full_line.at;
	common.forbidden_line = sockets->forbidden_line.at;
	common.log = log;
	rc = open_jobs(sockets, loop, config, dispatch, common, err);
	if (rc == 0)
		rc = open_admin(sockets, loop, config, dispatch, common, err);
	return rc;
}

static void socket_closed(void *arg)
{
	struct sockets *sockets = arg;

	sockets->n_open--;
	if (sockets->n_open > 0)
		return;
	buf_fini(&sockets->full_line);
	buf_fini(&sockets->forbidden_line);
	sockets->closed(sockets);
}

void sockets_close(struct sockets *sockets, uint64_t flush_ms, void (*closed)(struct sockets *sockets))
{
	sockets->closed = closed;
	sockets->n_open = 2;
	server_close(sockets->jobs, flush_ms, socket_closed, sockets);
	server_close(sockets->admin, flush_ms, socket_closed, sockets);
}
