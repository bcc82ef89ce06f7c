#include "sagad/curl_memory.h"

#include "sagad/daemon.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct log *curl_log;

/* NULL is a right answer to a call for 0 bytes. */
static void *end_without(void *at, size_t n_bytes)
{
	if (at != NULL || n_bytes == 0)
		return at;
	log_error(curl_log, "no memory for %zu bytes of a request: stopping; the next start finishes what is open",
		  n_bytes);
	_exit(DAEMON_EXIT_FAILED); /* the journal has what is needed; exit handlers could ask for memory, too */
}

static void *curl_malloc(size_t size)
{
	return end_without(malloc(size), size);
}

static void *curl_calloc(size_t n, size_t size)
{
	return end_without(calloc(n, size), n * size);
}

static void *curl_realloc(void *at, size_t size)
{
	return end_without(realloc(at, size), size);
}

static char *curl_strdup(const char *text)
{
	return end_without(strdup(text), strlen(text) + 1);
}

void curl_memory_install(struct log *log)
{
	curl_log = log;
	/* Counted: later calls of curl_global_init() leave these in place. Should it fail, those will say so. */
	(void)curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free, curl_realloc, curl_strdup, curl_calloc);
}
