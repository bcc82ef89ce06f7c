/* A document with which a store dies is told from a victim: it goes out alone, after a harmless write, and only what
 * happens then counts against it. */
#include "engine/sender.h"
#include "engine/suspects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS_MAX 4

/* A store that keeps what is out until the test says how each request ends. */
struct fake_store {
	struct store store;
	struct store_req *out[REQUESTS_MAX];
	uint32_t n_out;
};

static void fake_submit(struct store *store, struct store_req *req)
{
	struct fake_store *fake = container_of(store, struct fake_store, store);

	fake->out[fake->n_out++] = req;
}

static size_t fake_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	(void)write;
	return 1;
}

static const struct store_ops fake_ops = {.submit = fake_submit, .write_bytes = fake_bytes};

static struct fake_store fake_make(void)
{
	return (struct fake_store){
		.store = {.ops = &fake_ops, .max_requests = REQUESTS_MAX, .max_batch = 1, .max_batch_bytes = 1000}};
}

static uint32_t n_started, n_ended;

static void note_started(struct send *send)
{
	(void)send;
	n_started++;
}

static void note_ended(struct send *send)
{
	(void)send;
	n_ended++;
}

static void push_new(struct sender *sender, struct send *send)
{
	memset(send, 0, sizeof(*send));
	send_init(send, note_started, note_ended);
	send->write.saga = (struct uuid){{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16}};
	sender_push(sender, send);
}

static void answer(struct sender *sender, struct fake_store *fake, uint32_t at, enum verdict verdict, bool is_cut)
{
	struct store_req *req = fake->out[at];

	fake->out[at] = fake->out[--fake->n_out];
	req->writes[0]->verdict = verdict;
	req->is_cut = is_cut;
	req->done(req);
	(void)sender_collect(sender);
	sender_pump(sender);
}

/* One that was alone in a request which was cut off, and is tried again. */
static void make_suspect(struct sender *sender, struct fake_store *fake, struct send *send)
{
	push_new(sender, send);
	sender_pump(sender);
	assert_int_equal(fake->n_out, 1);
	answer(sender, fake, 0, VERDICT_DOUBT, true);
	assert_true(send->is_suspect);
	assert_false(send->is_death); /* others may have been out at the time: no evidence yet */
	sender_push(sender, send);
	sender_pump(sender);
}

static void assert_probe_is_out(const struct fake_store *fake, const struct send *suspect)
{
	assert_int_equal(fake->n_out, 1);
	assert_int_equal(fake->out[0]->n_writes, 1);
	assert_int_equal(fake->out[0]->writes[0]->op, LEG_REMOVE);
	assert_int_not_equal(uuid_compare(&fake->out[0]->writes[0]->saga, &suspect->write.saga), 0);
}

static void a_suspect_goes_alone_after_a_probe(void **state)
{
	struct fake_store fake = fake_make();
	struct sender sender;
	struct send suspect, other, third;

	(void)state;
	assert_int_equal(sender_init(&sender, &fake.store, 1), 0);
	make_suspect(&sender, &fake, &suspect);
	assert_probe_is_out(&fake, &suspect);
	push_new(&sender, &other);
	push_new(&sender, &third);
	sender_pump(&sender);
	assert_int_equal(fake.n_out, 1); /* nothing goes beside the probe */
	answer(&sender, &fake, 0, VERDICT_OK, false);
	assert_int_equal(fake.n_out, 1); /* nor beside the suspect */
	assert_ptr_equal(fake.out[0]->writes[0], &suspect.write);
	answer(&sender, &fake, 0, VERDICT_DOUBT, true);
	assert_true(suspect.is_death);
	assert_int_equal(fake.n_out, 2); /* now the others have their turn */
	sender_push(&sender, &suspect);
	sender_pump(&sender);
	assert_int_equal(fake.n_out, 2); /* and it waits for their end */
	answer(&sender, &fake, 0, VERDICT_OK, false);
	answer(&sender, &fake, 0, VERDICT_OK, false);
	assert_probe_is_out(&fake, &suspect);
	answer(&sender, &fake, 0, VERDICT_OK, false);
	answer(&sender, &fake, 0, VERDICT_OK, false);
	assert_false(suspect.is_suspect); /* it has been survived */
	assert_int_equal(suspect.state, SEND_IDLE);
	sender_fini(&sender);
}

static void suspects_and_others_take_turns(void **state)
{
	struct fake_store fake = fake_make();
	struct sender sender;
	struct send suspects[2], others[8];
	uint32_t n_turns = 0;

	(void)state;
	assert_int_equal(sender_init(&sender, &fake.store, 1), 0);
	for (int i = 0; i < 2; i++) {
		memset(&suspects[i], 0, sizeof(suspects[i]));
		send_init(&suspects[i], note_started, note_ended);
		suspects[i].is_suspect = true; /* known from an attempt before */
		sender_push(&sender, &suspects[i]);
	}
	for (int i = 0; i < 8; i++)
		push_new(&sender, &others[i]);
	sender_pump(&sender);
	while (fake.n_out > 0) {
		if (fake.out[0]->writes[0] == &suspects[0].write || fake.out[0]->writes[0] == &suspects[1].write)
			assert_int_equal(fake.n_out, 1);
		n_turns += fake.n_out > 1; /* the others, together */
		answer(&sender, &fake, 0, VERDICT_OK, false);
	}
	assert_true(n_turns > 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(others[i].state, SEND_IDLE);
	sender_fini(&sender);
}

/* In an outage the probe fails first, whatever it is that fails: no death is counted, the suspect never left. */
static void an_outage_gives_no_deaths(void **state)
{
	static const enum verdict verdicts[] = {VERDICT_OUTAGE, VERDICT_DOUBT, VERDICT_TRANSIENT};
	struct fake_store fake = fake_make();
	struct sender sender;
	struct send suspect;

	(void)state;
	assert_int_equal(sender_init(&sender, &fake.store, 1), 0);
	make_suspect(&sender, &fake, &suspect);
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		assert_probe_is_out(&fake, &suspect);
		answer(&sender, &fake, 0, verdicts[i], verdicts[i] == VERDICT_DOUBT);
		assert_false(suspect.is_death);
		assert_true(suspect.is_suspect);
		assert_true(suspect.write.verdict == VERDICT_OUTAGE || suspect.write.verdict == VERDICT_TRANSIENT);
		sender_push(&sender, &suspect);
		sender_pump(&sender);
	}
	answer(&sender, &fake, 0, VERDICT_OK, false);
	answer(&sender, &fake, 0, VERDICT_DOUBT, false); /* a time-out is no death */
	assert_false(suspect.is_death);
	sender_fini(&sender);
}

static void a_suspect_may_be_given_up_at_any_time(void **state)
{
	struct fake_store fake = fake_make();
	struct sender sender;
	struct send suspect;

	(void)state;
	assert_int_equal(sender_init(&sender, &fake.store, 1), 0);
	make_suspect(&sender, &fake, &suspect);
	n_ended = 0;
	assert_false(sender_abandon(&sender, &suspect)); /* its probe is out: the end still comes */
	answer(&sender, &fake, 0, VERDICT_OK, false);
	if (n_ended == 0)
		(void)sender_collect(&sender);
	assert_int_equal(n_ended, 1);
	assert_int_equal(fake.n_out, 0); /* it wasn't sent */
	sender_push(&sender, &suspect);
	assert_true(sender_abandon(&sender, &suspect)); /* it waits */
	sender_pump(&sender);
	assert_int_equal(fake.n_out, 0);
	sender_fini(&sender);
}

static void hash_of(uint32_t number, uint8_t out_hash[DIGEST_BYTES])
{
	memset(out_hash, 0, DIGEST_BYTES);
	memcpy(out_hash, &number, sizeof(number));
}

static void deaths_are_remembered_by_content_and_bounded(void **state)
{
	static struct suspects suspects;
	uint32_t deaths[SAGA_STORES_MAX + 1];
	uint8_t hash[DIGEST_BYTES];

	(void)state;
	for (uint32_t i = 0; i < SUSPECTS_MAX; i++) {
		hash_of(i, hash);
		suspects_note(&suspects, hash, i % 3, i + 1);
	}
	hash_of(0, hash);
	suspects_note(&suspects, hash, SAGA_TRUTH, 7); /* seen again: not the oldest any more */
	hash_of(1000, hash);
	suspects_note(&suspects, hash, 0, 1);
	hash_of(0, hash);
	suspects_find(&suspects, hash, deaths);
	assert_true(deaths[0] == 1 && deaths[SAGA_TRUTH] == 7);
	hash_of(1, hash);
	suspects_find(&suspects, hash, deaths);
	assert_int_equal(deaths[1], 0); /* the oldest went */
	hash_of(2, hash);
	suspects_find(&suspects, hash, deaths);
	assert_int_equal(deaths[2], 3);
	suspects_note(&suspects, hash, 2, 0); /* survived */
	suspects_find(&suspects, hash, deaths);
	assert_int_equal(deaths[2], 0);
}

/* A store that is back later than a saga's last try: the next saga with the content doesn't begin anew. Who was merely
 * there gives its place before one with deaths does. */
static void a_suspicion_outlives_its_saga(void **state)
{
	static struct suspects suspects;
	uint32_t deaths[SAGA_STORES_MAX + 1];
	uint8_t hash[DIGEST_BYTES];

	(void)state;
	hash_of(1, hash);
	assert_int_equal(suspects_stores(&suspects, hash), 0);
	suspects_set_stores(&suspects, hash, 0);
	assert_int_equal(suspects.n_notes, 0);
	suspects_note(&suspects, hash, 2, 1);
	for (uint32_t i = 2; i < SUSPECTS_MAX + 10; i++) {
		hash_of(i, hash);
		suspects_set_stores(&suspects, hash, 5);
	}
	assert_int_equal(suspects_stores(&suspects, hash), 5);
	hash_of(2, hash);
	assert_int_equal(suspects_stores(&suspects, hash), 0); /* the oldest went */
	hash_of(1, hash);
	suspects_find(&suspects, hash, deaths);
	assert_int_equal(deaths[2], 1);
	hash_of(20, hash);
	suspects_set_stores(&suspects, hash, 0); /* survived */
	assert_int_equal(suspects_stores(&suspects, hash), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_suspect_goes_alone_after_a_probe),
		cmocka_unit_test(suspects_and_others_take_turns),
		cmocka_unit_test(an_outage_gives_no_deaths),
		cmocka_unit_test(a_suspect_may_be_given_up_at_any_time),
		cmocka_unit_test(deaths_are_remembered_by_content_and_bounded),
		cmocka_unit_test(a_suspicion_outlives_its_saga),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
