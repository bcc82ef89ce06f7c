/* systemd, where there is one and the build has its library: readiness, and sockets that it made. Without either these
 * functions do nothing. */
#ifndef SAGAD_SAGAD_NOTIFY_H
#define SAGAD_SAGAD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Was the daemon built with libsystemd? */
bool notify_is_built(void);

/* The service is up (Type=notify), and what it is doing. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_stopping(void);

/* The configuration is read again; notify_reloaded() ends it (sd_notify(3), RELOADING=1 and its MONOTONIC_USEC). */
void notify_reloading(void);
void notify_reloaded(void);

/* The service waits for something outside of it at its start: so much longer than the unit's limit. */
void notify_waiting(const char *status, uint64_t extend_ms);

/* The loop turns. */
void notify_alive(void);

/* How often systemd wants to hear that (WatchdogSec=); 0: not at all. */
uint64_t notify_watchdog_ms(void);

/* How many sockets were handed over, whatever their names. */
int notify_n_sockets(void);

/* The socket that a unit hands over under this name (FileDescriptorName=), or -1. */
int notify_socket(const char *name);

#endif
