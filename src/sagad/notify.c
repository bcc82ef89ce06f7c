#include "notify.h"

#if SAGAD_SYSTEMD

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

bool notify_is_built(void)
{
	return true;
}

/* A manager that can't be told is none: sd_notify(3) asks to ignore its result. */
void notify_ready(const char *status)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_status(const char *status)
{
	(void)sd_notifyf(0, "STATUS=%s", status);
}

void notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

int notify_socket(const char *name)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(0, &names), fd = -1;

	for (int i = 0; i < n; i++) {
		if (fd < 0 && strcmp(names[i], name) == 0)
			fd = SD_LISTEN_FDS_START + i;
		free(names[i]);
	}
	free(names);
	return fd;
}

#else

bool notify_is_built(void)
{
	return false;
}

void notify_ready(const char *status)
{
	(void)status;
}

void notify_status(const char *status)
{
	(void)status;
}

void notify_stopping(void)
{
}

int notify_socket(const char *name)
{
	(void)name;
	return -1;
}

#endif
