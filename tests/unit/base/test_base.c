#include "base/backoff.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/list.h"
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct uuid dns = {
	{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};

/* RFC 9562, appendix A.4: the name "www.example.com" in the DNS namespace. */
static void uuid_v5_is_that_of_the_rfc(void **state)
{
	char text[UUID_TEXT_BYTES];
	struct uuid made = uuid_make_v5(&dns, "www.example.com", 15);

	(void)state;
	uuid_format(&made, text);
	assert_string_equal(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void uuid_v7_is_ordered_by_time(void **state)
{
	struct uuid early = uuid_make_v7(1000, UINT64_MAX, UINT64_MAX), late = uuid_make_v7(1001, 0, 0);

	(void)state;
	assert_true(uuid_compare(&early, &late) < 0);
	assert_int_equal(early.bytes[6] >> 4, 7);
	assert_int_equal(early.bytes[8] >> 6, 2);
}

static void uuid_next_is_greater_even_over_carries(void **state)
{
	struct uuid at = uuid_make_v7(1000, UINT64_MAX, UINT64_MAX);
	struct uuid next = uuid_next_v7(&at);
	struct uuid small = uuid_make_v7(1000, 0, 255), small_next = uuid_next_v7(&small);

	(void)state;
	assert_true(uuid_compare(&at, &next) < 0);
	assert_int_equal(next.bytes[6] >> 4, 7);
	assert_int_equal(next.bytes[8] >> 6, 2);
	assert_true(uuid_compare(&small, &small_next) < 0);
}

static void uuid_parse_takes_only_the_text_form(void **state)
{
	struct uuid parsed = UUID_NIL;
	char text[UUID_TEXT_BYTES];

	(void)state;
	assert_true(uuid_parse(str_of("2ED6657D-e927-568b-95e1-2665a8aea6a2"), &parsed));
	uuid_format(&parsed, text);
	assert_string_equal(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
	assert_false(uuid_parse(str_of("2ed6657de927568b95e12665a8aea6a2"), &parsed));
	assert_false(uuid_parse(str_of("2ed6657d-e927-568b-95e1-2665a8aea6ag"), &parsed));
	assert_false(uuid_parse(str_of("2ed6657d+e927-568b-95e1-2665a8aea6a2"), &parsed));
	assert_false(uuid_parse(STR_NONE, &parsed));
}

static void digest_separates_fields(void **state)
{
	struct digest one, two;
	char a[DIGEST_HEX_BYTES], b[DIGEST_HEX_BYTES];

	(void)state;
	digest_init(&one);
	digest_add(&one, str_of("ab"));
	digest_add(&one, str_of("c"));
	digest_finish_hex(&one, a);
	digest_init(&two);
	digest_add(&two, str_of("a"));
	digest_add(&two, str_of("bc"));
	digest_finish_hex(&two, b);
	assert_string_not_equal(a, b);
	digest_init(&one);
	digest_add_raw(&one, "abc", 3);
	digest_finish_hex(&one, a);
	/* FIPS 180-2, appendix B.1. */
	assert_string_equal(a, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void err_is_printable_and_cut_at_a_character(void **state)
{
	struct err err;
	char wide[ERR_TEXT_BYTES + 1];

	(void)state;
	assert_int_equal(err_set(&err, -22, "a\x1b[31m\r%s", "b"), -22);
	assert_string_equal(err.text, "a?[31m?b");
	for (size_t i = 0; i + 1 < sizeof(wide); i += 2) {
		wide[i] = '\xc3';
		wide[i + 1] = '\xa4';
	}
	wide[ERR_TEXT_BYTES] = '\0';
	err_set(&err, 0, "%s", wide);
	assert_true(strlen(err.text) % 2 == 0);
	err_prefix(&err, "file:%d: ", 3);
	assert_memory_equal(err.text, "file:3: ", 8);
}

static void buf_grows_and_keeps_its_terminator(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf);
	for (int i = 0; i < 1000; i++)
		buf_append_format(&buf, "%d,", i);
	assert_int_equal(buf.len, strlen(buf.at));
	buf_consume(&buf, 4);
	assert_memory_equal(buf.at, "2,3,", 4);
	buf_clear(&buf);
	buf_append_be32(&buf, 0x01020304);
	assert_memory_equal(buf.at, "\1\2\3\4", 4);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX), -12);
	assert_true(buf.failed);
	buf_fini(&buf);
}

static void backoff_stays_between_floor_and_cap(void **state)
{
	struct backoff backoff = {.base_ns = 100, .cap_ns = 1000};
	struct rng rng = {7};

	(void)state;
	for (uint32_t tries = 1; tries < 200; tries++) {
		uint64_t wait = backoff_wait_ns(&backoff, tries, &rng);

		assert_true(wait >= 50 && wait <= 1000);
		if (tries == 1)
			assert_true(wait <= 100);
	}
}

static void list_keeps_its_order(void **state)
{
	struct list head, other, nodes[3];

	(void)state;
	list_init(&head);
	list_init(&other);
	list_append(&head, &nodes[0]);
	list_append(&other, &nodes[1]);
	list_append(&other, &nodes[2]);
	list_splice(&head, &other);
	assert_true(list_is_empty(&other));
	assert_ptr_equal(list_take_first(&head), &nodes[0]);
	list_remove(&nodes[1]);
	list_remove(&nodes[1]);
	assert_ptr_equal(list_take_first(&head), &nodes[2]);
	assert_null(list_take_first(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuid_v5_is_that_of_the_rfc),
		cmocka_unit_test(uuid_v7_is_ordered_by_time),
		cmocka_unit_test(uuid_next_is_greater_even_over_carries),
		cmocka_unit_test(uuid_parse_takes_only_the_text_form),
		cmocka_unit_test(digest_separates_fields),
		cmocka_unit_test(err_is_printable_and_cut_at_a_character),
		cmocka_unit_test(buf_grows_and_keeps_its_terminator),
		cmocka_unit_test(backoff_stays_between_floor_and_cap),
		cmocka_unit_test(list_keeps_its_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
