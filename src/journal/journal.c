/* The thread and the hand-over.
 *
 *     loop thread                     mutex                  journal's thread
 *     submit() ──▶ waiting ──────────────────────────▶ begin, records, commit ┐
 *     done()   ◀── finished ◀── uv_async ◀───────────────────────────────────┘
 *
 * What gathers while a commit runs is the next commit. Closings, for which nobody waits and whose loss costs the next
 * start a question to the ledger, don't make one of their own at once: they go with the next record that somebody waits
 * for, so that an intent that comes right behind them doesn't have to wait for their sync. The lists and the counters
 * below "shared" belong to whoever holds the mutex; requests belong to the journal's thread between the two lists; the
 * file belongs to the thread from its start to its end. Promises: done() once for each submit, in their order among
 * those of a kind, on the loop's thread; and after the first failure no answer of 0 any more. */
#include "journal/journal.h"

#include "base/buf.h"
#include "base/crash_point.h"
#include "journal/journal_flows_read.h"
#include "journal/journal_load.h"
#include "journal/journal_lock.h"
#include "journal/journal_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_MS (24u * 60 * 60 * 1000)
#define SEC_NS 1000000000u

/* How long closings wait for company, and how many do: bounds of what a crash leaves open, and of memory. */
#define LAZY_WAIT_NS ((uint64_t)50 * 1000000u)
#define LAZY_MAX     1024

struct journal_impl {
	struct journal journal;
	struct log *log;
	uv_async_t wake_loop;
	uv_thread_t thread;
	int lock_fd;
	char *path;
	bool is_closing;      /* loop's thread: no submit any more */
	bool is_failure_told; /* loop's thread: logged once */
	uint64_t n_waiting;   /* loop's thread */
	void (*closed)(void *arg);
	void *closed_arg;

	uv_mutex_t mutex;
	uv_cond_t wake_thread;
	/* shared: */
	struct list waiting[JOURNAL_KINDS];
	uint32_t n_lazy; /* records, when there are only closings among them */
	bool is_urgent;  /* one of the records is something else */
	struct list finished[JOURNAL_KINDS];
	bool is_stopping;
	bool is_stopped;
	bool is_out_of_memory; /* a note could not be copied: the journal has a hole */
	uint64_t n_commits, n_records, n_bytes;
	uint64_t keep_ms;
	struct histogram commit_ns, records;

	/* the journal's thread: */
	struct journal_work work;
	uint64_t measured_ns; /* when the file's size was looked at */
};

/* A request whose submitter doesn't wait: its texts are copied behind it. */
struct owned_req {
	struct journal_req req;
	char bytes[];
};

static struct journal_impl *impl_of(struct journal *journal)
{
	return container_of(journal, struct journal_impl, journal);
}

struct journal_options journal_options_default(void)
{
	return (struct journal_options){.keep_ms = DAY_MS, .keep_count = 100000, .busy_ms = 10000};
}

/* ---- the journal's thread ---- */

/* The bytes of the file and of its write-ahead log; 0: looked at less than a second ago. */
static uint64_t file_bytes(struct journal_impl *impl, uint64_t now_ns)
{
	static const char *const suffixes[] = {"", "-wal"};
	uint64_t n_bytes = 0;

	if (impl->measured_ns != 0 && now_ns - impl->measured_ns < SEC_NS)
		return 0;
	impl->measured_ns = now_ns;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		struct stat status;
		struct buf path = {0};

		buf_append_format(&path, "%s%s", impl->path, suffixes[i]);
		if (!path.failed && stat(path.at, &status) == 0)
			n_bytes += (uint64_t)status.st_size;
		buf_fini(&path);
	}
	return n_bytes;
}

static void lists_init(struct list lists[JOURNAL_KINDS])
{
	for (int kind = 0; kind < JOURNAL_KINDS; kind++)
		list_init(&lists[kind]);
}

static void lists_splice(struct list to[JOURNAL_KINDS], struct list from[JOURNAL_KINDS])
{
	for (int kind = 0; kind < JOURNAL_KINDS; kind++)
		list_splice(&to[kind], &from[kind]);
}

static bool thread_has_nothing_to_do(const struct journal_impl *impl)
{
	for (int kind = JOURNAL_KIND_RECORD + 1; kind < JOURNAL_KINDS; kind++)
		if (!list_is_empty(&impl->waiting[kind]))
			return false;
	return !impl->is_urgent && impl->n_lazy < LAZY_MAX && !impl->is_stopping;
}

/* With the mutex. Closings alone are waited with for a while, once. */
static void thread_wait(struct journal_impl *impl)
{
	uint64_t began_ns = 0;

	while (thread_has_nothing_to_do(impl)) {
		uint64_t used_ns;

		if (impl->n_lazy == 0) {
			uv_cond_wait(&impl->wake_thread, &impl->mutex);
			continue;
		}
		if (began_ns == 0)
			began_ns = uv_hrtime();
		used_ns = uv_hrtime() - began_ns;
		if (used_ns >= LAZY_WAIT_NS ||
		    uv_cond_timedwait(&impl->wake_thread, &impl->mutex, LAZY_WAIT_NS - used_ns) == UV_ETIMEDOUT)
			return;
	}
}

/* With the mutex. */
static void note_commit(struct journal_impl *impl, uint64_t n_records, uint64_t took_ns)
{
	impl->n_commits++;
	impl->n_records += n_records;
	histogram_add(&impl->commit_ns, took_ns);
	histogram_add(&impl->records, n_records);
}

static void thread_main(void *arg)
{
	struct journal_impl *impl = arg;
	struct list batch[JOURNAL_KINDS];
	bool is_last = false;

	lists_init(batch);
	uv_mutex_lock(&impl->mutex);
	while (!is_last) {
		bool is_out_of_memory;
		uint64_t n_records, began_ns, ended_ns, n_bytes;

		thread_wait(impl);
		lists_splice(batch, impl->waiting);
		impl->n_lazy = 0;
		impl->is_urgent = false;
		is_last = impl->is_stopping;
		is_out_of_memory = impl->is_out_of_memory;
		impl->work.db.options.keep_ms = impl->keep_ms;
		uv_mutex_unlock(&impl->mutex);

		began_ns = uv_hrtime();
		journal_work_off(&impl->work, batch, is_out_of_memory, &n_records);
		ended_ns = uv_hrtime();
		n_bytes = file_bytes(impl, ended_ns);
		if (is_last)
			journal_db_close(&impl->work.db, impl->work.failed_rc != 0);

		uv_mutex_lock(&impl->mutex);
		if (n_records > 0)
			note_commit(impl, n_records, ended_ns - began_ns);
		if (n_bytes > 0)
			impl->n_bytes = n_bytes;
		lists_splice(impl->finished, batch);
		impl->is_stopped = is_last;
		/* Under the mutex: the loop frees the handle only after it has seen is_stopped under the mutex. */
		(void)uv_async_send(&impl->wake_loop); /* fails on handles of another type only */
	}
	uv_mutex_unlock(&impl->mutex);
}

/* ---- the loop's thread ---- */

static void tell_failure(struct journal_impl *impl, int rc, const struct err *err)
{
	if (rc == 0 || impl->is_failure_told)
		return;
	impl->is_failure_told = true;
	log_error(impl->log, "%s", err->text);
}

static void finish_req(struct journal_impl *impl, struct list *node)
{
	struct journal_req *req = container_of(node, struct journal_req, node);

	CRASH_POINT(JOURNAL_TOLD_BEFORE);
	impl->n_waiting--;
	tell_failure(impl, req->rc, &req->err);
	if (req->done != NULL)
		req->done(req);
	else
		free(container_of(req, struct owned_req, req));
}

static void finish_flow(struct journal_impl *impl, struct list *node)
{
	struct journal_flow_req *req = container_of(node, struct journal_flow_req, node);

	CRASH_POINT(JOURNAL_TOLD_BEFORE);
	impl->n_waiting--;
	tell_failure(impl, req->rc, &req->err);
	req->done(req);
}

static void finish_lookup(struct journal_impl *impl, struct list *node)
{
	struct journal_lookup_req *req = container_of(node, struct journal_lookup_req, node);

	(void)impl;
	req->done(req);
}

static void finish_resolved(struct journal_impl *impl, struct list *node)
{
	struct journal_resolved_req *req = container_of(node, struct journal_resolved_req, node);

	(void)impl;
	req->done(req);
}

static void finish_find(struct journal_impl *impl, struct list *node)
{
	struct journal_flow_find_req *req = container_of(node, struct journal_flow_find_req, node);

	(void)impl;
	req->done(req);
}

static void finish_list(struct journal_impl *impl, struct list *node)
{
	struct journal_flow_list_req *req = container_of(node, struct journal_flow_list_req, node);

	(void)impl;
	req->done(req);
}

static void impl_free(struct journal_impl *impl)
{
	uv_cond_destroy(&impl->wake_thread);
	uv_mutex_destroy(&impl->mutex);
	journal_lock_drop(impl->lock_fd);
	free(impl->path);
	free(impl);
}

static void on_wake_closed(uv_handle_t *handle)
{
	struct journal_impl *impl = container_of(handle, struct journal_impl, wake_loop);
	void (*closed)(void *arg) = impl->closed;
	void *arg = impl->closed_arg;

	impl_free(impl);
	closed(arg);
}

static void on_wake(uv_async_t *async)
{
	struct journal_impl *impl = container_of(async, struct journal_impl, wake_loop);
	static void (*const finish[JOURNAL_KINDS])(struct journal_impl * impl, struct list * node) = {
		[JOURNAL_KIND_RECORD] = finish_req,    [JOURNAL_KIND_FLOW] = finish_flow,
		[JOURNAL_KIND_LOOKUP] = finish_lookup, [JOURNAL_KIND_RESOLVED] = finish_resolved,
		[JOURNAL_KIND_FIND] = finish_find,     [JOURNAL_KIND_LIST] = finish_list,
	};
	struct list finished[JOURNAL_KINDS], *node;
	bool is_stopped;

	lists_init(finished);
	uv_mutex_lock(&impl->mutex);
	lists_splice(finished, impl->finished);
	is_stopped = impl->is_stopped;
	uv_mutex_unlock(&impl->mutex);

	for (int kind = 0; kind < JOURNAL_KINDS; kind++)
		while ((node = list_take_first(&finished[kind])) != NULL)
			finish[kind](impl, node);
	if (is_stopped && !uv_is_closing((uv_handle_t *)&impl->wake_loop)) {
		(void)uv_thread_join(&impl->thread); /* it has nothing left to do but to return */
		uv_close((uv_handle_t *)&impl->wake_loop, on_wake_closed);
	}
}

static size_t put_bytes(char *to, size_t at, const void *bytes, size_t n_bytes)
{
	if (n_bytes > 0)
		memcpy(to + at, bytes, n_bytes);
	to[at + n_bytes] = '\0';
	return at + n_bytes + 1;
}

static struct owned_req *owned_copy(const struct journal_req *req)
{
	size_t n_code = req->code != NULL ? strlen(req->code) : 0,
	       n_reason = req->reason != NULL ? strlen(req->reason) : 0;
	struct owned_req *copy =
		malloc(sizeof(*copy) + req->document_id.len + req->job_json.len + n_code + n_reason + 4);
	size_t at = 0;

	MUST(req->op != JOURNAL_RESOLVED); /* somebody always waits for it; its texts aren't copied here */
	if (copy == NULL)
		return NULL;
	copy->req = *req;
	if (req->document_id.at != NULL)
		copy->req.document_id.at = copy->bytes + at;
	at = put_bytes(copy->bytes, at, req->document_id.at, req->document_id.len);
	if (req->job_json.at != NULL)
		copy->req.job_json.at = copy->bytes + at;
	at = put_bytes(copy->bytes, at, req->job_json.at, req->job_json.len);
	if (req->code != NULL)
		copy->req.code = copy->bytes + at;
	at = put_bytes(copy->bytes, at, req->code, n_code);
	if (req->reason != NULL)
		copy->req.reason = copy->bytes + at;
	(void)put_bytes(copy->bytes, at, req->reason, n_reason); /* the last one */
	return copy;
}

/* With the mutex. The first closing wakes the thread, too: from then on it counts the time. */
static void submit_wake(struct journal_impl *impl, const struct journal_req *req)
{
	if (req->op == JOURNAL_CLOSE && req->done == NULL)
		impl->n_lazy++;
	else
		impl->is_urgent = true;
	if (impl->is_urgent || impl->n_lazy == 1 || impl->n_lazy >= LAZY_MAX)
		uv_cond_signal(&impl->wake_thread);
}

static void op_submit(struct journal *journal, struct journal_req *req)
{
	struct journal_impl *impl = impl_of(journal);
	struct owned_req *copy = NULL;
	bool is_lost = false;

	MUST(!impl->is_closing);
	if (req->done == NULL) {
		copy = owned_copy(req);
		is_lost = copy == NULL;
		req = is_lost ? NULL : &copy->req;
	}
	uv_mutex_lock(&impl->mutex);
	if (is_lost) {
		impl->is_out_of_memory = true; /* the next request brings the news */
	} else {
		impl->n_waiting++;
		list_append(&impl->waiting[JOURNAL_KIND_RECORD], &req->node);
		submit_wake(impl, req);
	}
	uv_mutex_unlock(&impl->mutex);
}

static void hand_over(struct journal_impl *impl, enum journal_kind kind, struct list *node)
{
	MUST(!impl->is_closing);
	uv_mutex_lock(&impl->mutex);
	list_append(&impl->waiting[kind], node);
	uv_cond_signal(&impl->wake_thread);
	uv_mutex_unlock(&impl->mutex);
}

static void op_lookup(struct journal *journal, struct journal_lookup_req *req)
{
	hand_over(impl_of(journal), JOURNAL_KIND_LOOKUP, &req->node);
}

static void op_resolved(struct journal *journal, struct journal_resolved_req *req)
{
	list_init(&req->rows);
	hand_over(impl_of(journal), JOURNAL_KIND_RESOLVED, &req->node);
}

static void op_flow(struct journal *journal, struct journal_flow_req *req)
{
	MUST(req->done != NULL); /* its texts are borrowed, not copied */
	req->is_known = req->is_same = false;
	impl_of(journal)->n_waiting++;
	hand_over(impl_of(journal), JOURNAL_KIND_FLOW, &req->node);
}

static void op_flow_find(struct journal *journal, struct journal_flow_find_req *req)
{
	req->found = NULL;
	hand_over(impl_of(journal), JOURNAL_KIND_FIND, &req->node);
}

static void op_flow_list(struct journal *journal, struct journal_flow_list_req *req)
{
	list_init(&req->rows);
	hand_over(impl_of(journal), JOURNAL_KIND_LIST, &req->node);
}

static int op_load_flows(struct journal *journal, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
			 struct err *err)
{
	return journal_flows_load(impl_of(journal)->path, flow, arg, err);
}

static int op_load(struct journal *journal, int (*intent)(void *arg, const struct journal_intent *found),
		   int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err)
{
	return journal_load(impl_of(journal)->path, intent, job, arg, err);
}

static void op_close(struct journal *journal, void (*closed)(void *arg), void *arg)
{
	struct journal_impl *impl = impl_of(journal);

	MUST(!impl->is_closing);
	impl->is_closing = true;
	impl->closed = closed;
	impl->closed_arg = arg;
	uv_mutex_lock(&impl->mutex);
	impl->is_stopping = true;
	uv_cond_signal(&impl->wake_thread);
	uv_mutex_unlock(&impl->mutex);
}

static const struct journal_ops journal_ops = {
	.submit = op_submit,
	.lookup = op_lookup,
	.resolved = op_resolved,
	.load = op_load,
	.flow = op_flow,
	.flow_find = op_flow_find,
	.flow_list = op_flow_list,
	.load_flows = op_load_flows,
	.close = op_close,
};

void journal_set_keep(struct journal *journal, uint64_t keep_ms)
{
	struct journal_impl *impl = impl_of(journal);

	uv_mutex_lock(&impl->mutex);
	impl->keep_ms = keep_ms;
	uv_mutex_unlock(&impl->mutex);
}

void journal_stats(struct journal *journal, struct journal_stats *out_stats)
{
	struct journal_impl *impl = impl_of(journal);

	uv_mutex_lock(&impl->mutex);
	out_stats->n_commits = impl->n_commits;
	out_stats->n_records = impl->n_records;
	out_stats->n_bytes = impl->n_bytes;
	out_stats->commit_ns = impl->commit_ns;
	out_stats->records = impl->records;
	uv_mutex_unlock(&impl->mutex);
	out_stats->n_waiting = impl->n_waiting;
	out_stats->is_failed = impl->is_failure_told;
}

/* ---- opening ---- */

static int open_file(struct journal_impl *impl, const char *path, const struct journal_options *options,
		     struct err *err)
{
	int rc = journal_lock_real_path(path, &impl->path, err);

	if (rc == 0)
		rc = journal_lock_take(impl->path, &impl->lock_fd, err);
	if (rc == 0)
		rc = journal_db_open(&impl->work.db, impl->path, options, err);
	return rc;
}

static void closed_nobody(void *arg)
{
	(void)arg;
}

int journal_open(uv_loop_t *loop, const char *path, struct log *log, const struct journal_options *options,
		 struct journal **out, struct err *err)
{
	struct journal_impl *impl = calloc(1, sizeof(*impl));
	int rc;

	if (impl == NULL)
		return err_set(err, -ENOMEM, "journal %s: out of memory", path);
	impl->log = log;
	impl->keep_ms = options->keep_ms;
	impl->lock_fd = -1;
	histogram_init(&impl->commit_ns, HISTOGRAM_LEAST_NS);
	histogram_init(&impl->records, 1);
	lists_init(impl->waiting);
	lists_init(impl->finished);
	MUST(uv_mutex_init(&impl->mutex) == 0 && uv_cond_init(&impl->wake_thread) == 0);
	rc = open_file(impl, path, options, err);
	if (rc != 0)
		goto free_impl;
	rc = uv_async_init(loop, &impl->wake_loop, on_wake);
	if (rc != 0) {
		(void)err_set(err, rc, "journal %s: no event handle: %s", impl->path, uv_strerror(rc));
		goto close_file;
	}
	impl->journal = (struct journal){.ops = &journal_ops, .id = impl->work.db.id};
	rc = uv_thread_create(&impl->thread, thread_main, impl);
	if (rc != 0) {
		(void)err_set(err, rc, "journal %s: no thread: %s; raise the limit of threads (RLIMIT_NPROC, TasksMax)",
			      impl->path, uv_strerror(rc));
		goto close_async;
	}
	*out = &impl->journal;
	return 0;
close_async:
	journal_db_close(&impl->work.db, false);
	impl->closed = closed_nobody;
	uv_close((uv_handle_t *)&impl->wake_loop, on_wake_closed); /* frees impl in the loop's next turn */
	return rc;
close_file:
	journal_db_close(&impl->work.db, false);
free_impl:
	impl_free(impl);
	return rc;
}
