/* One daemon for a journal. */
#ifndef SAGAD_JOURNAL_JOURNAL_LOCK_H
#define SAGAD_JOURNAL_JOURNAL_LOCK_H

#include "base/err.h"

/* Takes the lock of the journal at `path` (its real name, symbolic links resolved) for the life of the descriptor.
 * -EBUSY with the holder's process id when another daemon has it. `path` is borrowed for the call. */
int journal_lock_take(const char *path, int *out_fd, struct err *err) WARN_UNUSED;

/* Gives it back; -1 is allowed. The lock file stays: removing it would let two processes lock two different files. */
void journal_lock_drop(int fd);

/* The name without symbolic links, of a file that may not exist yet; from malloc, the caller's. -ENOENT when its
 * directory is missing. */
int journal_lock_real_path(const char *path, char **out_path, struct err *err) WARN_UNUSED;

#endif
