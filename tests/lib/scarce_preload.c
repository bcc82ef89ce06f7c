/* Preloaded into a daemon: lets the n-th allocation from now on fail, in whatever library and thread it is.
 *
 * The file that SAGAD_SCARCE names is shared with the test: it writes how many allocations are left before the one that
 * finds no memory, and reads how many have failed. Zero: none is due. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct scarce {
	_Atomic int64_t left;
	_Atomic uint64_t n_failed;
};

static struct scarce *scarce; /* NULL: not asked for, or not yet */

/* glibc's own, under the names that its manual gives to replacements of malloc. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *at, size_t size);

__attribute__((constructor)) static void open_shared(void)
{
	const char *path = getenv("SAGAD_SCARCE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (at != MAP_FAILED)
		scarce = at;
}

static bool is_due(void)
{
	if (scarce == NULL || atomic_load_explicit(&scarce->left, memory_order_relaxed) <= 0)
		return false;
	if (atomic_fetch_sub(&scarce->left, 1) != 1)
		return false;
	atomic_fetch_add(&scarce->n_failed, 1);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return is_due() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return is_due() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *at, size_t size)
{
	return is_due() ? NULL : __libc_realloc(at, size);
}
