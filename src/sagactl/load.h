/* A load: documents out of a file, a window of them under way, those that fail into another file. */
#ifndef SAGAD_SAGACTL_LOAD_H
#define SAGAD_SAGACTL_LOAD_H

#include "ctl.h"
#include "progress.h"

#include <stdio.h>

#define LOAD_WINDOW_MAX 4096

struct load_args {
	struct ctl *ctl;
	const char *path;        /* "-": standard input */
	const char *failed_path; /* NULL: made from `path` */
	unsigned window;         /* documents under way */
	unsigned retries;        /* of one document */
	unsigned reconnect_s;    /* how long to try to reach a daemon that went away */
};

/* One document under way. */
struct load_slot {
	char *line; /* owned; NULL: the slot is free */
	size_t len;
	uint64_t line_no;
	uint64_t id;         /* of its request; 0: not sent, or to be sent again */
	unsigned tries;      /* that failed */
	int64_t retry_at_ms; /* when it may be sent again */
};

struct load {
	const struct load_args *args;
	struct sagad_client *client; /* NULL: there is no connection */
	FILE *in;
	FILE *failed; /* NULL until something fails */
	char failed_path[4096];
	char *read_line; /* getline's */
	size_t read_size;
	uint64_t line_no;
	bool is_at_end;
	bool is_read_failed;   /* the input broke off */
	bool is_failed_broken; /* the file of failures can't be written: said once */
	struct load_slot *slots;
	unsigned n_busy;
	uint64_t n_retries;
	struct progress progress;
};

/* Runs it to its end and prints a summary. */
enum ctl_exit load_run(const struct load_args *args);

#endif
