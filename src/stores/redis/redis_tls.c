#include "stores/redis/redis_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if SAGAD_REDIS_TLS

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct redis_tls {
	SSL_CTX *context;
	char *host;
	enum redis_tls_verify verify;
};

bool redis_tls_is_built(void)
{
	return true;
}

static bool is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

const char *redis_tls_reason(const char *otherwise)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason != NULL ? reason : otherwise;
}

void redis_tls_enter(void)
{
	ERR_clear_error();
}

/* ---- what connections share ---- */

static int file_fault(struct err *err, const char *what, const char *path)
{
	return err_set(err, -EINVAL, "redis: %s %s can't be used: %s", what, path, redis_tls_reason("unknown format"));
}

static int load_trust(SSL_CTX *context, const struct redis_tls_config *config, struct err *err)
{
	if (config->verify == REDIS_TLS_VERIFY_NONE)
		return 0;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (!is_given(config->ca_file)) {
		if (SSL_CTX_set_default_verify_paths(context) != 1)
			return err_set(err, -EINVAL, "redis: the system's certificates can't be used: %s",
				       redis_tls_reason("unknown fault"));
		return 0;
	}
	if (SSL_CTX_load_verify_locations(context, config->ca_file, NULL) != 1)
		return file_fault(err, "ca_file", config->ca_file);
	return 0;
}

static int load_own(SSL_CTX *context, const struct redis_tls_config *config, struct err *err)
{
	const char *key = is_given(config->key_file) ? config->key_file : config->cert_file;

	if (!is_given(config->cert_file))
		return 0;
	if (SSL_CTX_use_certificate_chain_file(context, config->cert_file) != 1)
		return file_fault(err, "cert_file", config->cert_file);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(context) != 1)
		return file_fault(err, "key_file", key);
	return 0;
}

int redis_tls_create(const struct redis_tls_config *config, struct redis_tls **out_tls, struct err *err)
{
	struct redis_tls *tls = calloc(1, sizeof(*tls));
	int rc = -ENOMEM;

	redis_tls_enter();
	if (tls != NULL) {
		tls->context = SSL_CTX_new(TLS_client_method());
		tls->host = strdup(config->host);
		tls->verify = config->verify;
	}
	if (tls == NULL || tls->context == NULL || tls->host == NULL) {
		(void)err_set(err, rc, "redis: out of memory");
		goto destroy;
	}
	(void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION); /* every OpenSSL that is left knows it */
	rc = load_trust(tls->context, config, err);
	if (rc == 0)
		rc = load_own(tls->context, config, err);
	if (rc != 0)
		goto destroy;
	*out_tls = tls;
	return 0;
destroy:
	redis_tls_destroy(tls);
	return rc;
}

void redis_tls_destroy(struct redis_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	free(tls->host);
	free(tls);
}

/* ---- one session ---- */

static bool host_is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Which name the server is asked for, and which one its certificate must bear. */
static bool session_expect(SSL *session, const struct redis_tls *tls)
{
	bool is_address = host_is_address(tls->host);

	if (!is_address && SSL_set_tlsext_host_name(session, tls->host) != 1)
		return false;
	if (tls->verify != REDIS_TLS_VERIFY_FULL)
		return true;
	if (is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), tls->host) == 1;
	SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(session, tls->host) == 1;
}

static int session_fault(const SSL *session, int errno_before, struct err *err)
{
	long verdict = SSL_get_verify_result(session);

	if (verdict != X509_V_OK)
		return err_set(err, -EACCES, "its certificate isn't accepted: %s; is redis.ca_file the right one?",
			       X509_verify_cert_error_string(verdict));
	return err_set(err, -ECONNRESET, "TLS can't be agreed on: %s; does it speak TLS on this port?",
		       redis_tls_reason(errno_before != 0 ? strerror(errno_before) : "the connection ended"));
}

int redis_tls_begin(const struct redis_tls *tls, redisContext *context, struct ssl_st **out_session, struct err *err)
{
	SSL *session;
	int rc;

	redis_tls_enter();
	session = SSL_new(tls->context);
	if (session == NULL || !session_expect(session, tls)) {
		SSL_free(session);
		return err_set(err, -ENOMEM, "no memory for TLS");
	}
	errno = 0;
	if (redisInitiateSSL(context, session) != REDIS_OK) {
		rc = session_fault(session, errno, err);
		SSL_free(session);
		return rc;
	}
	*out_session = session;
	return 0;
}

enum redis_tls_step redis_tls_shake(struct ssl_st *session, struct err *err)
{
	int rc;

	redis_tls_enter();
	errno = 0;
	rc = SSL_do_handshake(session);
	if (rc == 1)
		return REDIS_TLS_DONE;
	rc = SSL_get_error(session, rc);
	if (rc == SSL_ERROR_WANT_READ)
		return REDIS_TLS_WANTS_READ;
	if (rc == SSL_ERROR_WANT_WRITE)
		return REDIS_TLS_WANTS_WRITE;
	(void)session_fault(session, errno, err);
	return REDIS_TLS_FAILED;
}

#else

bool redis_tls_is_built(void)
{
	return false;
}

int redis_tls_create(const struct redis_tls_config *config, struct redis_tls **out_tls, struct err *err)
{
	(void)config;
	(void)out_tls;
	return err_set(err, -ENOTSUP, "redis: %s", REDIS_TLS_LACK);
}

void redis_tls_destroy(struct redis_tls *tls)
{
	(void)tls;
}

int redis_tls_begin(const struct redis_tls *tls, redisContext *context, struct ssl_st **out_session, struct err *err)
{
	(void)tls;
	(void)context;
	(void)out_session;
	return err_set(err, -ENOTSUP, "%s", REDIS_TLS_LACK);
}

enum redis_tls_step redis_tls_shake(struct ssl_st *session, struct err *err)
{
	(void)session;
	(void)err_set(err, -ENOTSUP, "%s", REDIS_TLS_LACK);
	return REDIS_TLS_FAILED;
}

void redis_tls_enter(void)
{
}

const char *redis_tls_reason(const char *otherwise)
{
	return otherwise;
}

#endif
