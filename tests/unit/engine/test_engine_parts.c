/* The engine's parts by themselves; the whole of it is run by the simulator (tests/sim). */
#include "base/rng.h"
#include "engine/batch.h"
#include "engine/locks.h"
#include "engine/sender.h"
#include "engine/timers.h"
#include "engine/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- timers ---- */

#define N_TIMERS 500

static uint64_t last_fired_ns;
static uint32_t n_fired;

static void note_fired(struct timer *timer)
{
	assert_true(timer->at_ns >= last_fired_ns);
	assert_int_equal(timer->place, 0);
	last_fired_ns = timer->at_ns;
	n_fired++;
}

static void timers_fire_in_order_after_random_moves(void **state)
{
	struct timers timers = {0};
	struct timer *all = calloc(N_TIMERS, sizeof(*all));
	struct rng rng = {42};
	uint32_t n_set = 0;

	(void)state;
	last_fired_ns = n_fired = 0;
	assert_int_equal(timers_reserve(&timers, N_TIMERS), 0);
	for (uint32_t i = 0; i < N_TIMERS; i++)
		all[i].fire = note_fired;
	for (uint32_t i = 0; i < 20 * N_TIMERS; i++) {
		struct timer *timer = &all[rng_below(&rng, N_TIMERS)];

		if (rng_below(&rng, 3) == 0)
			timers_cancel(&timers, timer);
		else
			timers_set(&timers, timer, 1 + rng_below(&rng, 1000));
	}
	for (uint32_t i = 0; i < N_TIMERS; i++)
		n_set += all[i].place != 0;
	assert_true(timers_fire(&timers, 500));
	assert_true(last_fired_ns <= 500 && timers_next_ns(&timers) > 500);
	(void)timers_fire(&timers, 1000);
	assert_int_equal(n_fired, n_set);
	assert_int_equal(timers_next_ns(&timers), UINT64_MAX);
	timers_release(&timers, N_TIMERS);
	timers_fini(&timers);
	free(all);
}

/* ---- locks ---- */

static struct lock_wait *last_granted;

static void note_granted(struct lock_wait *wait)
{
	last_granted = wait;
}

static struct lock_wait wait_for(const char *name)
{
	return (struct lock_wait){.name = str_of(name), .granted = note_granted};
}

static void locks_are_first_come_first_served(void **state)
{
	struct locks locks = {0};
	struct lock_wait a = wait_for("x"), b = wait_for("x"), c = wait_for("x"), d = wait_for("x"),
			 other = wait_for("y");

	(void)state;
	assert_int_equal(lock_take(&locks, &a, 2), LOCK_HELD);
	assert_int_equal(lock_take(&locks, &other, 2), LOCK_HELD);
	assert_int_equal(lock_take(&locks, &b, 2), LOCK_WAITING);
	assert_int_equal(lock_take(&locks, &c, 2), LOCK_WAITING);
	assert_int_equal(lock_take(&locks, &d, 2), LOCK_FULL);
	lock_release(&locks, &b); /* gives up its place */
	assert_int_equal(lock_take(&locks, &d, 2), LOCK_WAITING);
	lock_release(&locks, &a);
	assert_ptr_equal(last_granted, &c);
	assert_ptr_equal(lock_find(&locks, str_of("x")), &c);
	assert_int_equal(c.n_waiters, 1);
	lock_release(&locks, &c);
	assert_ptr_equal(last_granted, &d);
	lock_release(&locks, &d);
	lock_release(&locks, &d);
	assert_null(lock_find(&locks, str_of("x")));
	lock_release(&locks, &other);
	assert_null(locks.held);
}

/* ---- batches ---- */

/* A client's jobs in a queue that serves one at a time. */
struct waiting_job {
	struct batch_item item;
	uint64_t *client;
};

static void push_job(struct list *waiting, const struct turns *turns, struct waiting_job *job, uint64_t *client)
{
	batch_item_init(&job->item);
	job->client = client;
	job->item.turn = turns_take(turns, client);
	batch_queue(waiting, &job->item);
}

/* One with 1,000 jobs waiting, one who waits for each answer: they are served in turn. */
static void one_who_floods_holds_up_nobody(void **state)
{
	struct waiting_job *flood = calloc(1000, sizeof(*flood)), small = {0};
	uint64_t flooder = 0, patient = 0;
	struct turns turns = {0};
	struct batch_item *taken;
	struct list waiting;
	unsigned n_small = 0;

	(void)state;
	assert_non_null(flood);
	list_init(&waiting);
	for (unsigned i = 0; i < 1000; i++)
		push_job(&waiting, &turns, &flood[i], &flooder);
	push_job(&waiting, &turns, &small, &patient);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(batch_take(&waiting, 1, 1000, &taken), 1);
		turns_answered(&turns, taken->turn);
		if (taken != &small.item)
			continue;
		n_small++;
		push_job(&waiting, &turns, &small, &patient);
	}
	assert_in_range(n_small, 45, 55);
	free(flood);
}

/* The daemon's own goes behind what waits, and stays before what comes. */
static void what_has_no_turn_keeps_its_place(void **state)
{
	struct batch_item items[4], *taken[4];
	struct list waiting;

	(void)state;
	list_init(&waiting);
	for (unsigned i = 0; i < 4; i++) {
		batch_item_init(&items[i]);
		items[i].turn = (uint64_t[]){7, 0, 8, 3}[i];
		batch_queue(&waiting, &items[i]);
	}
	assert_int_equal(batch_take(&waiting, 4, 1000, taken), 4);
	assert_ptr_equal(taken[0], &items[3]);
	assert_ptr_equal(taken[1], &items[0]);
	assert_ptr_equal(taken[2], &items[1]);
	assert_ptr_equal(taken[3], &items[2]);
}

static void batches_respect_count_bytes_and_caps(void **state)
{
	struct batch_item items[6], *taken[6];
	struct list waiting;

	(void)state;
	list_init(&waiting);
	for (int i = 0; i < 6; i++) {
		batch_item_init(&items[i]);
		items[i].bytes = 10;
		list_append(&waiting, &items[i].node);
	}
	assert_int_equal(batch_take(&waiting, 2, 1000, taken), 2);
	assert_int_equal(batch_take(&waiting, 6, 5, taken), 1); /* larger alone than the bound: goes alone */
	assert_ptr_equal(taken[0], &items[2]);
	items[4].cap = 1;
	assert_int_equal(batch_take(&waiting, 6, 1000, taken), 1);
	assert_int_equal(batch_take(&waiting, 6, 1000, taken), 1);
	assert_ptr_equal(taken[0], &items[4]);
	assert_int_equal(batch_take(&waiting, 6, 1000, taken), 1);
	assert_int_equal(batch_take(&waiting, 6, 1000, taken), 0);
}

/* ---- the sender: a poison write is found by halves ---- */

#define N_SENDS 64

struct fake_store {
	struct store store;
	struct store_req *out;
	struct send *poison;
	uint32_t n_requests;
};

static void fake_submit(struct store *store, struct store_req *req)
{
	container_of(store, struct fake_store, store)->out = req;
}

static size_t fake_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	(void)write;
	return 1;
}

static const struct store_ops fake_ops = {.submit = fake_submit, .write_bytes = fake_bytes};

static uint32_t n_ok, n_refused;
static struct send *refused;

static void note_sent(struct send *send)
{
	if (send->write.verdict == VERDICT_OK) {
		n_ok++;
	} else {
		n_refused++;
		refused = send;
	}
}

static void fake_answer(struct fake_store *fake)
{
	struct store_req *req = fake->out;
	bool has_poison = false;

	fake->out = NULL;
	fake->n_requests++;
	for (uint32_t i = 0; i < req->n_writes; i++)
		has_poison = has_poison || req->writes[i] == &fake->poison->write;
	for (uint32_t i = 0; i < req->n_writes; i++)
		req->writes[i]->verdict = has_poison ? VERDICT_PERMANENT : VERDICT_OK;
	req->is_shared = has_poison;
	req->done(req);
}

static void a_poison_write_fails_alone(void **state)
{
	static struct send sends[N_SENDS];
	struct fake_store fake = {
		.store = {.ops = &fake_ops, .max_requests = 1, .max_batch = N_SENDS, .max_batch_bytes = 1000}};
	struct sender sender;

	(void)state;
	n_ok = n_refused = 0;
	assert_int_equal(sender_init(&sender, &fake.store, 1), 0);
	fake.poison = &sends[37];
	for (int i = 0; i < N_SENDS; i++) {
		send_init(&sends[i], NULL, note_sent);
		sender_push(&sender, &sends[i]);
	}
	sender_pump(&sender);
	while (fake.out != NULL) {
		fake_answer(&fake);
		assert_true(sender_collect(&sender));
		sender_pump(&sender);
	}
	assert_int_equal(n_ok, N_SENDS - 1);
	assert_int_equal(n_refused, 1);
	assert_ptr_equal(refused, fake.poison);
	assert_false(refused->is_batched);
	assert_true(fake.n_requests <= 1 + 2 * 6); /* at most 2 log2 n more requests */
	sender_fini(&sender);
}

static void what_was_given_up_is_not_sent_again(void **state)
{
	static struct send sends[4];
	struct fake_store fake = {
		.store = {.ops = &fake_ops, .max_requests = 1, .max_batch = 4, .max_batch_bytes = 1000}};
	struct sender sender;

	(void)state;
	n_ok = n_refused = 0;
	assert_int_equal(sender_init(&sender, &fake.store, 1), 0);
	fake.poison = &sends[0];
	for (int i = 0; i < 3; i++) {
		send_init(&sends[i], NULL, note_sent);
		sender_push(&sender, &sends[i]);
	}
	sender_pump(&sender);
	send_init(&sends[3], NULL, note_sent);
	sender_push(&sender, &sends[3]);
	assert_true(sender_abandon(&sender, &sends[3]));  /* was waiting */
	assert_false(sender_abandon(&sender, &sends[0])); /* is out: its end still comes */
	while (fake.out != NULL) {
		fake_answer(&fake);
		(void)sender_collect(&sender);
		sender_pump(&sender);
	}
	assert_int_equal(n_ok, 2);
	assert_ptr_equal(refused, &sends[0]);
	assert_int_equal(fake.n_requests, 2); /* the batch of three, then the two that are still wanted */
	assert_int_equal(sends[3].state, SEND_IDLE);
	sender_fini(&sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order_after_random_moves),
		cmocka_unit_test(locks_are_first_come_first_served),
		cmocka_unit_test(one_who_floods_holds_up_nobody),
		cmocka_unit_test(what_has_no_turn_keeps_its_place),
		cmocka_unit_test(batches_respect_count_bytes_and_caps),
		cmocka_unit_test(a_poison_write_fails_alone),
		cmocka_unit_test(what_was_given_up_is_not_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
