/* Between the files of the dispatch only. */
#ifndef SAGAD_SAGAD_DISPATCH_INTERNAL_H
#define SAGAD_SAGAD_DISPATCH_INTERNAL_H

#include "base/buf.h"
#include "proto/reply.h"
#include "proto/request.h"
#include "sagad/dispatch.h"

/* Who waits for an answer. */
struct caller {
	struct peer *peer; /* held with peer_begin(); NULL once answered or abandoned */
	bool is_silent;    /* a notification: it gets no answer */
	char id_json[REQUEST_ID_BYTES];
};

/* Holds the peer until the answer. */
void caller_init(struct caller *caller, struct peer *peer, const struct request *request);

/* Sends the answer and lets go of the peer; a caller that was abandoned gets nothing. Empties the buffer. An answer for
 * which there was no memory becomes a short error. */
void caller_answer(struct caller *caller, struct buf *answer);
void caller_answer_error(struct caller *caller, enum code code, const char *message);

/* The methods; each takes the request. call.c: */
void call_document(struct dispatch *dispatch, struct peer *peer, struct request *request);
void call_status(struct dispatch *dispatch, struct peer *peer, struct request *request);
void call_abandon_all(struct dispatch *dispatch);
void call_free_all(struct dispatch *dispatch);

/* inquiry.c: */
void inquiry_list(struct dispatch *dispatch, struct peer *peer, struct request *request);
void inquiry_init(struct dispatch *dispatch, struct peer *peer, struct request *request);
void inquiry_abandon_all(struct dispatch *dispatch);

/* control.c: */
void control_config(struct dispatch *dispatch, struct peer *peer, struct request *request);
void control_reload(struct dispatch *dispatch, struct peer *peer, struct request *request);
void control_log_level(struct dispatch *dispatch, struct peer *peer, struct request *request);
void control_drain(struct dispatch *dispatch, struct peer *peer, struct request *request);

/* sagas.c: */
void sagas_list(struct dispatch *dispatch, struct peer *peer, struct request *request, bool is_admin);
void sagas_get(struct dispatch *dispatch, struct peer *peer, struct request *request);
void sagas_retry(struct dispatch *dispatch, struct peer *peer, struct request *request);
void sagas_resolve(struct dispatch *dispatch, struct peer *peer, struct request *request);
void sagas_abandon_all(struct dispatch *dispatch);
void sagas_free_all(struct dispatch *dispatch);

/* flows.c: saga.run; and saga.cancel or saga.get of a saga that a client wrote: of any, or of the peer's own. */
void flows_run(struct dispatch *dispatch, struct peer *peer, struct request *request);
void flows_ask(struct dispatch *dispatch, struct peer *peer, struct request *request, bool is_any);
void flows_abandon_all(struct dispatch *dispatch);
void flows_free_all(struct dispatch *dispatch);

/* Prints how a saga stands, for saga.get, or how it ended. */
void flows_print(struct buf *out, const char *id_json, const struct flow_report *report, bool is_status);

/* stats.c: */
void stats_answer(struct dispatch *dispatch, struct peer *peer, struct request *request);

#endif
