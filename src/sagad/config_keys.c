#include "config_keys.h"

#include "proto/nearest.h"

#include <sys/un.h>

#define AT(field) offsetof(struct config, field)

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SEC ((uint64_t)1000)
#define MIN (60 * SEC)
#define DAY (24 * 60 * MIN)

#define PATH_BYTES     4095
#define SOCKET_BYTES   (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define NAME_BYTES     63 /* PostgreSQL's identifiers, and no other store allows fewer */
#define HOST_BYTES     253
#define PASSWORD_BYTES 1024

const struct config_section config_sections[] = {
	{"daemon", "The daemon itself: where it listens, who may connect, where its journal is."},
	{"log", "What is logged, and in which form. Document text, embeddings and secrets never are."},
	{"operations", "What operators see: metrics for Prometheus, health checks and a status page, over HTTP, for "
		       "reading only."},
	{"limits", "What a client may send, and how much work the daemon takes at once. What goes beyond is refused by "
		   "the limit's name, never dropped."},
	{"timeouts", "How long things may take."},
	{"retry", "How a store's transient failures are tried again: after a random wait between nothing and base, "
		  "doubled with each failure, at most cap."},
	{"postgresql", "The source of truth. Without it nothing is written anywhere."},
	{"qdrant", "Where the embeddings go, through the REST interface."},
	{"neo4j", "Where entities and relationships go, through the HTTP transaction endpoint."},
	{"redis", "Where whole documents are cached."},
	{"sagas",
	 "Sagas that clients write themselves (saga.run): steps on the stores and on HTTP services. They let a "
	 "client send its own statements, so they are off until this section allows them."},
	{"schema", "What `sagactl init` creates, unless its options say otherwise."},
};
const size_t config_n_sections = ARRAY_LEN(config_sections);

const struct config_key config_keys[] = {
	/* ---- daemon ---- */
	{"daemon", "jobs_socket", CONFIG_TEXT, AT(daemon.jobs_socket), .fallback = "/run/sagad/jobs.sock", .min = 1,
	 .max = SOCKET_BYTES,
	 .help = "The Unix socket that takes jobs. Not used when systemd hands over a socket named `jobs`."},
	{"daemon", "jobs_mode", CONFIG_MODE, AT(daemon.jobs_mode), .fallback = "0660", .max = 0777,
	 .help = "The file mode of that socket: who may connect at all."},
	{"daemon", "jobs_group", CONFIG_GROUPS, AT(daemon.jobs_group), .fallback = "",
	 .help = "The group that owns that socket's file. Empty: the daemon's own."},
	{"daemon", "jobs_uids", CONFIG_USERS, AT(daemon.jobs_uids), .is_reloadable = true, .fallback = "",
	 .help = "Users that may send jobs, by name or number. Empty, with no groups either: everyone whom the file "
		 "mode lets in."},
	{"daemon", "jobs_gids", CONFIG_GROUPS, AT(daemon.jobs_gids), .is_reloadable = true, .fallback = "",
	 .help = "Groups whose members may send jobs (the group that the client runs as), by name or number."},
	{"daemon", "admin_socket", CONFIG_TEXT, AT(daemon.admin_socket), .fallback = "/run/sagad/admin.sock", .min = 1,
	 .max = SOCKET_BYTES,
	 .help = "The Unix socket for administration (`sagactl init`, `stores`, `stats`); it takes jobs, too."},
	{"daemon", "admin_mode", CONFIG_MODE, AT(daemon.admin_mode), .fallback = "0600", .max = 0777,
	 .help = "The file mode of that socket."},
	{"daemon", "admin_uids", CONFIG_USERS, AT(daemon.admin_uids), .is_reloadable = true, .fallback = "",
	 .help = "Users that may administrate besides root and the user that the daemon runs as."},
	{"daemon", "journal", CONFIG_TEXT, AT(daemon.journal), .fallback = "/var/lib/sagad/journal.sqlite", .min = 1,
	 .max = PATH_BYTES,
	 .help = "The journal, a SQLite file that the daemon makes (its folder must exist). It has to be on a disk "
		 "that keeps what fsync() was told to keep: not on tmpfs, not on a network file system."},
	{"daemon", "instance", CONFIG_TEXT, AT(daemon.instance), .fallback = "sagad", .min = 1, .max = 16,
	 .help = "The name of this daemon's connections in pg_stat_activity: lower-case letters, digits, _ and -."},
	{"daemon", "drain_timeout", CONFIG_DURATION, AT(daemon.drain_timeout_ms), .is_reloadable = true,
	 .fallback = "30s", .max = 60 * MIN,
	 .help = "How long a stop waits for the jobs that run. What is not done by then is finished or taken back by "
		 "the next start."},
	{"daemon", "core_dumps", CONFIG_BOOL, AT(daemon.core_dumps), .fallback = "false",
	 .help = "Let the kernel write a core dump when the daemon crashes. It holds passwords, keys and documents; "
		 "without it other processes of the daemon's user can't read its memory either."},

	/* ---- log ---- */
	{"log", "level", CONFIG_CHOICE, AT(log.level), .is_reloadable = true, .fallback = "info",
	 .choices = "debug|info|warn|error", .help = "Lines below this level are not written."},
	{"log", "format", CONFIG_CHOICE, AT(log.format), .is_reloadable = true, .fallback = "auto",
	 .choices = "auto|logfmt|json|journald",
	 .help = "logfmt and json: lines on standard error. journald: systemd's journal with fields of its own "
		 "(SAGA_ID, DOCUMENT_ID, STORE, CODE). auto: journald when standard error leads to the journal, else "
		 "logfmt."},
	{"log", "slow_saga", CONFIG_DURATION, AT(log.slow_saga_ms), .is_reloadable = true, .fallback = "2s", .max = DAY,
	 .help = "A saga that takes longer is logged with the time of each of its stages. 0: none is."},
	{"log", "successes", CONFIG_BOOL, AT(log.successes), .is_reloadable = true, .fallback = "false",
	 .help = "Log also each saga that ended well; otherwise they are there at level debug only."},
	{"log", "repeats", CONFIG_COUNT, AT(log.repeats), .is_reloadable = true, .fallback = "5", .max = 1000000,
	 .help = "Lines of the same kind, code and store that are written within 10 s; further ones are counted, and "
		 "one line tells how many they were. 0: all are written."},

	/* ---- operations ---- */
	{"operations", "listen", CONFIG_TEXT, AT(operations.listen), .fallback = "127.0.0.1:7242", .max = 64,
	 .help = "Where the status page, /metrics, /healthz and /readyz are served: a numeric address and a port. "
		 "Empty: "
		 "nowhere. There is no password: an address that others can reach shows them metrics, document ids and "
		 "reasons of failures."},
	{"operations", "check_interval", CONFIG_DURATION, AT(operations.check_interval_ms), .is_reloadable = true,
	 .fallback = "5s", .max = 60 * MIN,
	 .help = "How often each store is asked whether it is there, so that an outage shows before a job meets it. 0: "
		 "never."},

	/* ---- limits: the line and the clients ---- */
	{"limits", "max_line", CONFIG_BYTES, AT(limits.max_line_bytes), .is_reloadable = true, .fallback = "64MiB",
	 .min = 4 * KIB, .max = GIB,
	 .help = "One request. A longer line is skipped and refused, the connection goes on."},
	{"limits", "max_clients", CONFIG_COUNT, AT(limits.max_clients), .is_reloadable = true, .fallback = "256",
	 .min = 1, .max = 100000, .help = "Connections to the job socket. The administration socket takes 16 more."},
	{"limits", "max_buffered", CONFIG_BYTES, AT(limits.max_buffered_bytes), .is_reloadable = true,
	 .fallback = "256MiB", .min = MIB, .max = 1024 * GIB,
	 .help = "Unfinished lines of all clients together; above it the line that grows is skipped and refused as "
		 "`overloaded`. At least max_line."},
	{"limits", "max_client_jobs", CONFIG_COUNT, AT(limits.max_client_jobs), .is_reloadable = true,
	 .fallback = "1024", .min = 1, .max = 1000000,
	 .help = "Requests of one connection without an answer yet; at the limit the daemon stops reading from it."},
	{"limits", "max_client_bytes", CONFIG_BYTES, AT(limits.max_client_bytes), .is_reloadable = true,
	 .fallback = "4MiB", .min = 64 * KIB, .max = GIB,
	 .help = "Answers that one connection has not read yet; at the limit the daemon stops reading."},

	/* ---- limits: work at once ---- */
	{"limits", "max_sagas", CONFIG_COUNT, AT(limits.max_sagas), .is_reloadable = true, .fallback = "10000",
	 .min = 1, .max = 1000000,
	 .help = "Sagas at once, those that wait for their document included; beyond it jobs are refused as "
		 "`overloaded`."},
	{"limits", "max_bytes", CONFIG_BYTES, AT(limits.max_bytes), .is_reloadable = true, .fallback = "256MiB",
	 .min = MIB, .max = 1024 * GIB,
	 .help = "Memory for the documents of those sagas. At least max_line, so that every document has room."},
	{"limits", "max_waiting", CONFIG_COUNT, AT(limits.max_waiting), .is_reloadable = true, .fallback = "100",
	 .min = 1, .max = 100000, .help = "Jobs that may wait for one document at a time."},
	{"limits", "max_errands", CONFIG_COUNT, AT(limits.max_errands), .is_reloadable = true, .fallback = "100000",
	 .min = 64, .max = 10000000,
	 .help = "Background work in memory: removals, publications, debts of a store that is down."},

	/* ---- limits: one document ---- */
	{"limits", "max_content", CONFIG_BYTES, AT(limits.max_content_bytes), .is_reloadable = true,
	 .fallback = "16MiB", .min = 1, .max = 512 * MIB,
	 .help = "The content of a document, and the text of each chunk."},
	{"limits", "max_chunks", CONFIG_COUNT, AT(limits.max_chunks), .is_reloadable = true, .fallback = "10000",
	 .min = 1, .max = 1000000, .help = "Chunks of one document."},
	{"limits", "max_dims", CONFIG_COUNT, AT(limits.max_dims), .is_reloadable = true, .fallback = "16000", .min = 1,
	 .max = 16000, .help = "Components of one embedding. pgvector stores up to 16000."},
	{"limits", "max_entities", CONFIG_COUNT, AT(limits.max_entities), .is_reloadable = true, .fallback = "5000",
	 .min = 1, .max = 1000000, .help = "Entities of one document."},
	{"limits", "max_relationships", CONFIG_COUNT, AT(limits.max_relationships), .is_reloadable = true,
	 .fallback = "20000", .min = 1, .max = 1000000, .help = "Relationships of one document."},
	{"limits", "max_name", CONFIG_BYTES, AT(limits.max_name_bytes), .is_reloadable = true, .fallback = "8kB",
	 .min = 1, .max = 8000, .help = "The name of an entity. Neo4j's index takes 8164 bytes in all."},
	{"limits", "max_graph", CONFIG_BYTES, AT(limits.max_graph_bytes), .is_reloadable = true, .fallback = "1MB",
	 .min = KIB, .max = 64 * MIB,
	 .help = "All texts of a document's entities and relationships. Neo4j holds a request outside its bounded "
		 "memory pool: a few megabytes end a server with a small heap."},
	{"limits", "max_vector_json", CONFIG_BYTES, AT(limits.max_vector_json_bytes), .is_reloadable = true,
	 .fallback = "33MB", .min = KIB, .max = GIB,
	 .help = "What the chunks of one document may need as a request to Qdrant, in JSON."},
	{"limits", "max_metadata_depth", CONFIG_COUNT, AT(limits.max_metadata_depth), .is_reloadable = true,
	 .fallback = "32", .min = 1, .max = 1000, .help = "How deep metadata and properties may be nested."},
	{"limits", "max_metadata", CONFIG_BYTES, AT(limits.max_metadata_bytes), .is_reloadable = true,
	 .fallback = "1MiB", .min = 2, .max = 64 * MIB, .help = "Each metadata or properties object, as JSON."},

	/* ---- timeouts ---- */
	{"timeouts", "deadline", CONFIG_DURATION, AT(timeouts.deadline_ms), .is_reloadable = true, .fallback = "30s",
	 .min = 10, .max = DAY,
	 .help = "The time a job has when it names no `deadline_ms`. Past it everything is taken back."},
	{"timeouts", "max_deadline", CONFIG_DURATION, AT(timeouts.max_deadline_ms), .is_reloadable = true,
	 .fallback = "1h", .min = 10, .max = DAY, .help = "A job that asks for more gets this."},
	{"timeouts", "store", CONFIG_DURATION, AT(timeouts.store_ms), .is_reloadable = true, .fallback = "10s",
	 .min = 10, .max = 60 * MIN,
	 .help = "One request to Qdrant, Neo4j or Redis. After it nobody knows whether the request was executed, and "
		 "it is sent again."},
	{"timeouts", "postgresql", CONFIG_DURATION, AT(timeouts.postgresql_ms), .is_reloadable = true,
	 .fallback = "10s", .min = 10, .max = 60 * MIN,
	 .help = "One request to PostgreSQL; the connection is dropped after it."},
	{"timeouts", "client_write", CONFIG_DURATION, AT(timeouts.client_idle_write_ms), .is_reloadable = true,
	 .fallback = "1min", .min = SEC, .max = 60 * MIN,
	 .help = "A client that reads none of its answers for so long is disconnected."},
	{"timeouts", "late_write_window", CONFIG_DURATION, AT(timeouts.late_write_window_ms), .is_reloadable = true,
	 .fallback = "1min", .min = 10, .max = DAY,
	 .help = "An aborted saga is removed at once, and once more after this time, for a write that was still on "
		 "its way. At least the longest timeout."},
	{"timeouts", "park_after", CONFIG_DURATION, AT(timeouts.park_after_ms), .is_reloadable = true,
	 .fallback = "15min", .min = SEC, .max = 30 * DAY,
	 .help = "Background work that fails for so long is parked: listed, counted, and tried rarely."},
	{"timeouts", "parked_retry", CONFIG_DURATION, AT(timeouts.parked_retry_ms), .is_reloadable = true,
	 .fallback = "10min", .min = SEC, .max = DAY, .help = "How rarely."},
	{"timeouts", "keep_outcomes", CONFIG_DURATION, AT(timeouts.keep_outcomes_ms), .is_reloadable = true,
	 .fallback = "1d", .min = 60 * SEC, .max = 3650 * DAY,
	 .help = "How long an idempotency key and the outcome of an accepted job are remembered. After that a key is "
		 "new again."},
	{"timeouts", "cache_ttl", CONFIG_DURATION, AT(timeouts.cache_ttl_ms), .is_reloadable = true, .fallback = "1h",
	 .min = SEC, .max = 365 * DAY, .help = "The life of a document in Redis when the job names no `cache_ttl_s`."},

	/* ---- retry ---- */
	{"retry", "max_tries", CONFIG_COUNT, AT(retry.max_tries), .is_reloadable = true, .fallback = "6", .min = 1,
	 .max = 1000,
	 .help = "Tries of one operation at one store before the saga gives up and takes everything back."},
	{"retry", "base", CONFIG_DURATION, AT(retry.base_ms), .is_reloadable = true, .fallback = "100ms", .min = 1,
	 .max = 60 * MIN, .help = "The first wait within a saga."},
	{"retry", "cap", CONFIG_DURATION, AT(retry.cap_ms), .is_reloadable = true, .fallback = "2s", .min = 1,
	 .max = 60 * MIN, .help = "The longest wait within a saga."},
	{"retry", "background_base", CONFIG_DURATION, AT(retry.background_base_ms), .is_reloadable = true,
	 .fallback = "200ms", .min = 1, .max = 60 * MIN, .help = "The first wait of background work."},
	{"retry", "background_cap", CONFIG_DURATION, AT(retry.background_cap_ms), .is_reloadable = true,
	 .fallback = "30s", .min = 1, .max = 60 * MIN, .help = "The longest wait of background work."},

	/* ---- postgresql ---- */
	{"postgresql", "host", CONFIG_TEXT, AT(postgresql.host), .fallback = "localhost", .min = 1, .max = HOST_BYTES,
	 .env = "POSTGRES_HOST", .help = "A name, an address, or the folder of its Unix socket."},
	{"postgresql", "port", CONFIG_COUNT, AT(postgresql.port), .fallback = "5432", .min = 1, .max = 65535,
	 .env = "POSTGRES_PORT", .help = "Its port."},
	{"postgresql", "user", CONFIG_TEXT, AT(postgresql.user), .fallback = "sagad", .min = 1, .max = NAME_BYTES,
	 .env = "POSTGRES_USER",
	 .help = "The role. It needs to own its tables, and to see and end its own backends (as every role may)."},
	{"postgresql", "password", CONFIG_SECRET, AT(postgresql.password), .is_reloadable = true, .fallback = "",
	 .max = PASSWORD_BYTES, .env = "POSTGRES_PASSWORD",
	 .help = "The role's password; password_file is the better place."},
	{"postgresql", "password_file", CONFIG_SECRET_FILE, AT(postgresql.password_file), AT(postgresql.password),
	 .is_reloadable = true, .fallback = "", .max = PATH_BYTES,
	 .help = "A file with the password. A relative name is a systemd credential."},
	{"postgresql", "database", CONFIG_TEXT, AT(postgresql.database), .fallback = "sagad", .min = 1,
	 .max = NAME_BYTES, .env = "POSTGRES_DB", .help = "The database."},
	{"postgresql", "sslmode", CONFIG_CHOICE, AT(postgresql.sslmode), .fallback = "prefer",
	 .choices = "disable|allow|prefer|require|verify-ca|verify-full",
	 .help = "libpq's sslmode. Over a network only `verify-full` proves who answers."},
	{"postgresql", "sslrootcert", CONFIG_TEXT, AT(postgresql.sslrootcert), .fallback = "", .max = PATH_BYTES,
	 .help = "The certificates to trust; needed by verify-ca and verify-full."},
	{"postgresql", "sslcert", CONFIG_TEXT, AT(postgresql.sslcert), .fallback = "", .max = PATH_BYTES,
	 .help = "The daemon's own certificate, when the server wants one."},
	{"postgresql", "sslkey", CONFIG_TEXT, AT(postgresql.sslkey), .fallback = "", .max = PATH_BYTES,
	 .help = "The key of that certificate."},
	{"postgresql", "sslcrl", CONFIG_TEXT, AT(postgresql.sslcrl), .fallback = "", .max = PATH_BYTES,
	 .help = "Certificates of servers that were revoked."},
	{"postgresql", "search_path", CONFIG_TEXT, AT(postgresql.search_path), .fallback = "", .max = 255,
	 .help = "The schema that holds the tables. Empty: what the server sets for this role."},
	{"postgresql", "connect_timeout", CONFIG_DURATION, AT(postgresql.connect_timeout_ms), .fallback = "5s",
	 .min = 10, .max = 10 * MIN, .help = "How long a connection may take to come up."},
	{"postgresql", "connections", CONFIG_COUNT, AT(postgresql.connections), .fallback = "4", .min = 1, .max = 64,
	 .help = "Connections for transactions that write."},
	{"postgresql", "read_connections", CONFIG_COUNT, AT(postgresql.read_connections), .fallback = "2", .min = 1,
	 .max = 64, .help = "Connections for everything else."},
	{"postgresql", "max_batch", CONFIG_COUNT, AT(postgresql.max_batch), .fallback = "128", .min = 1, .max = 1000,
	 .help = "Sagas in one transaction at most. Nothing waits for a batch to fill."},
	{"postgresql", "max_batch_bytes", CONFIG_BYTES, AT(postgresql.max_batch_bytes), .fallback = "16MiB",
	 .min = 64 * KIB, .max = 512 * MIB, .help = "Bytes in one transaction; a larger document goes alone."},

	/* ---- qdrant ---- */
	{"qdrant", "host", CONFIG_TEXT, AT(qdrant.host), .fallback = "localhost", .min = 1, .max = HOST_BYTES,
	 .env = "QDRANT_HOST", .help = "A name or an address."},
	{"qdrant", "port", CONFIG_COUNT, AT(qdrant.port), .fallback = "6333", .min = 1, .max = 65535,
	 .env = "QDRANT_PORT", .help = "The port of the REST interface."},
	{"qdrant", "tls", CONFIG_BOOL, AT(qdrant.use_tls), .fallback = "false",
	 .help = "Speak HTTPS. An API key that crosses a network needs it."},
	{"qdrant", "ca_file", CONFIG_TEXT, AT(qdrant.ca_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The certificates to trust. Empty: the system's."},
	{"qdrant", "cert_file", CONFIG_TEXT, AT(qdrant.cert_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The daemon's own certificate (PEM), when the server or a proxy before it wants one."},
	{"qdrant", "key_file", CONFIG_TEXT, AT(qdrant.key_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The key of that certificate. Empty: it stands in cert_file."},
	{"qdrant", "tls_verify", CONFIG_CHOICE, AT(qdrant.tls_verify), .fallback = "full", .choices = "full|ca|none",
	 .help = "What is checked of the server's certificate: who signed it and that it is for this host, only who "
		 "signed "
		 "it, or nothing. With none anybody on the way can read and change what is sent."},
	{"qdrant", "api_key", CONFIG_SECRET, AT(qdrant.api_key), .is_reloadable = true, .fallback = "",
	 .max = PASSWORD_BYTES, .env = "QDRANT_API_KEY",
	 .help = "The API key, when the server has one; api_key_file is the better place."},
	{"qdrant", "api_key_file", CONFIG_SECRET_FILE, AT(qdrant.api_key_file), AT(qdrant.api_key),
	 .is_reloadable = true, .fallback = "", .max = PATH_BYTES,
	 .help = "A file with the API key. A relative name is a systemd credential."},
	{"qdrant", "collection", CONFIG_TEXT, AT(qdrant.collection), .fallback = "documents", .min = 1, .max = 255,
	 .help = "The collection."},
	{"qdrant", "connect_timeout", CONFIG_DURATION, AT(qdrant.connect_timeout_ms), .fallback = "5s", .min = 10,
	 .max = 10 * MIN, .help = "How long a connection may take to come up."},
	{"qdrant", "admin_timeout", CONFIG_DURATION, AT(qdrant.admin_timeout_ms), .fallback = "30s", .min = 10,
	 .max = 60 * MIN, .help = "One request that creates or checks the schema."},
	{"qdrant", "connections", CONFIG_COUNT, AT(qdrant.connections), .fallback = "4", .min = 1, .max = 64,
	 .help = "Requests at a time, each on a connection of its own."},
	{"qdrant", "max_batch", CONFIG_COUNT, AT(qdrant.max_batch), .fallback = "64", .min = 1, .max = 4096,
	 .help = "Documents in one request at most."},
	{"qdrant", "max_batch_bytes", CONFIG_BYTES, AT(qdrant.max_batch_bytes), .fallback = "8MiB", .min = 64 * KIB,
	 .max = 30 * MIB, .help = "Bytes of documents in one request."},

	{"qdrant", "max_points", CONFIG_COUNT, AT(qdrant.max_points), .fallback = "2048", .min = 1, .max = 1000000,
	 .help = "Points in one HTTP request; what has more goes out as several."},
	{"qdrant", "max_body", CONFIG_BYTES, AT(qdrant.max_body_bytes), .fallback = "30MiB", .min = MIB,
	 .max = 32 * MIB - 64 * KIB,
	 .help = "Bytes in one HTTP request; what is larger goes out as several. Qdrant refuses 32 MiB and more."},

	/* ---- neo4j ---- */
	{"neo4j", "url", CONFIG_TEXT, AT(neo4j.url), .fallback = "http://localhost:7474", .min = 1, .max = 512,
	 .env = "NEO4J_URL", .help = "The HTTP interface, as http://HOST:PORT or https://HOST:PORT (not bolt://)."},
	{"neo4j", "ca_file", CONFIG_TEXT, AT(neo4j.ca_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The certificates to trust with https. Empty: the system's."},
	{"neo4j", "cert_file", CONFIG_TEXT, AT(neo4j.cert_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The daemon's own certificate (PEM), when the server or a proxy before it wants one."},
	{"neo4j", "key_file", CONFIG_TEXT, AT(neo4j.key_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The key of that certificate. Empty: it stands in cert_file."},
	{"neo4j", "tls_verify", CONFIG_CHOICE, AT(neo4j.tls_verify), .fallback = "full", .choices = "full|ca|none",
	 .help = "What is checked of the server's certificate: who signed it and that it is for this host, only who "
		 "signed "
		 "it, or nothing. With none anybody on the way can read and change what is sent."},
	{"neo4j", "user", CONFIG_TEXT, AT(neo4j.user), .fallback = "neo4j", .max = 255, .env = "NEO4J_USER",
	 .help = "The user. Empty: the server asks for none."},
	{"neo4j", "password", CONFIG_SECRET, AT(neo4j.password), .is_reloadable = true, .fallback = "",
	 .max = PASSWORD_BYTES, .env = "NEO4J_PASSWORD",
	 .help = "The user's password; password_file is the better place."},
	{"neo4j", "password_file", CONFIG_SECRET_FILE, AT(neo4j.password_file), AT(neo4j.password),
	 .is_reloadable = true, .fallback = "", .max = PATH_BYTES,
	 .help = "A file with the password. A relative name is a systemd credential."},
	{"neo4j", "database", CONFIG_TEXT, AT(neo4j.database), .fallback = "neo4j", .min = 1, .max = NAME_BYTES,
	 .help = "The database. The Community edition has one, `neo4j`."},
	{"neo4j", "connect_timeout", CONFIG_DURATION, AT(neo4j.connect_timeout_ms), .fallback = "5s", .min = 10,
	 .max = 10 * MIN, .help = "How long a connection may take to come up."},
	{"neo4j", "connections", CONFIG_COUNT, AT(neo4j.connections), .fallback = "2", .min = 1, .max = 64,
	 .help = "Transactions at a time. More than two writers mostly make more deadlocks."},
	{"neo4j", "max_batch", CONFIG_COUNT, AT(neo4j.max_batch), .fallback = "100", .min = 1, .max = 4096,
	 .help = "Documents in one transaction at most."},
	{"neo4j", "max_batch_bytes", CONFIG_BYTES, AT(neo4j.max_batch_bytes), .fallback = "1MiB", .min = 64 * KIB,
	 .max = 16 * MIB,
	 .help = "Bytes in one request. A server with a heap of 512 MB dies of a request of 36 MB, one of 128 MB of "
		 "one of 4 MB."},
	{"neo4j", "tombstones", CONFIG_DURATION, AT(neo4j.tombstone_ms), .fallback = "1d", .min = MIN, .max = 365 * DAY,
	 .help = "How long the name of a removed saga is kept, so that a late write of it finds it and does nothing."},
	{"neo4j", "collect_interval", CONFIG_DURATION, AT(neo4j.collect_interval_ms), .fallback = "1s", .min = 100,
	 .max = DAY, .help = "How long after a removal entities that no document mentions any more are looked for."},
	{"neo4j", "admin_timeout", CONFIG_DURATION, AT(neo4j.admin_timeout_ms), .fallback = "90s", .min = 10,
	 .max = 60 * MIN, .help = "One request that creates or checks the schema, or collects entities."},

	/* ---- redis ---- */
	{"redis", "host", CONFIG_TEXT, AT(redis.host), .fallback = "localhost", .min = 1, .max = HOST_BYTES,
	 .help = "A name or an address. REDIS_URL (redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], or unix://PATH) "
		 "sets this and the next five together."},
	{"redis", "port", CONFIG_COUNT, AT(redis.port), .fallback = "6379", .min = 1, .max = 65535,
	 .help = "Its port."},
	{"redis", "path", CONFIG_TEXT, AT(redis.path), .fallback = "", .max = SOCKET_BYTES,
	 .help = "Its Unix socket, instead of host and port."},
	{"redis", "tls", CONFIG_BOOL, AT(redis.use_tls), .fallback = "false",
	 .help = "Speak TLS; rediss:// in REDIS_URL asks for it, too. `sagad --version` says whether this build can."},
	{"redis", "ca_file", CONFIG_TEXT, AT(redis.ca_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The certificates to trust. Empty: the system's."},
	{"redis", "cert_file", CONFIG_TEXT, AT(redis.cert_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The daemon's own certificate (PEM), when the server wants one (its tls-auth-clients)."},
	{"redis", "key_file", CONFIG_TEXT, AT(redis.key_file), .fallback = "", .max = PATH_BYTES,
	 .help = "The key of that certificate. Empty: it stands in cert_file."},
	{"redis", "tls_verify", CONFIG_CHOICE, AT(redis.tls_verify), .fallback = "full", .choices = "full|ca|none",
	 .help = "What is checked of the server's certificate: who signed it and that it is for this host, only who "
		 "signed it, or nothing. With none anybody on the way can read and change what is sent."},
	{"redis", "user", CONFIG_TEXT, AT(redis.user), .fallback = "", .max = 255,
	 .help = "The user of an ACL. Empty: Redis' default user."},
	{"redis", "password", CONFIG_SECRET, AT(redis.password), .is_reloadable = true, .fallback = "",
	 .max = PASSWORD_BYTES, .help = "The password; password_file is the better place."},
	{"redis", "database", CONFIG_COUNT, AT(redis.database), .fallback = "0", .max = 65535,
	 .help = "The number of the database."},
	{"redis", "password_file", CONFIG_SECRET_FILE, AT(redis.password_file), AT(redis.password),
	 .is_reloadable = true, .fallback = "", .max = PATH_BYTES,
	 .help = "A file with the password. A relative name is a systemd credential."},
	{"redis", "key_prefix", CONFIG_TEXT, AT(redis.key_prefix), .fallback = "sagad", .min = 1, .max = 64,
	 .help = "Every key begins with it and a colon."},
	{"redis", "connect_timeout", CONFIG_DURATION, AT(redis.connect_timeout_ms), .fallback = "5s", .min = 10,
	 .max = 10 * MIN, .help = "How long a connection may take to come up."},
	{"redis", "admin_timeout", CONFIG_DURATION, AT(redis.admin_timeout_ms), .fallback = "5s", .min = 10,
	 .max = 10 * MIN, .help = "One look at the server."},
	{"redis", "connections", CONFIG_COUNT, AT(redis.connections), .fallback = "2", .min = 1, .max = 64,
	 .help = "Connections, each with one pipeline at a time."},
	{"redis", "max_batch", CONFIG_COUNT, AT(redis.max_batch), .fallback = "256", .min = 1, .max = 4096,
	 .help = "Commands in one pipeline at most."},
	{"redis", "max_batch_bytes", CONFIG_BYTES, AT(redis.max_batch_bytes), .fallback = "8MiB", .min = 64 * KIB,
	 .max = 512 * MIB, .help = "Bytes in one pipeline."},
	{"redis", "staging_ttl", CONFIG_DURATION, AT(redis.staging_ttl_ms), .fallback = "2h", .min = MIN, .max = DAY,
	 .help = "How long a value that was not published stays in its staging key."},
	{"redis", "fence_ttl", CONFIG_DURATION, AT(redis.fence_ttl_ms), .fallback = "1d", .min = MIN, .max = 365 * DAY,
	 .help = "How long the name of a removed saga is kept, so that a late write of it finds it and does nothing."},

	/* ---- sagas ---- */
	{"sagas", "enabled", CONFIG_BOOL, AT(sagas.is_enabled), .is_reloadable = true, .fallback = "false",
	 .help = "Take saga.run at all. Sagas that have begun go on, whatever this says."},
	{"sagas", "stores", CONFIG_WORDS, AT(sagas.stores), .fallback = "",
	 .choices = "postgresql|redis|neo4j|qdrant|documents",
	 .help = "Where steps may run: the stores by name, and `documents` for document.put and document.delete as "
		 "steps. Empty: on services only."},
	{"sagas", "services", CONFIG_SERVICES, AT(sagas.services), .fallback = "",
	 .help = "HTTP services that steps may use, as groups: { name = \"payments\"; url = "
		 "\"http://127.0.0.1:8080\"; }. A group may have ca_file, cert_file, key_file and tls_verify (full, "
		 "ca, "
		 "none) for https, secret_file (a file with a token that goes along as `Authorization: Bearer`, or as "
		 "it "
		 "is in the header that secret_header names), connections (requests at a time, 32), "
		 "connect_timeout_ms (3000), idle_ms (2000: for how long an unused connection is kept; less than the "
		 "service keeps it), and uids (only these users may use it; otherwise all who may run sagas). No value "
		 "may hold a blank or a semicolon."},
	{"sagas", "uids", CONFIG_USERS, AT(sagas.uids), .is_reloadable = true, .fallback = "",
	 .help = "Users that may run sagas, by name or number, besides root and the user that the daemon runs as. They "
		 "need daemon.jobs_uids, too, where that is set."},
	{"sagas", "gids", CONFIG_GROUPS, AT(sagas.gids), .is_reloadable = true, .fallback = "",
	 .help = "Groups whose members may run sagas."},
	{"sagas", "postgresql_user", CONFIG_TEXT, AT(sagas.postgresql_user), .fallback = "", .max = NAME_BYTES,
	 .help = "The role that steps on PostgreSQL run as: one that may do what clients may do, and read and write "
		 "the table sagad_barriers. Empty: postgresql.user, who owns the documents' tables."},
	{"sagas", "postgresql_password", CONFIG_SECRET, AT(sagas.postgresql_password), .fallback = "",
	 .max = PASSWORD_BYTES, .help = "That role's password; postgresql_password_file is the better place."},
	{"sagas", "postgresql_password_file", CONFIG_SECRET_FILE, AT(sagas.postgresql_password_file),
	 AT(sagas.postgresql_password), .fallback = "", .max = PATH_BYTES,
	 .help = "A file with the password. A relative name is a systemd credential."},
	{"sagas", "connections", CONFIG_COUNT, AT(sagas.connections), .fallback = "4", .min = 1, .max = 64,
	 .help = "Connections of steps to each of the stores, beside those for documents."},
	{"sagas", "max_open", CONFIG_COUNT, AT(sagas.max_open), .fallback = "100000", .min = 1, .max = 10000000,
	 .help = "Sagas that have not ended; beyond it saga.run is refused as `overloaded`."},
	{"sagas", "max_memory", CONFIG_BYTES, AT(sagas.max_memory_bytes), .fallback = "256MiB", .min = MIB,
	 .max = 1024 * GIB, .help = "Memory for their texts and results."},
	{"sagas", "max_steps", CONFIG_COUNT, AT(sagas.max_steps), .is_reloadable = true, .fallback = "64", .min = 1,
	 .max = 64, .help = "Steps of one saga."},
	{"sagas", "max_depth", CONFIG_COUNT, AT(sagas.max_depth), .is_reloadable = true, .fallback = "64", .min = 1,
	 .max = 64, .help = "Steps of one saga that follow one another."},
	{"sagas", "max_bytes", CONFIG_BYTES, AT(sagas.max_bytes), .is_reloadable = true, .fallback = "1MiB", .min = 256,
	 .max = 64 * MIB, .help = "The parameters of one saga.run."},
	{"sagas", "max_result", CONFIG_BYTES, AT(sagas.max_result_bytes), .fallback = "64KiB", .min = 64,
	 .max = 512 * KIB,
	 .help = "The result of one step, as JSON; a longer one becomes null. It is kept in the journal."},
	{"sagas", "deadline", CONFIG_DURATION, AT(sagas.deadline_ms), .fallback = "1min", .max = DAY,
	 .help = "The time that a saga has which names no `deadline_ms`; past it, it is compensated. 0: no end."},
	{"sagas", "max_deadline", CONFIG_DURATION, AT(sagas.max_deadline_ms), .is_reloadable = true, .fallback = "1d",
	 .min = 10, .max = 30 * DAY, .help = "More than this can't be asked for."},
	{"sagas", "step_timeout", CONFIG_DURATION, AT(sagas.step_timeout_ms), .fallback = "10s", .min = 10,
	 .max = 60 * MIN, .help = "One try of a step that names no `timeout_ms`. After it the try is in doubt."},
	{"sagas", "max_step_timeout", CONFIG_DURATION, AT(sagas.max_step_timeout_ms), .is_reloadable = true,
	 .fallback = "10min", .min = 10, .max = 60 * MIN, .help = "More than this can't be asked for."},
	{"sagas", "max_tries", CONFIG_COUNT, AT(sagas.max_tries), .fallback = "6", .min = 1, .max = 1000,
	 .help = "Tries of a step that names no `retry.max`, before the saga is compensated."},
	{"sagas", "retry_base", CONFIG_DURATION, AT(sagas.retry_base_ms), .fallback = "100ms", .min = 1,
	 .max = 60 * MIN, .help = "The first wait between two tries of a step."},
	{"sagas", "retry_cap", CONFIG_DURATION, AT(sagas.retry_cap_ms), .fallback = "5s", .min = 1, .max = 60 * MIN,
	 .help = "The longest wait between two tries of a step."},
	{"sagas", "undo_base", CONFIG_DURATION, AT(sagas.undo_base_ms), .fallback = "200ms", .min = 1, .max = 60 * MIN,
	 .help = "The first wait between two tries of an undo, or of a step after the pivot."},
	{"sagas", "undo_cap", CONFIG_DURATION, AT(sagas.undo_cap_ms), .fallback = "30s", .min = 1, .max = 60 * MIN,
	 .help = "The longest wait between two such tries."},
	{"sagas", "park_after", CONFIG_DURATION, AT(sagas.park_after_ms), .fallback = "15min", .min = 10,
	 .max = 30 * DAY,
	 .help = "An undo, or a step after the pivot, that fails for so long is parked: listed, counted, and tried "
		 "rarely."},
	{"sagas", "parked_retry", CONFIG_DURATION, AT(sagas.parked_retry_ms), .fallback = "10min", .min = 10,
	 .max = DAY, .help = "How rarely."},
	{"sagas", "barrier_ttl", CONFIG_DURATION, AT(sagas.barrier_ttl_ms), .fallback = "7d", .min = MIN,
	 .max = 3650 * DAY,
	 .help = "How long Redis remembers that a step has run, from its last try; longer than a saga may take, the "
		 "time that it is parked included."},

	/* ---- schema ---- */
	{"schema", "dims", CONFIG_COUNT, AT(schema.dims), .fallback = "0", .max = 16000,
	 .help = "Components of every embedding, as the model makes them. 0: not fixed here; `sagactl init --dims` "
		 "must say it, and only PostgreSQL and Qdrant refuse others. Better set: a document that doesn't fit "
		 "is "
		 "then refused before anything is written."},
	{"schema", "distance", CONFIG_CHOICE, AT(schema.distance), .fallback = "cosine",
	 .choices = "cosine|dot|euclid|manhattan",
	 .help = "How embeddings are compared. Under cosine a vector of nothing but zeroes is refused."},
	{"schema", "hnsw_m", CONFIG_COUNT, AT(schema.hnsw_m), .fallback = "0", .max = 100,
	 .help = "Edges of each node of the HNSW graph. 0: the stores' own default."},
	{"schema", "hnsw_ef_construct", CONFIG_COUNT, AT(schema.hnsw_ef_construct), .fallback = "0", .max = 1000,
	 .help = "Candidates while that graph is built. 0: the stores' own default."},
	{"schema", "on_disk", CONFIG_BOOL, AT(schema.on_disk), .fallback = "false",
	 .help = "Qdrant keeps the vectors on disk instead of in memory."},
	{"schema", "quantize_int8", CONFIG_BOOL, AT(schema.quantize_int8), .fallback = "false",
	 .help = "Qdrant keeps a quantized copy, one byte a component."},
	{"schema", "ann_index", CONFIG_BOOL, AT(schema.ann_index), .fallback = "false",
	 .help = "Build an HNSW index in PostgreSQL, too. It slows every insert down by far: build it after the load."},
};
const size_t config_n_keys = ARRAY_LEN(config_keys);

_Static_assert(ARRAY_LEN(config_keys) <= CONFIG_KEYS_MAX, "struct config has an origin for each key");

size_t config_key_find(struct str section, struct str name)
{
	for (size_t i = 0; i < config_n_keys; i++)
		if (str_is_equal(section, str_of(config_keys[i].section)) &&
		    str_is_equal(name, str_of(config_keys[i].name)))
			return i;
	return config_n_keys;
}

bool config_section_is_known(struct str section)
{
	for (size_t i = 0; i < config_n_sections; i++)
		if (str_is_equal(section, str_of(config_sections[i].name)))
			return true;
	return false;
}

const char *config_key_nearest(struct str section, struct str name)
{
	const char *names[CONFIG_KEYS_MAX];
	uint32_t n = 0;

	if (section.len == 0)
		for (size_t i = 0; i < config_n_sections; i++)
			names[n++] = config_sections[i].name;
	else
		for (size_t i = 0; i < config_n_keys; i++)
			if (str_is_equal(section, str_of(config_keys[i].section)))
				names[n++] = config_keys[i].name;
	return nearest_name(name, names, n);
}

const char *config_key_elsewhere(struct str name)
{
	const char *section = NULL;

	for (size_t i = 0; i < config_n_keys; i++) {
		if (!str_is_equal(name, str_of(config_keys[i].name)))
			continue;
		if (section != NULL)
			return NULL;
		section = config_keys[i].section;
	}
	return section;
}
