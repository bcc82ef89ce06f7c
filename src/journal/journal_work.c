/* One turn of the journal's thread: a transaction for all records that waited, then the questions. */
#include "journal/journal_work.h"

#include "journal/journal_flows.h"

#include <errno.h>
#include <time.h>

static int64_t unix_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail with this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int record_all(struct journal_work *work, struct list batch[JOURNAL_KINDS], uint64_t *out_n, struct err *err)
{
	uint64_t n = 0;
	int rc = 0;

	for (struct list *it = batch[JOURNAL_KIND_RECORD].next; rc == 0 && it != &batch[JOURNAL_KIND_RECORD];
	     it = it->next, n++)
		rc = journal_db_record(&work->db, container_of(it, struct journal_req, node), err);
	for (struct list *it = batch[JOURNAL_KIND_FLOW].next; rc == 0 && it != &batch[JOURNAL_KIND_FLOW];
	     it = it->next, n++)
		rc = journal_flows_record(&work->db, container_of(it, struct journal_flow_req, node), err);
	*out_n = n;
	return rc;
}

/* One transaction for the whole batch. */
static int commit_batch(struct journal_work *work, struct list batch[JOURNAL_KINDS], uint64_t *out_n, struct err *err)
{
	uint64_t n = 0;
	int rc = journal_db_begin(&work->db, err);

	if (rc == 0)
		rc = record_all(work, batch, &n, err);
	if (rc == 0)
		rc = journal_db_prune(&work->db, unix_now_ms(), err);
	if (rc == 0)
		rc = journal_db_commit(&work->db, err);
	if (rc == 0)
		*out_n = n;
	return rc;
}

static void answer_records(struct journal_work *work, struct list batch[JOURNAL_KINDS])
{
	for (struct list *it = batch[JOURNAL_KIND_RECORD].next; it != &batch[JOURNAL_KIND_RECORD]; it = it->next) {
		struct journal_req *req = container_of(it, struct journal_req, node);

		req->rc = work->failed_rc;
		req->err = work->failed_err;
	}
	for (struct list *it = batch[JOURNAL_KIND_FLOW].next; it != &batch[JOURNAL_KIND_FLOW]; it = it->next) {
		struct journal_flow_req *req = container_of(it, struct journal_flow_req, node);

		req->rc = work->failed_rc;
		req->err = work->failed_err;
	}
}

static void answer_lookup(struct journal_work *work, struct list *node)
{
	struct journal_lookup_req *req = container_of(node, struct journal_lookup_req, node);
	struct err err = {0};

	req->rc = work->failed_rc;
	if (req->rc == 0)
		req->rc = journal_db_lookup(&work->db, &req->id, &req->row, &err);
}

static void answer_resolved(struct journal_work *work, struct list *node)
{
	struct journal_resolved_req *req = container_of(node, struct journal_resolved_req, node);
	struct err err = {0};

	req->rc = work->failed_rc;
	if (req->rc == 0)
		req->rc = journal_db_list_resolved(&work->db, req, &err);
}

static void answer_find(struct journal_work *work, struct list *node)
{
	struct journal_flow_find_req *req = container_of(node, struct journal_flow_find_req, node);
	struct err err = {0};

	req->rc = work->failed_rc;
	if (req->rc == 0)
		req->rc = journal_flows_find(&work->db, req, &err);
}

static void answer_list(struct journal_work *work, struct list *node)
{
	struct journal_flow_list_req *req = container_of(node, struct journal_flow_list_req, node);
	struct err err = {0};

	req->rc = work->failed_rc;
	if (req->rc == 0)
		req->rc = journal_flows_list(&work->db, req, &err);
}

static void answer_questions(struct journal_work *work, struct list batch[JOURNAL_KINDS])
{
	static void (*const answers[JOURNAL_KINDS])(struct journal_work * work, struct list * node) = {
		[JOURNAL_KIND_LOOKUP] = answer_lookup,
		[JOURNAL_KIND_RESOLVED] = answer_resolved,
		[JOURNAL_KIND_FIND] = answer_find,
		[JOURNAL_KIND_LIST] = answer_list,
	};

	for (int kind = JOURNAL_KIND_LOOKUP; kind < JOURNAL_KINDS; kind++)
		for (struct list *it = batch[kind].next; it != &batch[kind]; it = it->next)
			answers[kind](work, it);
}

void journal_work_off(struct journal_work *work, struct list batch[JOURNAL_KINDS], bool is_out_of_memory,
		      uint64_t *out_n_records)
{
	bool has_records = !list_is_empty(&batch[JOURNAL_KIND_RECORD]) || !list_is_empty(&batch[JOURNAL_KIND_FLOW]);

	*out_n_records = 0;
	if (is_out_of_memory && work->failed_rc == 0)
		work->failed_rc =
			err_set(&work->failed_err, -ENOMEM,
				"journal %s: no memory for a record; start sagad again with more", work->db.path);
	if (has_records && work->failed_rc == 0)
		work->failed_rc = commit_batch(work, batch, out_n_records, &work->failed_err);
	answer_records(work, batch);
	answer_questions(work, batch);
}
