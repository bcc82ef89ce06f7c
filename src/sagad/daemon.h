/* The daemon: its loop, its parts in the order in which they start and stop, and its signals. */
#ifndef SAGAD_SAGAD_DAEMON_H
#define SAGAD_SAGAD_DAEMON_H

#include "sagad/config.h"
#include "sagad/sink.h"

#include <stdbool.h>

/* What the process ends with; `sagad --help` lists them. */
enum daemon_exit {
	DAEMON_EXIT_CLEAN = 0,  /* stopped as asked */
	DAEMON_EXIT_FAILED = 1, /* could not start or go on: memory, files, libraries */
	DAEMON_EXIT_USAGE = 2,  /* command line or configuration, or an unusable journal */
	DAEMON_EXIT_OTHER = 3,  /* another daemon has the journal, a socket or the database */
	DAEMON_EXIT_HALTED = 4  /* stopped itself: a newer owner, or the journal failed; nothing was removed */
};

struct daemon_options {
	const struct config_sources *sources; /* what SIGHUP reads again; borrowed, as config and sink are */
	bool take_over;                       /* the database, from a daemon with another journal */
	bool replace;                         /* sockets and journal of the daemon that runs here */
};

/* Runs until a signal or a reason to halt. Once in a process. After anything but DAEMON_EXIT_CLEAN things are left open
 * on purpose: the process is to end at once. Borrowed: all, until the process ends; a reload changes the configuration.
 */
enum daemon_exit daemon_run(struct config *config, const struct daemon_options *options, struct sink *sink);

#endif
