/* What every store behind HTTP does alike: what its configuration may say, what is kept of an exchange, how a request
 * of the engine ends. */
#ifndef SAGAD_STORES_HTTP_STORE_H
#define SAGAD_STORES_HTTP_STORE_H

#include "http.h"
#include "port/store.h"

/* A name that becomes part of a path: letters, digits, '_', '-' and '.', not beginning with '.', so no slash, no
 * percent sign, and not "..". `what` is "the collection's name". 0, or -EINVAL. */
int http_store_check_name(const char *store, const char *what, const char *name, size_t max_bytes,
			  struct err *err) WARN_UNUSED;

/* Those of struct store. 0, or -EINVAL. */
int http_store_check_bounds(const char *store, uint32_t connections, uint32_t max_batch, struct err *err) WARN_UNUSED;

/* `fallback` where the configuration gives nothing. */
uint32_t http_store_or(uint32_t value, uint32_t fallback);

/* Keeps in `status` what is told of an exchange; one that was skipped was none. */
void http_store_note(struct store_status *status, const struct http_req *http, enum verdict verdict,
		     const struct err *err);

/* What is left of a request's time since uv_hrtime() was begun_ns; 0: nothing. */
uint64_t http_store_left_ns(const struct store_req *req, uint64_t begun_ns);

/* One verdict for all writes. */
void http_store_give_all(struct store_req *req, enum verdict verdict, const struct err *err);

/* Ends the request, whose writes have their verdicts: done(). `http` is its last exchange, `verdict` what that came to,
 * and is_shared whether it was given to all because nobody knows whose fault it was. */
void http_store_end(struct store_req *req, const struct http_req *http, enum verdict verdict, bool is_shared);

#endif
