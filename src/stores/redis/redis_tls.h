/* TLS on a hiredis context, where hiredis can have it: 1.0 and later, with hiredis_ssl. Private to the adapter.
 *
 * hiredis checks who signed a certificate and not for which host it is, and waits for a handshake in a way that spins
 * on a non-blocking socket. So the session is made here, checked by OpenSSL itself, and handed to hiredis, which reads
 * and writes through it. */
#ifndef SAGAD_STORES_REDIS_REDIS_TLS_H
#define SAGAD_STORES_REDIS_REDIS_TLS_H

#include "base/err.h"
#include "stores/redis/redis_url.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>

struct redis_tls; /* what all connections of a store share */
struct ssl_st;    /* OpenSSL's session */

enum redis_tls_verify { REDIS_TLS_VERIFY_FULL, REDIS_TLS_VERIFY_CA, REDIS_TLS_VERIFY_NONE };

/* Texts are borrowed; NULL or "": none. */
struct redis_tls_config {
	const char *ca_file; /* certificates to trust; none: the system's */
	const char *cert_file;
	const char *key_file; /* none: it stands in cert_file */
	const char *host;     /* name or address that the certificate must be for */
	enum redis_tls_verify verify;
};

/* Can this build? */
bool redis_tls_is_built(void);

/* Reads the files. -ENOTSUP: not built. -EINVAL: err names the file and what is wrong with it. */
int redis_tls_create(const struct redis_tls_config *config, struct redis_tls **out_tls, struct err *err) WARN_UNUSED;

/* Takes NULL. Sessions live on. */
void redis_tls_destroy(struct redis_tls *tls);

/* Begins a session on a context whose socket is connected. It belongs to the context from then on. */
int redis_tls_begin(const struct redis_tls *tls, redisContext *context, struct ssl_st **out_session,
		    struct err *err) WARN_UNUSED;

enum redis_tls_step { REDIS_TLS_DONE, REDIS_TLS_WANTS_READ, REDIS_TLS_WANTS_WRITE, REDIS_TLS_FAILED };

/* Goes on with the handshake as far as the socket lets it; FAILED: err says why. */
enum redis_tls_step redis_tls_shake(struct ssl_st *session, struct err *err);

/* Before hiredis reads or writes through a session: forgets what other users of OpenSSL in this thread have left. */
void redis_tls_enter(void);

/* Why reading or writing has just failed, when OpenSSL knows it better than `otherwise`. */
const char *redis_tls_reason(const char *otherwise);

#endif
