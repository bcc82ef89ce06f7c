/* A service's URL, and what its answers mean. Pure. */
#ifndef SAGAD_STORES_SERVICE_SERVICE_CODEC_H
#define SAGAD_STORES_SERVICE_SERVICE_CODEC_H

#include "base/err.h"
#include "base/must.h"
#include "port/target.h"

#include <stdbool.h>
#include <stdint.h>

struct service_codec_url {
	char host[256];
	uint16_t port;
	bool is_tls;
	char base[512]; /* "/api", without a '/' at its end; "": none */
};

/* "http://HOST[:PORT][/BASE]" or https. 0, or -EINVAL and err with the service's name. */
int service_codec_url(const char *name, const char *url, struct service_codec_url *out_url,
		      struct err *err) WARN_UNUSED;

/* Sets the call's verdict and result, or error, from a whole answer. */
void service_codec_judge(struct call *call, const char *name, uint16_t status, uint32_t retry_after_s, struct str reply,
			 size_t max_result_bytes);

#endif
