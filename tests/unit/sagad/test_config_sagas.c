/* The section of sagas that clients write themselves. */
#include "config_fixture.h"

static void sagas_are_off_unless_allowed(void **state)
{
	const struct config *c = good(*state, "");

	assert_false(c->sagas.is_enabled);
	assert_string_equal(c->sagas.stores, "");
	assert_int_equal(c->sagas.services.n, 0);
	assert_int_equal(c->sagas.uids.n, 0);
}

static void stores_and_services_of_sagas_are_read(void **state)
{
	const struct config *c = good(
		*state, "sagas: { stores = [\"postgresql\", \"redis\"]; services = (\n"
			"{ name = \"pay\"; url = \"http://127.0.0.1:1\"; connections = 64; uids = [7, 8]; },\n"
			"{ name = \"stock\"; url = \"https://x/base\"; tls_verify = \"ca\"; idle_ms = 5000; } ); };");
	const struct config_service *pay = config_services_find(&c->sagas.services, str_of("pay"));
	struct config_services again = {0};
	struct buf text = {0}, second = {0};
	struct err err;

	assert_string_equal(c->sagas.stores, "postgresql,redis");
	assert_int_equal(c->sagas.services.n, 2);
	assert_non_null(pay);
	assert_string_equal(pay->url, "http://127.0.0.1:1");
	assert_int_equal(pay->connections, 64);
	assert_int_equal(pay->uids.n, 2);
	assert_int_equal(pay->uids.ids[1], 8);
	assert_string_equal(c->sagas.services.at[1].tls_verify, "ca");
	assert_int_equal(c->sagas.services.at[1].connections, 32);
	assert_null(config_services_find(&c->sagas.services, str_of("nobody")));
	config_services_append(&c->sagas.services, &text);
	assert_string_equal(text.at, "pay url=http://127.0.0.1:1 connections=64 uids=7,8; "
				     "stock url=https://x/base tls_verify=ca idle_ms=5000");
	assert_int_equal(config_services_set(&again, buf_str(&text), &err), 0);
	config_services_append(&again, &second);
	assert_string_equal(text.at, second.at);
	config_services_fini(&again);
	buf_fini(&text);
	buf_fini(&second);
}

#define SERVICE(members) "sagas: { services = (\n{ " members " } ); };"

static void faults_of_services_are_named(void **state)
{
	bad(*state, "sagas: { stores = [\"mysql\"]; };", 1, "some of postgresql, redis, neo4j, qdrant, documents");
	bad(*state, "sagas: { services = [\"x\"]; };", 1, "list of groups");
	bad(*state, "sagas: { services = (\n\"x\"); };", 2, "expected a group");
	bad(*state, SERVICE("url = \"http://x\";"), 2, "needs a name");
	bad(*state, SERVICE("name = \"a\"; ulr = \"x\";"), 2, "did you mean `url`");
	bad(*state, SERVICE("name = \"a\"; url = 1.5;"), 2, "expected a text");
	bad(*state, SERVICE("name = \"a\"; url = \"http://x b=1\";"), 2, "blank");
	bad(*state, SERVICE("name = \"a\"; url = \"x\";"), 1, "service 'a': url: 'x' must begin with http://");
	bad(*state, SERVICE("name = \"a\";"), 1, "must begin with http://");
	bad(*state, SERVICE("name = \"redis\"; url = \"http://x\";"), 1, "a store's name");
	bad(*state, SERVICE("name = \"a/b\"; url = \"http://x\";"), 1, "letters, digits");
	bad(*state, SERVICE("name = \"a\"; url = \"http://u@x\";"), 1, "no user");
	bad(*state, SERVICE("name = \"a\"; url = \"http://x\"; connections = 0;"), 1, "from 1 to 1024");
	bad(*state, SERVICE("name = \"a\"; url = \"http://x\"; tls_verify = \"no\";"), 1, "full, ca or none");
	bad(*state, SERVICE("name = \"a\"; url = \"http://x\"; uids = [\"nobody-here\"];"), 1, "no user");
	bad(*state, SERVICE("name = \"a\"; url = \"http://x\"; }, { name = \"a\"; url = \"http://y\";"), 1,
	    "two services");
	bad(*state, "sagas: { retry_base = \"1min\"; };", 1, "longer than sagas.retry_cap");
	bad(*state, "sagas: { barrier_ttl = \"1h\"; };", 1, "could run twice");
	bad(*state, "sagas: { deadline = \"2h\"; max_deadline = \"1h\"; };", 1, "longer than sagas.max_deadline");
}

static void secrets_of_services_come_from_files_and_are_not_shown(void **state)
{
	struct fixture *f = *state;
	const struct config *c;
	struct buf shown = {0};
	char text[256];

	snprintf(text, sizeof(text), SERVICE("name = \"a\"; url = \"http://x\"; secret_file = \"%s/token\";"),
		 f->folder);
	bad(f, text, 1, "service 'a': secret_file: ");
	put(f, "token", 0600, "t0ken\nX: y\n");
	bad(f, text, 1, "control character");
	put(f, "token", 0600, "t0ken\n");
	c = good(f, text);
	assert_string_equal(c->sagas.services.at[0].secret, "t0ken");
	config_services_append(&c->sagas.services, &shown);
	assert_null(strstr(shown.at, "t0ken"));
	buf_fini(&shown);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sagas_are_off_unless_allowed),
		TEST(stores_and_services_of_sagas_are_read),
		TEST(faults_of_services_are_named),
		TEST(secrets_of_services_come_from_files_and_are_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
