#include "sender.h"

#include "engine/suspects.h"

#include <errno.h>
#include <stdlib.h>

void send_init(struct send *send, void (*started)(struct send *), void (*done)(struct send *))
{
	batch_item_init(&send->item);
	send->state = SEND_IDLE;
	send->started = started;
	send->done = done;
}

static void sender_on_done(struct store_req *req)
{
	struct sender_slot *slot = container_of(req, struct sender_slot, req);

	list_append(&slot->sender->ended, &req->node);
}

static int sender_slot_init(struct sender *sender, struct sender_slot *slot)
{
	slot->sender = sender;
	slot->items = calloc(sender->store->max_batch, sizeof(struct batch_item *));
	slot->writes = calloc(sender->store->max_batch, sizeof(struct leg_write *));
	if (slot->items == NULL || slot->writes == NULL)
		return -ENOMEM;
	list_init(&slot->req.node);
	slot->req.done = sender_on_done;
	list_append(&sender->free, &slot->node);
	return 0;
}

int sender_init(struct sender *sender, struct store *store, uint64_t timeout_ns)
{
	*sender = (struct sender){.store = store, .timeout_ns = timeout_ns};
	for (uint32_t op = 0; op < LEG_OPS; op++)
		list_init(&sender->waiting[op]);
	list_init(&sender->suspects);
	list_init(&sender->free);
	list_init(&sender->ended);
	sender->slots = calloc(store->max_requests, sizeof(struct sender_slot));
	if (sender->slots == NULL)
		return -ENOMEM;
	sender->n_slots = store->max_requests;
	pace_init(&sender->pace, store->max_requests);
	for (uint32_t i = 0; i < sender->n_slots; i++)
		if (sender_slot_init(sender, &sender->slots[i]) != 0)
			return -ENOMEM;
	return 0;
}

void sender_fini(struct sender *sender)
{
	for (uint32_t i = 0; i < sender->n_slots; i++) {
		free(sender->slots[i].items);
		free(sender->slots[i].writes);
	}
	free(sender->slots);
	*sender = (struct sender){0};
}

void sender_push(struct sender *sender, struct send *send)
{
	MUST(send->state == SEND_IDLE);
	send->state = SEND_WAITING;
	send->is_abandoned = false;
	send->item.bytes = sender->store->ops->write_bytes(sender->store, &send->write);
	send->is_death = false;
	send->is_suspect = send->is_suspect && send->write.op == LEG_APPLY;
	batch_queue(send->is_suspect ? &sender->suspects : &sender->waiting[send->write.op], &send->item);
	sender->n_waiting++;
}

bool sender_abandon(struct sender *sender, struct send *send)
{
	send->is_abandoned = send->state == SEND_OUT;
	if (send->state != SEND_WAITING)
		return false;
	list_remove(&send->item.node);
	send->state = SEND_IDLE;
	sender->n_waiting--;
	return true;
}

static struct send *sender_send_of(struct batch_item *item)
{
	return container_of(item, struct send, item);
}

/* One refusal for all: nobody knows whose fault it is, so nobody is told yet; smaller batches will show. */
static bool sender_must_halve(const struct sender_slot *slot)
{
	return slot->req.is_shared && slot->req.n_writes > 1 && slot->writes[0]->verdict == VERDICT_PERMANENT;
}

static void sender_judge_suspect(struct sender_slot *slot, struct send *send)
{
	bool is_lonely = send == slot->sender->lonely; /* an apply, as all suspects */
	bool is_cut = send->write.verdict == VERDICT_DOUBT && slot->req.is_cut && slot->req.n_writes == 1 &&
		      send->write.op == LEG_APPLY;

	send->is_death = suspects_judge(&send->is_suspect, send->write.verdict == VERDICT_OK, is_cut, is_lonely);
	if (is_lonely)
		slot->sender->lonely = NULL;
}

static void sender_finish_send(struct sender_slot *slot, struct send *send)
{
	uint32_t n = slot->req.n_writes;

	send->state = SEND_IDLE;
	sender_judge_suspect(slot, send);
	send->is_batched = slot->req.is_shared && n > 1;
	if (send->write.verdict == VERDICT_OK)
		send->item.cap = BATCH_NO_CAP;
	else if (send->is_batched && send->write.verdict == VERDICT_DOUBT)
		send->item.cap = (n + 1) / 2;
	send->done(send);
}

/* Back to the queue for smaller batches; what was given up meanwhile isn't sent again. */
static void sender_halve(struct sender_slot *slot)
{
	struct sender *sender = slot->sender;
	uint32_t n = slot->req.n_writes, n_back = 0;
	enum leg_op op = slot->writes[0]->op;

	for (uint32_t i = 0; i < n; i++) {
		struct send *send = sender_send_of(slot->items[i]);

		if (send->is_abandoned) {
			sender_finish_send(slot, send);
			continue;
		}
		send->state = SEND_WAITING;
		slot->items[n_back++] = slot->items[i];
	}
	if (n_back > 0)
		batch_put_back(&sender->waiting[op], slot->items, n_back, (n + 1) / 2);
	sender->n_waiting += n_back;
}

static void sender_finish(struct sender_slot *slot)
{
	if (sender_must_halve(slot))
		sender_halve(slot);
	else
		for (uint32_t i = 0; i < slot->req.n_writes; i++)
			sender_finish_send(slot, sender_send_of(slot->items[i]));
	list_append(&slot->sender->free, &slot->node);
	slot->sender->n_out--;
}

static void sender_measure(struct sender_slot *slot)
{
	struct sender *sender = slot->sender;
	bool is_failed = false;

	if (sender->now == NULL)
		return;
	meter_request(sender->meter, (uint32_t)slot->writes[0]->op, slot->req.n_writes,
		      sender->now->mono_ns - slot->sent_ns);
	for (uint32_t i = 0; i < slot->req.n_writes; i++) {
		enum verdict verdict = slot->writes[i]->verdict;

		sender->meter->n_verdicts[verdict]++;
		is_failed = is_failed || pace_is_failure(verdict);
	}
	pace_ended(&sender->pace, slot->req.n_writes, sender->n_waiting > 0, is_failed, sender->now->mono_ns);
	sender->meter->n_allowed = sender->pace.now;
}

/* The probe failed, or nobody wants the suspect any more: it never left. */
static void sender_give_back(struct sender *sender, enum verdict verdict, const struct err *err)
{
	struct send *send = sender->lonely;

	sender->lonely = NULL;
	sender->is_probed = false;
	send->state = SEND_IDLE;
	send->is_batched = false;
	send->is_death = false;
	send->write.verdict = verdict;
	send->write.err = *err;
	send->done(send);
}

bool sender_collect(struct sender *sender)
{
	struct list *node;
	bool any = false;

	if (sender->is_probed && sender->lonely->is_abandoned) {
		sender_give_back(sender, VERDICT_OUTAGE, &sender->probe.write.err);
		any = true;
	}
	while ((node = list_take_first(&sender->ended)) != NULL) {
		struct sender_slot *slot =
			container_of(container_of(node, struct store_req, node), struct sender_slot, req);

		sender_measure(slot);
		sender_finish(slot);
		any = true;
	}
	return any;
}

/* The next kind of write that has something waiting, in turn; LEG_OPS when nothing waits. */
static uint32_t sender_next_op(struct sender *sender)
{
	for (uint32_t i = 0; i < LEG_OPS; i++) {
		uint32_t op = (sender->next_op + i) % LEG_OPS;

		if (!list_is_empty(&sender->waiting[op])) {
			sender->next_op = (op + 1) % LEG_OPS;
			return op;
		}
	}
	return LEG_OPS;
}

static void sender_submit_items(struct sender *sender, struct sender_slot *slot, uint32_t n)
{
	struct store *store = sender->store;

	for (uint32_t i = 0; i < n; i++) {
		struct send *send = sender_send_of(slot->items[i]);

		slot->writes[i] = &send->write;
		err_clear(&send->write.err);
		send->state = SEND_OUT;
		if (send->started != NULL && send != sender->lonely) /* that one has been told */
			send->started(send);
	}
	sender->n_requests++;
	sender->n_writes += n;
	slot->req.writes = slot->writes;
	slot->req.n_writes = n;
	slot->req.timeout_ns = sender->timeout_ns;
	slot->req.is_shared = false;
	slot->req.is_cut = false;
	sender->n_out++;
	slot->sent_ns = sender->now != NULL ? sender->now->mono_ns : 0;
	store->ops->submit(store, &slot->req);
}

static void sender_submit(struct sender *sender, struct sender_slot *slot, uint32_t op)
{
	struct store *store = sender->store;
	uint32_t n = batch_take(&sender->waiting[op], store->max_batch, store->max_batch_bytes, slot->items);

	sender->n_waiting -= n;
	sender_submit_items(sender, slot, n);
}

/* ---- suspects ---- */

static struct sender_slot *sender_take_slot(struct sender *sender)
{
	struct list *node = list_take_first(&sender->free);

	MUST(node != NULL); /* the callers have looked */
	return container_of(node, struct sender_slot, node);
}

static void sender_submit_one(struct sender *sender, struct send *send)
{
	struct sender_slot *slot = sender_take_slot(sender);

	slot->items[0] = &send->item;
	sender_submit_items(sender, slot, 1);
}

static void sender_on_probed(struct send *probe)
{
	struct sender *sender = container_of(probe, struct sender, probe);
	enum verdict verdict = probe->write.verdict;

	if (verdict == VERDICT_OK)
		sender->is_probed = true;
	else if (verdict == VERDICT_DOUBT || verdict == VERDICT_PERMANENT)
		sender_give_back(sender, VERDICT_OUTAGE, &probe->write.err);
	else
		sender_give_back(sender, verdict, &probe->write.err);
}

/* A removal goes the way of every write, and finds nothing under a name that no saga has. */
static void sender_isolate(struct sender *sender)
{
	struct list *node = list_take_first(&sender->suspects);
	struct send *probe = &sender->probe, *send;

	MUST(node != NULL); /* so has the caller */
	send = sender_send_of(container_of(node, struct batch_item, node));
	sender->n_waiting--;
	sender->lonely = send;
	send->state = SEND_OUT;
	/* Not only from its own request on: a try that is counted as unsent must not hide that an earlier one was. */
	if (send->started != NULL)
		send->started(send);
	send_init(probe, NULL, sender_on_probed);
	probe->write = (struct leg_write){
		.op = LEG_REMOVE,
		.saga = send->write.saga,
		.document_id = send->write.document_id,
		.n_chunks = 1,
	};
	for (unsigned i = 10; i < sizeof(probe->write.saga.bytes); i++)
		probe->write.saga.bytes[i] ^= 0xff; /* random bits all */
	sender_submit_one(sender, probe);
}

void sender_pump(struct sender *sender)
{
	bool has_suspects = !list_is_empty(&sender->suspects);
	uint32_t op;

	if (sender->is_probed && !sender->lonely->is_abandoned) {
		sender->is_probed = false;
		sender_submit_one(sender, sender->lonely);
	}
	if (sender->lonely != NULL || (has_suspects && !sender->is_others_turn && sender->n_out > 0))
		return;
	while ((!has_suspects || sender->is_others_turn) && !list_is_empty(&sender->free) &&
	       sender->n_out < sender->pace.now && (op = sender_next_op(sender)) != LEG_OPS)
		sender_submit(sender, sender_take_slot(sender), op);
	sender->is_others_turn = false;
	if (has_suspects && sender->n_out == 0) {
		sender->is_others_turn = true; /* after this one */
		sender_isolate(sender);
	}
}
