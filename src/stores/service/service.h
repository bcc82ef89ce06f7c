/* An HTTP service that the configuration names, as what steps of clients' own sagas run on: implements port/target.h,
 * without a barrier.
 *
 * A do, undo or check object is {"method", "path", "headers", "body"}. The path comes after the configured URL's own
 * and can't leave it. The result is {"status": 200, "body": ...}; a body that is no JSON is a string.
 *
 * `Idempotency-Key: SAGA/STEP/do` (or /undo; a check has its do's) goes along: a service that remembers it may be sent
 * the same call again. Each call reaches the service at most once: curl's own repeating is off.
 *
 * 2xx: done. 425 and 429: to be tried again, not before Retry-After. Other 4xx: refused for good. Anything else, and
 * silence: in doubt. A check: 2xx yes, 404 no, anything else: not known. */
#ifndef SAGAD_STORES_SERVICE_SERVICE_H
#define SAGAD_STORES_SERVICE_SERVICE_H

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "port/target.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Zeroes and NULL stand for the defaults, given at each field. */
struct service_config {
	const char *name;            /* 1..63 letters, digits, '_', '-' or '.'; required */
	const char *url;             /* "http://127.0.0.1:8080" or "https://host/base"; required */
	const char *ca_file;         /* with https: PEM; NULL: the system's */
	const char *cert_file;       /* with it: PEM, the daemon's own certificate; NULL: none */
	const char *key_file;        /* PEM, its key; NULL: in cert_file */
	const char *verify;          /* "full", "ca" or "none"; NULL: "full" */
	const char *secret;          /* sent with each call; NULL or "": none */
	const char *secret_header;   /* in this header; NULL: "Authorization", with "Bearer " before it */
	uint32_t connect_timeout_ms; /* 3000 */
	uint32_t idle_s;         /* 2: a connection that was idle longer isn't used again; less than the service's */
	uint32_t connections;    /* 32: calls out at once, 1..1024 */
	size_t max_reply_bytes;  /* 1 MiB: a longer reply leaves the call in doubt */
	size_t max_result_bytes; /* 256 KiB: of one call; a longer result becomes null */
};

/* Makes the target; connects to nothing. Loop's thread. Texts are copied, `log` is kept until close(). -EINVAL: a
 * value that can't be; err names it. */
int service_create(uv_loop_t *loop, const struct service_config *config, struct log *log, struct target **out_target,
		   struct err *err) WARN_UNUSED;

#endif
