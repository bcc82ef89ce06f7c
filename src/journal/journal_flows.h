/* The journal's rows of sagas that clients wrote themselves: tables `sagas` and `saga_steps`. As journal_db.h: one
 * thread at a time. */
#ifndef SAGAD_JOURNAL_JOURNAL_FLOWS_H
#define SAGAD_JOURNAL_JOURNAL_FLOWS_H

#include "journal/journal_db.h"

/* Between begin and commit: one record with all of its steps. Fills is_known and what belongs to it. */
int journal_flows_record(struct journal_db *db, struct journal_flow_req *req, struct err *err) WARN_UNUSED;

/* Forgets ended ones beyond the count, a bounded number each time, and with `is_due` old ones; their steps go with
 * them. Between begin and commit. */
int journal_flows_prune(struct journal_db *db, int64_t now_unix_ms, bool is_due, struct err *err) WARN_UNUSED;

/* Sets req->found; none is a success. */
int journal_flows_find(struct journal_db *db, struct journal_flow_find_req *req, struct err *err) WARN_UNUSED;

/* Fills req->rows, newest first; on failure they stay empty. */
int journal_flows_list(struct journal_db *db, struct journal_flow_list_req *req, struct err *err) WARN_UNUSED;

#endif
