/* A configuration: checked, copied, given a new secret; and what each run of the daemon draws for its connections. */
#include "pg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PREFIX_MAX_BYTES 16
#define POOL_MAX         64
#define BATCH_MAX        1000
#define TEXT_PASSWORD    2 /* in the order of pg_config_copy() */

static bool pg_prefix_is_good(const char *prefix)
{
	size_t n = prefix != NULL ? strlen(prefix) : 0;

	return n >= 1 && n <= PREFIX_MAX_BYTES && strspn(prefix, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

int pg_config_check(const struct pg_config *config, struct err *err)
{
	if (config->host == NULL || config->host[0] == '\0')
		return err_set(err, -EINVAL, "postgres: host is missing");
	if (config->port == 0)
		return err_set(err, -EINVAL, "postgres: port must be 1 to 65535");
	if (!pg_prefix_is_good(config->application_prefix))
		return err_set(err, -EINVAL, "postgres: the application prefix must be 1 to %d of a-z, 0-9, _ and -",
			       PREFIX_MAX_BYTES);
	if (config->n_pivot_connections < 1 || config->n_pivot_connections > POOL_MAX ||
	    config->n_read_connections < 1 || config->n_read_connections > POOL_MAX)
		return err_set(err, -EINVAL, "postgres: 1 to %d connections for pivots and as many for reads",
			       POOL_MAX);
	if (config->max_batch < 1 || config->max_batch > BATCH_MAX)
		return err_set(err, -EINVAL, "postgres: max_batch must be 1 to %d", BATCH_MAX);
	if (config->connect_timeout_ms == 0 || config->backoff.base_ns == 0 ||
	    config->backoff.cap_ns < config->backoff.base_ns)
		return err_set(err, -EINVAL,
			       "postgres: connect timeout and backoff must not be 0, and the backoff's cap "
			       "not below its base");
	return 0;
}

int pg_config_copy(const struct pg_config *config, struct pg_config *own, char *texts[PG_TEXTS])
{
	const char **copied[PG_TEXTS] = {&own->host,    &own->user,        &own->password,
					 &own->dbname,  &own->search_path, &own->application_prefix,
					 &own->sslmode, &own->sslrootcert, &own->sslcert,
					 &own->sslkey,  &own->sslcrl};

	*own = *config;
	for (size_t i = 0; i < PG_TEXTS; i++) {
		if (*copied[i] == NULL)
			continue;
		texts[i] = strdup(*copied[i]);
		if (texts[i] == NULL)
			return -ENOMEM;
		*copied[i] = texts[i];
	}
	return 0;
}

int pg_config_renew_secret(struct pg_config *own, char *texts[PG_TEXTS], const char *secret)
{
	char **kept = &texts[TEXT_PASSWORD];
	char *copy = secret[0] != '\0' ? strdup(secret) : NULL;

	if (copy == NULL && secret[0] != '\0')
		return -ENOMEM;
	if (*kept != NULL)
		explicit_bzero(*kept, strlen(*kept));
	free(*kept);
	*kept = copy;
	own->password = copy;
	return 0;
}

int pg_config_seed(struct rng *rng, struct pg_shared *shared, struct err *err)
{
	uint64_t words[3];

	if (getrandom(words, sizeof(words), 0) != (ssize_t)sizeof(words))
		return err_set(err, -errno, "postgres: the kernel gives no random bytes: %s", strerror(errno));
	rng->state = words[0];
	(void)snprintf(shared->instance, sizeof(shared->instance), "%016llx%016llx", (unsigned long long)words[1],
		       (unsigned long long)words[2]); /* 32 digits */
	return 0;
}
