/* How the values fit together; each alone has been checked already. */
#include "config_load.h"
#include "config_value.h"

#include "net/http_address.h"
#include "stores/redis/redis_url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void PRINTF_LIKE(5, 6)
	check(struct config_loader *loader, bool is_well, const char *section, const char *name, const char *fmt, ...)
{
	size_t index = config_key_find(str_of(section), str_of(name));
	struct buf line = {0}, place = {0};
	char text[ERR_TEXT_BYTES];
	va_list args;

	MUST(index < config_n_keys);
	if (is_well)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose */
	va_end(args);
	config_place(&loader->config->origins[index], &place);
	config_value_append(loader->config, index, &line);
	config_fault(loader, place.at != NULL ? place.at : "", "%s.%s: '%s' %s", section, name,
		     line.at != NULL ? line.at : "", text);
	loader->is_out_of_memory |= line.failed || place.failed;
	buf_fini(&line);
	buf_fini(&place);
}

static void check_times(struct config_loader *loader)
{
	const struct config *c = loader->config;
	uint64_t longest =
		c->timeouts.store_ms > c->timeouts.postgresql_ms ? c->timeouts.store_ms : c->timeouts.postgresql_ms;

	check(loader, c->timeouts.deadline_ms <= c->timeouts.max_deadline_ms, "timeouts", "deadline",
	      "is longer than timeouts.max_deadline: lower it or raise that");
	check(loader, c->timeouts.late_write_window_ms >= longest, "timeouts", "late_write_window",
	      "is shorter than timeouts.store or timeouts.postgresql: a write could arrive after the last removal");
	check(loader, c->retry.base_ms <= c->retry.cap_ms, "retry", "base", "is longer than retry.cap");
	check(loader, c->retry.background_base_ms <= c->retry.background_cap_ms, "retry", "background_base",
	      "is longer than retry.background_cap");
	check(loader, c->timeouts.parked_retry_ms >= c->retry.background_base_ms, "timeouts", "parked_retry",
	      "is shorter than retry.background_base: parked work would be tried more often than other work");
}

/* A fence that ends before the last late write opens the door again. */
static void check_fences(struct config_loader *loader)
{
	const struct config *c = loader->config;
	uint64_t saga_ms = c->timeouts.max_deadline_ms + c->timeouts.late_write_window_ms;

	check(loader, c->redis.staging_ttl_ms >= c->timeouts.max_deadline_ms, "redis", "staging_ttl",
	      "is shorter than timeouts.max_deadline: the value would be gone before a long saga publishes it");
	check(loader, c->redis.fence_ttl_ms >= saga_ms, "redis", "fence_ttl",
	      "is shorter than timeouts.max_deadline and timeouts.late_write_window together: a late write would stay");
	check(loader, c->neo4j.tombstone_ms >= saga_ms, "neo4j", "tombstones",
	      "is shorter than timeouts.max_deadline and timeouts.late_write_window together: a late write would stay");
}

static void check_sagas(struct config_loader *loader)
{
	const struct config *c = loader->config;

	check(loader, c->sagas.deadline_ms <= c->sagas.max_deadline_ms, "sagas", "deadline",
	      "is longer than sagas.max_deadline: lower it or raise that");
	check(loader, c->sagas.step_timeout_ms <= c->sagas.max_step_timeout_ms, "sagas", "step_timeout",
	      "is longer than sagas.max_step_timeout: lower it or raise that");
	check(loader, c->sagas.retry_base_ms <= c->sagas.retry_cap_ms, "sagas", "retry_base",
	      "is longer than sagas.retry_cap");
	check(loader, c->sagas.undo_base_ms <= c->sagas.undo_cap_ms, "sagas", "undo_base",
	      "is longer than sagas.undo_cap");
	check(loader, c->sagas.barrier_ttl_ms >= c->sagas.max_deadline_ms, "sagas", "barrier_ttl",
	      "is shorter than sagas.max_deadline: a step could run twice");
	check(loader, c->sagas.postgresql_password[0] == '\0' || c->sagas.postgresql_user[0] != '\0', "sagas",
	      "postgresql_password_file", "needs sagas.postgresql_user, too");
}

static void check_limits(struct config_loader *loader)
{
	const struct config *c = loader->config;

	check(loader, c->limits.max_bytes >= c->limits.max_line_bytes, "limits", "max_bytes",
	      "is less than limits.max_line: a document of that size could never run");
	check(loader, c->limits.max_buffered_bytes >= c->limits.max_line_bytes, "limits", "max_buffered",
	      "is less than limits.max_line: a line of that size could never arrive");
	check(loader, c->schema.dims <= c->limits.max_dims, "schema", "dims",
	      "is more than limits.max_dims: every document would be refused");
}

static void check_places(struct config_loader *loader)
{
	const struct config *c = loader->config;
	const char *url = c->neo4j.url;

	check(loader, strcmp(c->daemon.jobs_socket, c->daemon.admin_socket) != 0, "daemon", "admin_socket",
	      "is the same as daemon.jobs_socket: whoever may send jobs could administrate");
	check(loader, c->daemon.jobs_group.n <= 1, "daemon", "jobs_group", "names more than one group");
	check(loader, strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0, "neo4j", "url",
	      "does not begin with http:// or https://: sagad uses Neo4j's HTTP interface (port 7474), not Bolt");
	check(loader, strchr(url, '@') == NULL, "neo4j", "url",
	      "has a user in it: give neo4j.user and neo4j.password_file instead");
	check(loader, c->qdrant.key_file[0] == '\0' || c->qdrant.cert_file[0] != '\0', "qdrant", "key_file",
	      "needs qdrant.cert_file, too");
	check(loader, c->redis.key_file[0] == '\0' || c->redis.cert_file[0] != '\0', "redis", "key_file",
	      "needs redis.cert_file, too");
	check(loader, !c->redis.use_tls || SAGAD_REDIS_TLS, "redis", "tls", "can't be had: " REDIS_TLS_LACK);
	check(loader, !c->redis.use_tls || c->redis.path[0] == '\0', "redis", "tls",
	      "is for a host and port: over redis.path, a Unix socket, nobody listens in");
	check(loader, c->neo4j.key_file[0] == '\0' || c->neo4j.cert_file[0] != '\0', "neo4j", "key_file",
	      "needs neo4j.cert_file, too");
	check(loader, c->postgresql.sslcert[0] == '\0' || c->postgresql.sslkey[0] != '\0', "postgresql", "sslcert",
	      "needs postgresql.sslkey, too");
}

static void check_operations(struct config_loader *loader)
{
	const char *listen = loader->config->operations.listen;
	struct http_address address;
	struct err err;

	check(loader, listen[0] == '\0' || http_address_parse(listen, &address, &err) == 0, "operations", "listen",
	      "is no address to listen on: give a numeric one with its port, for example 127.0.0.1:7242 or [::1]:7242");
}

/* The libraries would find out at the first connection, again and again, and long after the start. */
static void check_file(struct config_loader *loader, const char *section, const char *name, bool is_private)
{
	size_t index = config_key_find(str_of(section), str_of(name));
	const char *path = *config_value_text(loader->config, config_keys[index].offset);
	struct stat info;
	int fd;

	if (path[0] == '\0' || strcmp(path, "system") == 0) /* sslrootcert=system: libpq 16 and later */
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	check(loader, fd >= 0, section, name, "cannot be read: %s", strerror(errno));
	if (fd < 0)
		return;
	if (fstat(fd, &info) == 0) {
		check(loader, S_ISREG(info.st_mode), section, name, "is no regular file");
		check(loader, !is_private || (info.st_mode & S_IROTH) == 0, section, name,
		      "can be read by everybody on this machine: chmod o-rwx %s", path);
	}
	(void)close(fd); /* read only */
}

static void check_files(struct config_loader *loader)
{
	static const struct {
		const char *section, *name;
		bool is_private;
	} files[] = {
		{"postgresql", "sslrootcert", false}, {"postgresql", "sslcert", false}, {"postgresql", "sslkey", true},
		{"postgresql", "sslcrl", false},      {"qdrant", "ca_file", false},     {"qdrant", "cert_file", false},
		{"qdrant", "key_file", true},         {"neo4j", "ca_file", false},      {"neo4j", "cert_file", false},
		{"neo4j", "key_file", true},          {"redis", "ca_file", false},      {"redis", "cert_file", false},
		{"redis", "key_file", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		check_file(loader, files[i].section, files[i].name, files[i].is_private);
}

void config_check(struct config_loader *loader)
{
	check_files(loader);
	check_operations(loader);
	check_times(loader);
	check_fences(loader);
	check_sagas(loader);
	check_limits(loader);
	check_places(loader);
}
