/* What libcurl does when memory runs out: the daemon ends in order.
 *
 * libcurl 7.88 crashes at some allocations that fail, or loses a request (tests/system/test_memory.py without this file).
 * Its own calls can't be mended from outside, and after such a crash nobody knows what else was written over. */
#ifndef SAGAD_SAGAD_CURL_MEMORY_H
#define SAGAD_SAGAD_CURL_MEMORY_H

#include "base/log.h"

/* Before anything else calls libcurl, and before there is a second thread. `log` is kept. From then on an allocation of
 * libcurl's that fails is logged and ends the process with DAEMON_EXIT_FAILED; the next start finishes or takes back
 * what was under way. */
void curl_memory_install(struct log *log);

#endif
