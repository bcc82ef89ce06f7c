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

static void jobs_fill(struct server_config *server, const struct config *config)
{
	const struct config_ids *uids = &config->daemon.jobs_uids, *gids = &config->daemon.jobs_gids;

	server->access.is_open = uids->n == 0 && gids->n == 0;
	access_fill(&server->access, uids, gids);
}

static void admin_fill(struct server_config *server, const struct config *config)
{
	static const struct config_ids no_groups;

	server->max_clients = ADMIN_CLIENTS;
	access_fill(&server->access, &config->daemon.admin_uids, &no_groups);
}

/* A path is for those who make their sockets themselves; one that systemd made has its own mode and owner. */
static const char *place_fill(struct server_config *server, const char *fd_name, int replaced_fd, const char *path,
			      uint64_t mode)
{
	bool is_inherited;

	server->fd = notify_socket(fd_name);
	is_inherited = server->fd >= 0;
	server->path = is_inherited ? NULL : path;
	server->mode = (mode_t)mode;
	if (!is_inherited)
		server->fd = replaced_fd;
	return is_inherited ? "a socket of systemd's" : path;
}

static int open_jobs(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		     struct server_config common, int replaced_fd, struct err *err)
{
	common.name = "jobs";
	sockets->jobs_place =
		place_fill(&common, "jobs", replaced_fd, config->daemon.jobs_socket, config->daemon.jobs_mode);
	if (config->daemon.jobs_group.n > 0)
		common.socket_gid = config->daemon.jobs_group.ids[0];
	jobs_fill(&common, config);
	return server_create(loop, &common, &dispatch->jobs.events, &sockets->jobs, err);
}

static int open_admin(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		      struct server_config common, int replaced_fd, struct err *err)
{
	common.name = "administration";
	sockets->admin_place =
		place_fill(&common, "admin", replaced_fd, config->daemon.admin_socket, config->daemon.admin_mode);
	admin_fill(&common, config);
	return server_create(loop, &common, &dispatch->admin.events, &sockets->admin, err);
}

/* A unit whose sockets have other names would leave the clients alone with a socket that nobody serves. */
static int check_names(struct err *err)
{
	int n = notify_n_sockets(), n_known = (notify_socket("jobs") >= 0) + (notify_socket("admin") >= 0);

	if (n == n_known)
		return 0;
	return err_set(err, -EINVAL,
		       "systemd handed over %d sockets of which %d are named `jobs` or `admin`: set "
		       "FileDescriptorName= in each socket unit",
		       n, n_known);
}

int sockets_open(struct sockets *sockets, uv_loop_t *loop, const struct config *config, struct dispatch *dispatch,
		 const struct handover *handover, struct log *log, struct err *err)
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
	sockets->is_inherited = notify_socket("jobs") >= 0;
	rc = check_names(err);
	if (rc == 0)
		rc = open_jobs(sockets, loop, config, dispatch, common, handover->jobs_fd, err);
	if (rc == 0)
		rc = open_admin(sockets, loop, config, dispatch, common, handover->admin_fd, err);
	return rc;
}

void sockets_reconfigure(struct sockets *sockets, const struct config *config)
{
	struct server_config jobs = settings_server(config), admin = settings_server(config);

	jobs_fill(&jobs, config);
	admin_fill(&admin, config);
	server_reconfigure(sockets->jobs, &jobs);
	server_reconfigure(sockets->admin, &admin);
}

void sockets_leave_to_next(struct sockets *sockets)
{
	if (sockets->is_inherited)
		server_stop_listening(sockets->jobs);
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
