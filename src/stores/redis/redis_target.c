/* Where to, as whom, and how: a configuration made into what connections need. */
#include "stores/redis/redis_internal.h"
#include "stores/redis/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_MAX_BYTES 64

static bool is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static uint32_t number_or(uint32_t number, uint32_t fallback)
{
	return number != 0 ? number : fallback;
}

/* Braces would move the hash tag; blanks and control characters make keys that no shell can name. */
static int check_prefix(const char *prefix, struct err *err)
{
	size_t len = strlen(prefix);

	if (len > PREFIX_MAX_BYTES)
		return err_set(err, -EINVAL, "redis: key_prefix has %zu bytes; %d are allowed", len, PREFIX_MAX_BYTES);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)prefix[i] <= ' ' || prefix[i] == 0x7f || prefix[i] == '{' || prefix[i] == '}')
			return err_set(err, -EINVAL,
				       "redis: key_prefix \"%s\" has a brace, a blank or a control character", prefix);
	return 0;
}

static int check_config(const struct redis_config *config, struct err *err)
{
	if (config->connections > 64)
		return err_set(err, -EINVAL, "redis: connections is %u; 1 to 64 are allowed", config->connections);
	if (config->max_batch > 4096)
		return err_set(err, -EINVAL, "redis: max_batch is %u; 1 to 4096 are allowed", config->max_batch);
	if (is_given(config->path) && strlen(config->path) >= REDIS_URL_PATH_BYTES)
		return err_set(err, -EINVAL, "redis: path has %zu bytes; a Unix socket's has at most %d",
			       strlen(config->path), REDIS_URL_PATH_BYTES - 1);
	if (is_given(config->user) && !is_given(config->password))
		return err_set(err, -EINVAL, "redis: user \"%s\" is given without a password", config->user);
	return is_given(config->key_prefix) ? check_prefix(config->key_prefix, err) : 0;
}

/* A URL replaces the fields that it speaks of. */
static int apply_url(struct redis_config *config, struct redis_url *url, struct err *err)
{
	int rc;

	if (!is_given(config->url))
		return 0;
	rc = redis_url_parse(config->url, url, err);
	if (rc != 0)
		return rc;
	config->is_tls |= url->is_tls;
	config->host = url->host;
	config->port = url->port;
	config->path = url->path;
	config->user = url->user;
	config->password = url->password;
	config->db = url->db;
	return 0;
}

static char *copy_of(const char *text)
{
	return is_given(text) ? strdup(text) : NULL;
}

static void name_endpoint(struct redis_target *target)
{
	if (target->path != NULL)
		(void)snprintf(target->endpoint, sizeof(target->endpoint), "%s", target->path); /* fits */
	else if (strchr(target->host, ':') != NULL)                                             /* an IPv6 address */
		(void)snprintf(target->endpoint, sizeof(target->endpoint), "[%.120s]:%u", target->host, target->port);
	else
		(void)snprintf(target->endpoint, sizeof(target->endpoint), "%.120s:%u", target->host, target->port);
}

static enum redis_tls_verify verify_of(const char *name)
{
	if (name != NULL && strcmp(name, "none") == 0)
		return REDIS_TLS_VERIFY_NONE;
	return name != NULL && strcmp(name, "ca") == 0 ? REDIS_TLS_VERIFY_CA : REDIS_TLS_VERIFY_FULL;
}

static int make_tls(struct redis_target *target, const struct redis_config *config, struct err *err)
{
	const struct redis_tls_config tls = {
		.ca_file = config->ca_file,
		.cert_file = config->cert_file,
		.key_file = config->key_file,
		.host = target->host,
		.verify = verify_of(config->tls_verify),
	};

	if (!config->is_tls)
		return 0;
	return redis_tls_create(&tls, &target->tls, err);
}

static int copy_config(const struct redis_config *config, struct redis_target *target, char **out_prefix)
{
	target->host = strdup(is_given(config->host) ? config->host : "127.0.0.1");
	target->path = copy_of(config->path);
	target->user = copy_of(config->user);
	target->password = copy_of(config->password);
	target->port = config->port != 0 ? config->port : 6379;
	target->db = config->db;
	target->connect_timeout_ms = number_or(config->connect_timeout_ms, 5000);
	*out_prefix = strdup(is_given(config->key_prefix) ? config->key_prefix : "sagad");
	if (target->host == NULL || *out_prefix == NULL || (is_given(config->path) && target->path == NULL) ||
	    (is_given(config->user) && target->user == NULL) ||
	    (is_given(config->password) && target->password == NULL))
		return -ENOMEM;
	name_endpoint(target);
	return 0;
}

int redis_target_make(const struct redis_config *config, struct redis_target *out_target, char **out_prefix,
		      struct err *err)
{
	struct redis_config given = *config;
	struct redis_url url;
	int rc = apply_url(&given, &url, err);

	if (rc == 0)
		rc = check_config(&given, err);
	if (rc == 0 && copy_config(&given, out_target, out_prefix) != 0)
		rc = err_set(err, -ENOMEM, "redis: out of memory");
	return rc == 0 ? make_tls(out_target, &given, err) : rc;
}

void redis_target_fini(struct redis_target *target)
{
	redis_tls_destroy(target->tls);
	free(target->host);
	free(target->path);
	free(target->user);
	free(target->password);
	*target = (struct redis_target){.tls = NULL};
}

int redis_target_renew(struct redis_target *target, const char *secret)
{
	char *copy = secret[0] != '\0' ? strdup(secret) : NULL;

	if (copy == NULL && secret[0] != '\0')
		return -ENOMEM;
	if (target->password != NULL)
		explicit_bzero(target->password, strlen(target->password));
	free(target->password);
	target->password = copy;
	return 0;
}
