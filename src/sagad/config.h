/* The daemon's configuration: one table of keys (config_keys.c), one parser of values, and for each value the place it
 * came from.
 *
 * A later source replaces an earlier one: default, file, environment, command line. Every fault of a file, of the
 * environment and of the options is collected and told at once; a configuration with a fault is never used.
 * Runs before the loop does: it may block. */
#ifndef SAGAD_SAGAD_CONFIG_H
#define SAGAD_SAGAD_CONFIG_H

#include "base/buf.h"
#include "base/must.h"
#include "sagad/config_ids.h"
#include "sagad/config_services.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_DEFAULT_FILE "/etc/sagad/sagad.conf"
#define CONFIG_KEYS_MAX     160

/* Where a value came from, weakest first: the order is the precedence. */
enum config_origin_kind { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_OPTION };

struct config_origin {
	enum config_origin_kind kind;
	char *file;       /* FILE: owned */
	unsigned line;    /* FILE */
	const char *name; /* ENVIRONMENT: the variable; static */
};

/* Numbers are uint64_t whatever they count; the table's ranges make the later narrowing safe. Texts are owned and never
 * NULL; an empty one means "not given". Durations are milliseconds, sizes bytes. */
struct config {
	struct {
		char *jobs_socket;
		uint64_t jobs_mode;
		struct config_ids jobs_group; /* one at most */
		struct config_ids jobs_uids;
		struct config_ids jobs_gids;
		char *admin_socket;
		uint64_t admin_mode;
		struct config_ids admin_uids;
		char *journal;
		char *instance;
		uint64_t drain_timeout_ms;
		bool core_dumps;
	} daemon;
	struct {
		char *level;           /* one of log_level_name() */
		char *format;          /* auto, logfmt, json or journald */
		uint64_t slow_saga_ms; /* 0: none is */
		bool successes;
		uint64_t repeats; /* 0: no bound */
	} log;
	struct {
		char *listen;
		uint64_t check_interval_ms; /* 0: never */
	} operations;
	struct {
		uint64_t max_line_bytes;
		uint64_t max_clients;
		uint64_t max_buffered_bytes;
		uint64_t max_client_jobs;
		uint64_t max_client_bytes;
		uint64_t max_sagas;
		uint64_t max_bytes;
		uint64_t max_waiting;
		uint64_t max_errands;
		uint64_t max_content_bytes;
		uint64_t max_chunks;
		uint64_t max_dims;
		uint64_t max_entities;
		uint64_t max_relationships;
		uint64_t max_name_bytes;
		uint64_t max_graph_bytes;
		uint64_t max_vector_json_bytes;
		uint64_t max_metadata_depth;
		uint64_t max_metadata_bytes;
	} limits;
	struct {
		uint64_t deadline_ms;
		uint64_t max_deadline_ms;
		uint64_t store_ms;
		uint64_t postgresql_ms;
		uint64_t client_idle_write_ms;
		uint64_t late_write_window_ms;
		uint64_t park_after_ms;
		uint64_t parked_retry_ms;
		uint64_t keep_outcomes_ms;
		uint64_t cache_ttl_ms;
	} timeouts;
	struct {
		uint64_t max_tries;
		uint64_t base_ms;
		uint64_t cap_ms;
		uint64_t background_base_ms;
		uint64_t background_cap_ms;
	} retry;
	struct {
		char *host;
		uint64_t port;
		char *user;
		char *password;
		char *password_file;
		char *database;
		char *sslmode;
		char *sslrootcert;
		char *sslcert;
		char *sslkey;
		char *sslcrl;
		char *search_path;
		uint64_t connect_timeout_ms;
		uint64_t connections;
		uint64_t read_connections;
		uint64_t max_batch;
		uint64_t max_batch_bytes;
	} postgresql;
	struct {
		char *host;
		uint64_t port;
		bool use_tls;
		char *ca_file;
		char *cert_file;
		char *key_file;
		char *tls_verify;
		char *api_key;
		char *api_key_file;
		char *collection;
		uint64_t connect_timeout_ms;
		uint64_t admin_timeout_ms;
		uint64_t max_points;
		uint64_t max_body_bytes;
		uint64_t connections;
		uint64_t max_batch;
		uint64_t max_batch_bytes;
	} qdrant;
	struct {
		char *url;
		char *ca_file;
		char *cert_file;
		char *key_file;
		char *tls_verify;
		char *user;
		char *password;
		char *password_file;
		char *database;
		uint64_t connect_timeout_ms;
		uint64_t connections;
		uint64_t max_batch;
		uint64_t max_batch_bytes;
		uint64_t tombstone_ms;
		uint64_t collect_interval_ms;
		uint64_t admin_timeout_ms;
	} neo4j;
	struct {
		char *host;
		uint64_t port;
		char *path;
		bool use_tls;
		char *ca_file;
		char *cert_file;
		char *key_file;
		char *tls_verify;
		char *user;
		char *password;
		char *password_file;
		uint64_t database;
		char *key_prefix;
		uint64_t connect_timeout_ms;
		uint64_t admin_timeout_ms;
		uint64_t connections;
		uint64_t max_batch;
		uint64_t max_batch_bytes;
		uint64_t staging_ttl_ms;
		uint64_t fence_ttl_ms;
	} redis;
	struct {
		bool is_enabled;
		char *stores; /* names, with commas between them */
		struct config_services services;
		struct config_ids uids;
		struct config_ids gids;
		char *postgresql_user;
		char *postgresql_password;
		char *postgresql_password_file;
		uint64_t connections;
		uint64_t max_open;
		uint64_t max_memory_bytes;
		uint64_t max_steps;
		uint64_t max_depth;
		uint64_t max_bytes;
		uint64_t max_result_bytes;
		uint64_t deadline_ms;
		uint64_t max_deadline_ms;
		uint64_t step_timeout_ms;
		uint64_t max_step_timeout_ms;
		uint64_t max_tries;
		uint64_t retry_base_ms;
		uint64_t retry_cap_ms;
		uint64_t undo_base_ms;
		uint64_t undo_cap_ms;
		uint64_t park_after_ms;
		uint64_t parked_retry_ms;
		uint64_t barrier_ttl_ms;
	} sagas;
	struct {
		uint64_t dims; /* 0: not known here; init must be told, embeddings of any size are taken */
		char *distance;
		uint64_t hnsw_m;
		uint64_t hnsw_ef_construct;
		bool on_disk;
		bool quantize_int8;
		bool ann_index;
	} schema;
	struct config_origin origins[CONFIG_KEYS_MAX]; /* by index of config_keys */
};

/* What a configuration is read from. All borrowed for the call. */
struct config_sources {
	const char *file;           /* NULL: CONFIG_DEFAULT_FILE, which may be missing */
	bool use_environment;       /* read the variables that the table names */
	const char *const *options; /* "section.key=value" each */
	size_t n_options;
};

/* Reads everything there is and checks it, first each value, then how they fit together. 0: out_config is the caller's,
 * to be ended with config_fini(). -EINVAL: out_faults has a line for each fault ("FILE:LINE: what, what to do"), and
 * out_config is empty. -ENOMEM likewise. */
int config_load(const struct config_sources *sources, struct config *out_config, struct buf *out_faults) WARN_UNUSED;

/* What a reload found to be different, by index of config_keys. */
struct config_changes {
	size_t applied[CONFIG_KEYS_MAX]; /* in force now */
	uint32_t n_applied;
	size_t pending[CONFIG_KEYS_MAX]; /* they need a restart; `config` keeps the old value */
	uint32_t n_pending;
};

/* Reads the sources again and replaces in `config` what can change while the daemon runs. Errors as config_load(), with
 * `config` unchanged. Of the texts only those of `applied` keys move. Blocks for as long as reading a few small files
 * takes. */
int config_reload(struct config *config, const struct config_sources *sources, struct config_changes *out_changes,
		  struct buf *out_faults) WARN_UNUSED;

/* Appends where a value came from: "FILE:LINE", "environment NAME", "command line" or "default". */
void config_place(const struct config_origin *origin, struct buf *out);

/* Frees what the configuration owns; secrets are wiped first. Takes NULL and zeroes. */
void config_fini(struct config *config);

/* Writes the commented configuration file that conf/sagad.conf is. */
void config_print_template(FILE *out);

/* Writes each key with its effective value and origin; secrets as "***". */
void config_print_effective(const struct config *config, FILE *out);

#endif
