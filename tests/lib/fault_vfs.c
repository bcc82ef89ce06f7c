/* Each file is followed in memory by what a failed sync may lose: for each write since the last sync, what stood there
 * before. */
#include "fault_vfs.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one write or truncation replaced. */
struct undo {
	struct undo *before;
	sqlite3_int64 size; /* of the file before it */
	sqlite3_int64 at;
	int n_bytes;
	unsigned char bytes[];
};

struct fault_file {
	sqlite3_file base;
	struct undo *undo; /* the latest first */
	sqlite3_file *real;
	int64_t real_bytes[]; /* SQLite aligns to 8 */
};

static sqlite3_vfs fault_vfs;
static sqlite3_vfs *real_vfs;
static const char *plan_path; /* NULL: the plan comes by fault_vfs_arm() */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault_vfs_plan plan;
static uint64_t n_calls, n_struck;

static struct fault_file *file_of(sqlite3_file *file)
{
	return (struct fault_file *)file;
}

/* ---- the plan ---- */

static const char *const kind_names[] = {"none", "enospc", "eio", "short", "sync", "sync-lost", "slow"};

/* "KIND DELAY_MS": a fault that lasts until the file says something else. */
static struct fault_vfs_plan plan_from_file(void)
{
	struct fault_vfs_plan found = {.at = 1, .is_lasting = true};
	char name[16] = "";
	FILE *file = fopen(plan_path, "re");

	if (file == NULL)
		return found;
	if (fscanf(file, "%15s %u", name, &found.delay_ms) >= 1)
		for (size_t i = 0; i < sizeof(kind_names) / sizeof(*kind_names); i++)
			if (strcmp(name, kind_names[i]) == 0)
				found.kind = (enum fault_vfs_kind)i;
	(void)fclose(file); /* read only */
	return found;
}

/* Is this call of a write (or else a sync) to fail, and how? Counts it. */
static enum fault_vfs_kind strikes(bool is_sync, uint32_t *out_delay_ms)
{
	enum fault_vfs_kind kind = FAULT_VFS_NONE;

	pthread_mutex_lock(&lock);
	if (plan_path != NULL)
		plan = plan_from_file();
	if (plan.kind != FAULT_VFS_NONE && is_sync == (plan.kind >= FAULT_VFS_SYNC)) {
		n_calls++;
		if (n_calls == plan.at || (plan.is_lasting && n_calls > plan.at)) {
			kind = plan.kind;
			*out_delay_ms = plan.delay_ms;
			n_struck++;
		}
	}
	pthread_mutex_unlock(&lock);
	return kind;
}

void fault_vfs_arm(const struct fault_vfs_plan *wanted)
{
	pthread_mutex_lock(&lock);
	plan = *wanted;
	n_calls = n_struck = 0;
	pthread_mutex_unlock(&lock);
}

uint64_t fault_vfs_struck(void)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	n = n_struck;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- what a failed sync loses ---- */

static void undo_drop_all(struct fault_file *file)
{
	while (file->undo != NULL) {
		struct undo *undo = file->undo;
		file->undo = undo->before;
		free(undo);
	}
}

/* Keep what stands where n_bytes are about to be changed. */
static int undo_keep(struct fault_file *file, int n_bytes, sqlite3_int64 at)
{
	struct undo *undo = calloc(1, sizeof(*undo) + (size_t)n_bytes);
	int rc;

	if (undo == NULL)
		return SQLITE_NOMEM;
	rc = file->real->pMethods->xFileSize(file->real, &undo->size);
	undo->at = at;
	undo->n_bytes = undo->size <= at ? 0 : undo->size - at < n_bytes ? (int)(undo->size - at) : n_bytes;
	if (rc == SQLITE_OK && undo->n_bytes > 0)
		rc = file->real->pMethods->xRead(file->real, undo->bytes, undo->n_bytes, at);
	if (rc != SQLITE_OK) {
		free(undo);
		return rc;
	}
	undo->before = file->undo;
	file->undo = undo;
	return SQLITE_OK;
}

static void undo_all(struct fault_file *file)
{
	for (struct undo *undo = file->undo; undo != NULL; undo = undo->before) {
		if (undo->n_bytes > 0)
			(void)file->real->pMethods->xWrite(file->real, undo->bytes, undo->n_bytes, undo->at);
		(void)file->real->pMethods->xTruncate(file->real, undo->size); /* this disk is broken anyway */
	}
	undo_drop_all(file);
}

/* ---- the calls that may fail ---- */

static int fault_write(sqlite3_file *base, const void *bytes, int n_bytes, sqlite3_int64 at)
{
	struct fault_file *file = file_of(base);
	uint32_t delay_ms;
	int rc;

	switch (strikes(false, &delay_ms)) {
	case FAULT_VFS_ENOSPC:
		return SQLITE_FULL;
	case FAULT_VFS_EIO:
		return SQLITE_IOERR_WRITE;
	case FAULT_VFS_SHORT:
		(void)file->real->pMethods->xWrite(file->real, bytes, n_bytes / 2, at); /* fails either way */
		return SQLITE_FULL;
	case FAULT_VFS_NONE:
	case FAULT_VFS_SYNC:
	case FAULT_VFS_SYNC_LOST:
	case FAULT_VFS_SLOW:
		break;
	}
	rc = undo_keep(file, n_bytes, at);
	return rc == SQLITE_OK ? file->real->pMethods->xWrite(file->real, bytes, n_bytes, at) : rc;
}

static int fault_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct fault_file *file = file_of(base);
	sqlite3_int64 had = size;
	int rc = file->real->pMethods->xFileSize(file->real, &had);

	if (rc == SQLITE_OK && had > size)
		rc = undo_keep(file, (int)(had - size), size);
	return rc == SQLITE_OK ? file->real->pMethods->xTruncate(file->real, size) : rc;
}

static int fault_sync(sqlite3_file *base, int flags)
{
	struct fault_file *file = file_of(base);
	uint32_t delay_ms = 0;
	int rc;

	switch (strikes(true, &delay_ms)) {
	case FAULT_VFS_SYNC:
		return SQLITE_IOERR_FSYNC;
	case FAULT_VFS_SYNC_LOST:
		undo_all(file);
		return SQLITE_IOERR_FSYNC;
	case FAULT_VFS_SLOW:
		(void)usleep(delay_ms * 1000); /* early is slow enough */
		break;
	case FAULT_VFS_NONE:
	case FAULT_VFS_ENOSPC:
	case FAULT_VFS_EIO:
	case FAULT_VFS_SHORT:
		break;
	}
	rc = file->real->pMethods->xSync(file->real, flags);
	if (rc == SQLITE_OK)
		undo_drop_all(file);
	return rc;
}

/* ---- the calls that are passed on ---- */

static int fault_close(sqlite3_file *base)
{
	undo_drop_all(file_of(base));
	return file_of(base)->real->pMethods->xClose(file_of(base)->real);
}

#define PASS_ON(name, parameters, ...)                                                                                 \
	static int fault_##name parameters                                                                             \
	{                                                                                                              \
		return file_of(base)->real->pMethods->name(file_of(base)->real, ##__VA_ARGS__);                        \
	}

PASS_ON(xRead, (sqlite3_file * base, void *bytes, int n_bytes, sqlite3_int64 at), bytes, n_bytes, at)
PASS_ON(xFileSize, (sqlite3_file * base, sqlite3_int64 *size), size)
PASS_ON(xLock, (sqlite3_file * base, int level), level)
PASS_ON(xUnlock, (sqlite3_file * base, int level), level)
PASS_ON(xCheckReservedLock, (sqlite3_file * base, int *out), out)
PASS_ON(xFileControl, (sqlite3_file * base, int op, void *arg), op, arg)
PASS_ON(xSectorSize, (sqlite3_file * base))
PASS_ON(xDeviceCharacteristics, (sqlite3_file * base))
PASS_ON(xShmMap, (sqlite3_file * base, int page, int size, int extend, void volatile **out), page, size, extend, out)
PASS_ON(xShmLock, (sqlite3_file * base, int offset, int n, int flags), offset, n, flags)
PASS_ON(xShmUnmap, (sqlite3_file * base, int delete_it), delete_it)

static void fault_xShmBarrier(sqlite3_file *base)
{
	file_of(base)->real->pMethods->xShmBarrier(file_of(base)->real);
}

static const sqlite3_io_methods fault_methods = {
	.iVersion = 2, /* with shared memory, without memory mapping: every change goes through xWrite */
	.xClose = fault_close,
	.xRead = fault_xRead,
	.xWrite = fault_write,
	.xTruncate = fault_truncate,
	.xSync = fault_sync,
	.xFileSize = fault_xFileSize,
	.xLock = fault_xLock,
	.xUnlock = fault_xUnlock,
	.xCheckReservedLock = fault_xCheckReservedLock,
	.xFileControl = fault_xFileControl,
	.xSectorSize = fault_xSectorSize,
	.xDeviceCharacteristics = fault_xDeviceCharacteristics,
	.xShmMap = fault_xShmMap,
	.xShmLock = fault_xShmLock,
	.xShmBarrier = fault_xShmBarrier,
	.xShmUnmap = fault_xShmUnmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
	struct fault_file *file = file_of(base);
	int rc;

	(void)vfs;
	file->undo = NULL;
	file->real = (sqlite3_file *)file->real_bytes;
	file->real->pMethods = NULL;
	rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
	/* SQLite closes a file, also after a failure, when it has methods. */
	base->pMethods = file->real->pMethods != NULL ? &fault_methods : NULL;
	return rc;
}

int fault_vfs_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	if (real_vfs == NULL)
		return SQLITE_ERROR;
	plan_path = getenv("SAGAD_FAULT_VFS");
	fault_vfs = *real_vfs; /* all but opening goes straight there */
	fault_vfs.pNext = NULL;
	fault_vfs.zName = "fault";
	fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
	fault_vfs.xOpen = fault_open;
	return sqlite3_vfs_register(&fault_vfs, 1);
}
