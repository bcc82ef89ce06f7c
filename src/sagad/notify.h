/* systemd, where there is one and the build has its library: readiness, and sockets that it made. Without either these
 * functions do nothing. */
#ifndef SAGAD_SAGAD_NOTIFY_H
#define SAGAD_SAGAD_NOTIFY_H

#include <stdbool.h>

/* Was the daemon built with libsystemd? */
bool notify_is_built(void);

/* The service is up (Type=notify), and what it is doing. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_stopping(void);

/* The socket that a unit hands over under this name (FileDescriptorName=), or -1. */
int notify_socket(const char *name);

#endif
