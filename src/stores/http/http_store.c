#include "http_store.h"

#include <errno.h>
#include <string.h>

int http_store_check_name(const char *store, const char *what, const char *name, size_t max_bytes, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	size_t len = strlen(name);

	if (len > max_bytes || strspn(name, allowed) != len || name[0] == '.')
		return err_set(err, -EINVAL,
			       "%s: %s \"%.80s\" must be 1 to %zu letters, digits, '_', '-' or '.', and not begin with "
			       "'.'",
			       store, what, name, max_bytes);
	return 0;
}

int http_store_check_bounds(const char *store, uint32_t connections, uint32_t max_batch, struct err *err)
{
	if (connections > 64 || max_batch > 4096)
		return err_set(err, -EINVAL, "%s: connections must be 1 to 64, max_batch 1 to 4096", store);
	return 0;
}

uint32_t http_store_or(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

void http_store_note(struct store_status *status, const struct http_req *http, enum verdict verdict,
		     const struct err *err)
{
	if (http->outcome == HTTP_SKIPPED)
		return;
	status->was_tried = true;
	/* A document's own fault says that the store is well. */
	status->is_up = verdict == VERDICT_OK || verdict == VERDICT_PERMANENT;
	status->latency_ns = http->latency_ns;
	if (verdict == VERDICT_OK)
		err_clear(&status->last_error);
	else
		status->last_error = *err;
}

uint64_t http_store_left_ns(const struct store_req *req, uint64_t begun_ns)
{
	uint64_t used_ns = uv_hrtime() - begun_ns;

	return used_ns < req->timeout_ns ? req->timeout_ns - used_ns : 0;
}

void http_store_give_all(struct store_req *req, enum verdict verdict, const struct err *err)
{
	for (uint32_t i = 0; i < req->n_writes; i++) {
		req->writes[i]->verdict = verdict;
		req->writes[i]->err = *err;
	}
}

void http_store_end(struct store_req *req, const struct http_req *http, enum verdict verdict, bool is_shared)
{
	/* Alone there is nobody to share with. */
	req->is_shared = is_shared && req->n_writes > 1;
	req->is_cut = verdict == VERDICT_DOUBT && http->outcome == HTTP_LOST && http->is_cut;
	req->done(req);
}
