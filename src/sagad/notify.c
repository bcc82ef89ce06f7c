#include "notify.h"

#if SAGAD_SYSTEMD

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

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

void notify_reloading(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void notify_reloaded(void)
{
	(void)sd_notify(0, "READY=1");
}

void notify_waiting(const char *status, uint64_t extend_ms)
{
	(void)sd_notifyf(0, "STATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRIu64, status, extend_ms * 1000);
}

void notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us / 1000 : 0;
}

int notify_n_sockets(void)
{
	int n = sd_listen_fds(0);

	return n > 0 ? n : 0;
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

void notify_reloading(void)
{
}

void notify_reloaded(void)
{
}

void notify_waiting(const char *status, uint64_t extend_ms)
{
	(void)status;
	(void)extend_ms;
}

void notify_alive(void)
{
}

uint64_t notify_watchdog_ms(void)
{
	return 0;
}

int notify_n_sockets(void)
{
	return 0;
}

int notify_socket(const char *name)
{
	(void)name;
	return -1;
}

#endif
