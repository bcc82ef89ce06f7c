/* A line from a client, parsed and checked: JSON-RPC 2.0, one message a line, no batches.
 *
 * Everything that can be known without asking a store is checked here, for all stores, before any is written to. */
#ifndef SAGAD_PROTO_REQUEST_H
#define SAGAD_PROTO_REQUEST_H

#include "base/code.h"
#include "base/log.h"
#include "proto/document.h"
#include "proto/work.h"

#include <stdbool.h>
#include <stdint.h>

#define PROTOCOL_VERSION          1
#define REQUEST_ID_BYTES          128 /* of a client's `id` as JSON, with a NUL */
#define REQUEST_KEY_BYTES         256 /* idempotency key, without a NUL */
#define REQUEST_DOCUMENT_ID_BYTES 512

enum method {
	METHOD_HELLO,           /* "sagad.hello": protocol version, server version, limits */
	METHOD_DOCUMENT_PUT,    /* "document.put" */
	METHOD_DOCUMENT_DELETE, /* "document.delete" */
	METHOD_DOCUMENT_STATUS, /* "document.status": by `id`, or `job` */
	METHOD_STORE_LIST,      /* "store.list": administration socket, as all below but four of saga.* */
	METHOD_STORE_INIT,      /* "store.init" */
	METHOD_SAGA_RUN,        /* "saga.run": steps that the client wrote */
	METHOD_SAGA_CANCEL,     /* "saga.cancel": such a saga is compensated */
	METHOD_SAGA_LIST,       /* "saga.list": what is open, what has ended; on the job socket the client's own */
	METHOD_SAGA_GET,        /* "saga.get": all that is known of one id; likewise */
	METHOD_SAGA_RETRY,      /* "saga.retry": try now */
	METHOD_SAGA_RESOLVE,    /* "saga.resolve": parked work, or an accepted job, is given up */
	METHOD_STATS,           /* "sagad.stats": counts of sagas by state, of debts, memory */
	METHOD_CONFIG,          /* "sagad.config": every value in force, with its origin */
	METHOD_RELOAD,          /* "sagad.reload": reads the configuration again */
	METHOD_LOG_LEVEL,       /* "sagad.log_level": until the next reload or restart */
	METHOD_DRAIN,           /* "sagad.drain": what SIGTERM does */
	METHOD_COUNT
};

enum wait_for { WAIT_COMMITTED, WAIT_ACCEPTED };

struct put_options {
	struct str idempotency_key; /* absent: none. Points into the request's memory, as all texts here */
	bool has_if_version;        /* refuse unless the document's version is `if_version` */
	bool if_absent;             /* `"if_version": null`: refuse unless there is no such document */
	struct uuid if_version;
	bool write_unchanged; /* `"on_unchanged": "write"`; false: skip (the default) */
	uint64_t deadline_ms; /* 0: the daemon's default */
	enum wait_for wait;
	bool has_cache_ttl;
	uint32_t cache_ttl_s; /* 1..31536000 */
};

struct init_options {
	uint32_t dims; /* 0: the configuration's; so are the next that are 0 or empty */
	char distance[16];
	uint32_t hnsw_m;
	uint32_t hnsw_ef_construct;
	bool has_on_disk, on_disk;
	bool has_quantize_int8, quantize_int8;
	bool ann_index;
	bool check_only;
};

/* One allocation; texts of the union's members live in it, or in the document. */
struct request {
	enum method method;
	char id_json[REQUEST_ID_BYTES]; /* as it goes into the answer: a number, a string with its quotes, or "null" */
	bool is_notification;           /* no `id`: JSON-RPC sends no answer */
	struct document *document;      /* PUT: owned; NULL after request_take_document() */
	struct put_options options;     /* PUT, DELETE */
	struct str document_id;         /* DELETE, STATUS: absent when `job` was given */
	bool has_job;
	struct uuid job;          /* STATUS */
	struct init_options init; /* STORE_INIT */
	enum log_level log_level; /* LOG_LEVEL */
	struct work_filter work;  /* SAGA_LIST, SAGA_GET, SAGA_CANCEL */
	struct work_order order;  /* SAGA_RETRY, SAGA_RESOLVE */
	struct str params_json;   /* PUT, DELETE with WAIT_ACCEPTED: for the journal; SAGA_RUN; absent otherwise */
};

/* What is wrong with a line. */
struct request_fault {
	enum code code;
	char id_json[REQUEST_ID_BYTES]; /* "null" when the id could not be read */
	bool is_notification;
	char path[160];        /* JSON path, "chunks[3].embedding[17]"; empty: the whole */
	char document_id[128]; /* for the message and the log, cut; empty when unknown */
	struct err err;        /* what is wrong, with the limit's name and value, and what to do */
};

/* Parses one line without its newline. `line` is borrowed. 0 and a request, or -EINVAL (out_fault says why), or -ENOMEM
 * (out_fault too, CODE_INTERNAL). The daemon's socket decides which methods a peer may call, not this function. */
int request_parse(const char *line, size_t n_bytes, const struct document_limits *limits, struct request **out_request,
		  struct request_fault *out_fault) WARN_UNUSED;

/* Parses the journal's job_json of an accepted job again. */
int request_parse_job(struct str job_json, bool is_delete, const struct document_limits *limits,
		      struct request **out_request, struct request_fault *out_fault) WARN_UNUSED;

/* Gives up the document: the caller frees it. */
struct document *request_take_document(struct request *request);

/* Frees the request and a document that was not taken. Takes NULL. */
void request_destroy(struct request *request);

/* "document.put"; for messages and logs. */
const char *method_name(enum method method);

/* May only the administration socket call it? */
bool method_is_administrative(enum method method);

#endif
