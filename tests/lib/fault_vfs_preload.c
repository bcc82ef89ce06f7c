/* LD_PRELOAD of this module puts the failing VFS under a program that nobody has built for it. */
#include "fault_vfs.h"

#include <stdlib.h>

__attribute__((constructor)) static void install(void)
{
	if (getenv("SAGAD_FAULT_VFS") != NULL && fault_vfs_install() != 0)
		abort(); /* a test that injects nothing would pass */
}
