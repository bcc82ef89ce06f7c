/* What the journal's thread does with what has gathered. No thread and no lock in here. */
#ifndef SAGAD_JOURNAL_JOURNAL_WORK_H
#define SAGAD_JOURNAL_JOURNAL_WORK_H

#include "base/err.h"
#include "base/list.h"
#include "journal/journal_db.h"

/* What is submitted, each with a list of its own. Records come first, so that a question sees what was submitted before
 * it. */
enum journal_kind {
	JOURNAL_KIND_RECORD,   /* journal_req */
	JOURNAL_KIND_FLOW,     /* journal_flow_req */
	JOURNAL_KIND_LOOKUP,   /* journal_lookup_req */
	JOURNAL_KIND_RESOLVED, /* journal_resolved_req */
	JOURNAL_KIND_FIND,     /* journal_flow_find_req */
	JOURNAL_KIND_LIST,     /* journal_flow_list_req */
	JOURNAL_KINDS
};

struct journal_work {
	struct journal_db db;
	int failed_rc; /* not 0: failed for good */
	struct err failed_err;
};

/* Everything that waited at one moment, all of it answered afterwards. *out_n_records: what one transaction has made
 * durable; 0 when it failed. `is_out_of_memory`: a record is missing, so that nothing may become durable any more. */
void journal_work_off(struct journal_work *work, struct list batch[JOURNAL_KINDS], bool is_out_of_memory,
		      uint64_t *out_n_records);

#endif
