/* Answers to document.status. */
#ifndef SAGAD_ENGINE_QUERY_H
#define SAGAD_ENGINE_QUERY_H

#include "engine/state.h"

/* Answers now, or asks PostgreSQL or the journal first. */
void query_start(struct engine *engine, struct engine_query *query);

/* For engine_destroy(): those that were never answered. */
void query_free_all(struct engine *engine);

/* The journal has answered. */
void query_on_lookup(struct engine *engine, struct journal_lookup_req *req);

#endif
