/* REDIS_URL, as people write it. Pure: parses, looks nothing up. */
#ifndef SAGAD_STORES_REDIS_REDIS_URL_H
#define SAGAD_STORES_REDIS_REDIS_URL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define REDIS_URL_TEXT_BYTES     256
#define REDIS_URL_PASSWORD_BYTES 1024
#define REDIS_URL_PATH_BYTES     108 /* of struct sockaddr_un */

/* What a build without TLS to Redis says: what is missing, and what to do instead. */
#define REDIS_TLS_LACK                                                                                                 \
	"this sagad is built without TLS to Redis: build it with hiredis 1.0 or later and its hiredis_ssl, or use a "  \
	"Unix socket, or a TLS tunnel (stunnel, spiped)"

struct redis_url {
	bool is_tls;                             /* rediss:// */
	char host[REDIS_URL_TEXT_BYTES];         /* without brackets; "" when path is given */
	uint16_t port;                           /* 6379 when the URL names none */
	char path[REDIS_URL_PATH_BYTES];         /* of unix://; "" otherwise */
	char user[REDIS_URL_TEXT_BYTES];         /* "" when none */
	char password[REDIS_URL_PASSWORD_BYTES]; /* "" when none */
	uint32_t db;                             /* 0 when none */
};

/* redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// the same with TLS, unix://[[USER]:PASSWORD@]/PATH[?db=DB].
 * User and password are percent-decoded. -EINVAL with a text that says what is wrong and never shows the password;
 * *out_url is untouched then. */
int redis_url_parse(const char *url, struct redis_url *out_url, struct err *err) WARN_UNUSED;

#endif
