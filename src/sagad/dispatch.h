/* From a client's line to a call of the engine, and from its end to an answer.
 *
 * The engine and the ports are borrowed and must outlive the dispatch's last call, not the dispatch. Loop's thread. */
#ifndef SAGAD_SAGAD_DISPATCH_H
#define SAGAD_SAGAD_DISPATCH_H

#include "base/list.h"
#include "engine/engine.h"
#include "engine/flows.h"
#include "net/server.h"
#include "sagad/config.h"
#include "sagad/ports.h"
#include "sagad/sink.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct dispatch;

/* One socket's side: the server's events lead back through it. */
struct dispatch_door {
	struct server_events events;
	struct dispatch *dispatch;
	bool is_admin; /* may call administrative methods */
};

/* What only the daemon itself can do. Embed it; container_of() leads back. */
struct dispatch_control {
	/* Reads the configuration again; errors as config_reload(), or -ESHUTDOWN: the daemon is stopping. */
	int (*reload)(struct dispatch_control *control, struct config_changes *out_changes, struct buf *out_faults);
	/* Begins to stop, as SIGTERM does; nothing when that has begun already. */
	void (*drain)(struct dispatch_control *control);
};

struct dispatch_counts {
	uint64_t n_requests; /* lines that were requests */
	uint64_t n_faults;   /* lines that were refused before the engine saw them */
	uint64_t n_faults_by_code[CODE_COUNT];
	uint64_t n_forbidden; /* administrative methods on the job socket */
	uint64_t n_skipped;   /* lines that were too long or for which there was no room */
};

/* Embedded in the daemon; fields are this folder's. */
struct dispatch {
	struct dispatch_door jobs;
	struct dispatch_door admin;
	uv_loop_t *loop;
	const struct config *config;
	struct engine *engine;
	struct ports *ports;
	struct sink *sink;
	struct dispatch_control *control;
	struct document_limits limits;  /* what a line may hold; dims follow store.init */
	struct list calls;              /* struct document_call, until the engine has ended them */
	struct list saga_calls;         /* struct saga_call */
	struct list flow_calls;         /* struct flow_call */
	struct flow_limits flow_limits; /* what saga.run may hold */
	struct list inquiries;          /* struct inquiry */
	uint32_t n_inquiries;
	bool is_init_out;
	bool are_dims_known; /* dispatch_know_dims() has been told */
	struct dispatch_counts counts;
};

/* All pointers are borrowed for the dispatch's life. */
void dispatch_init(struct dispatch *dispatch, uv_loop_t *loop, const struct config *config, struct engine *engine,
		   struct ports *ports, struct sink *sink, struct dispatch_control *control);

/* Other limits, of `config`, for the lines that come from now on. What store.init has fixed stays. */
void dispatch_reconfigure(struct dispatch *dispatch);

/* What PostgreSQL's schema says of the embeddings, once the engine knows it (0: nothing): with it a document of other
 * dimensions is refused before any store is written to, also when the configuration leaves schema.dims open. */
void dispatch_know_dims(struct dispatch *dispatch, uint32_t dims);

/* Answers every open call: its end isn't known and won't be before the next start. The calls stay the engine's; no
 * client is touched any more afterwards. */
void dispatch_abandon(struct dispatch *dispatch);

/* Frees the calls that the engine never ended. After engine_destroy(), and after the ports were closed. */
void dispatch_fini(struct dispatch *dispatch);

#endif
