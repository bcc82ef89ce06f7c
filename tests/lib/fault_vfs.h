/* A SQLite VFS whose disk fails: it passes everything on to the default VFS, but for the calls that a plan names.
 *
 * Linked into a test, fault_vfs_install() makes it the default and fault_vfs_arm() sets the plan. As a module that is
 * preloaded into a daemon (fault_vfs_preload.c) it takes the plan from the file that SAGAD_FAULT_VFS names.
 * Calls are those that write: write, truncate, sync. May be used by any number of threads. */
#ifndef SAGAD_TESTS_FAULT_VFS_H
#define SAGAD_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_vfs_kind {
	FAULT_VFS_NONE,
	FAULT_VFS_ENOSPC,    /* a write finds no space */
	FAULT_VFS_EIO,       /* a write fails */
	FAULT_VFS_SHORT,     /* half of a write gets there, then there is no space */
	FAULT_VFS_SYNC,      /* a sync fails; what was written stays readable */
	FAULT_VFS_SYNC_LOST, /* a sync fails, and what was written since the last one is gone ("fsyncgate") */
	FAULT_VFS_SLOW       /* a sync takes its time */
};

struct fault_vfs_plan {
	enum fault_vfs_kind kind;
	uint64_t at;       /* the n-th call of the kind's own sort since arming fails, counted from 1 */
	bool is_lasting;   /* and all after it */
	uint32_t delay_ms; /* FAULT_VFS_SLOW */
};

/* Once, before SQLite is used. 0, or an SQLite error. */
int fault_vfs_install(void);

/* From now on. Counters start at 0. */
void fault_vfs_arm(const struct fault_vfs_plan *plan);

/* How often the plan has struck. */
uint64_t fault_vfs_struck(void);

#endif
