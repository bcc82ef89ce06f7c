/* What the parts of the daemon get from a configuration, and that its defaults are the parts' own. */
#include "sagad/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int config_open(void **state)
{
	static struct config config;
	static const struct config_sources sources = {.file = "/dev/null"};
	struct buf faults = {0};

	assert_int_equal(config_load(&sources, &config, &faults), 0);
	*state = &config;
	return 0;
}

static int config_close(void **state)
{
	config_fini(*state);
	return 0;
}

static void the_limits_are_those_of_the_protocol(void **state)
{
	struct document_limits ours = settings_limits(*state), theirs = document_limits_default();

	assert_int_equal(ours.max_content_bytes, theirs.max_content_bytes);
	assert_int_equal(ours.max_chunks, theirs.max_chunks);
	assert_int_equal(ours.max_dims, theirs.max_dims);
	assert_int_equal(ours.dims, theirs.dims);
	assert_int_equal(ours.max_entities, theirs.max_entities);
	assert_int_equal(ours.max_relationships, theirs.max_relationships);
	assert_int_equal(ours.max_name_bytes, theirs.max_name_bytes);
	assert_int_equal(ours.max_graph_bytes, theirs.max_graph_bytes);
	assert_int_equal(ours.max_vector_json_bytes, theirs.max_vector_json_bytes);
	assert_int_equal(ours.max_metadata_depth, theirs.max_metadata_depth);
	assert_int_equal(ours.max_metadata_bytes, theirs.max_metadata_bytes);
	assert_true(ours.refuse_zero_vectors == theirs.refuse_zero_vectors);
}

static void the_engine_gets_its_own_defaults(void **state)
{
	struct engine_config ours = settings_engine(*state), theirs = engine_config_default();

	assert_int_equal(ours.max_sagas, theirs.max_sagas);
	assert_int_equal(ours.max_bytes, theirs.max_bytes);
	assert_int_equal(ours.max_waiting, theirs.max_waiting);
	assert_int_equal(ours.max_errands, theirs.max_errands);
	assert_int_equal(ours.deadline_ms, theirs.deadline_ms);
	assert_int_equal(ours.max_deadline_ms, theirs.max_deadline_ms);
	assert_int_equal(ours.store_timeout_ms, theirs.store_timeout_ms);
	assert_int_equal(ours.truth_timeout_ms, theirs.truth_timeout_ms);
	assert_int_equal(ours.max_tries, theirs.max_tries);
	assert_int_equal(ours.retry.base_ns, theirs.retry.base_ns);
	assert_int_equal(ours.retry.cap_ns, theirs.retry.cap_ns);
	assert_int_equal(ours.background.base_ns, theirs.background.base_ns);
	assert_int_equal(ours.background.cap_ns, theirs.background.cap_ns);
	assert_int_equal(ours.late_write_window_ms, theirs.late_write_window_ms);
	assert_int_equal(ours.park_after_ms, theirs.park_after_ms);
	assert_int_equal(ours.parked_retry_ms, theirs.parked_retry_ms);
	assert_int_equal(ours.keep_outcomes_ms, theirs.keep_outcomes_ms);
	assert_int_equal(ours.cache_ttl_s, theirs.cache_ttl_s);
}

static void only_cosine_refuses_zero_vectors(void **state)
{
	struct config *config = *state;
	char *distance = config->schema.distance;
	char dot[] = "dot";

	config->schema.distance = dot;
	assert_false(settings_limits(config).refuse_zero_vectors);
	assert_string_equal(settings_schema(config).distance, "dot");
	config->schema.distance = distance;
	assert_true(settings_limits(config).refuse_zero_vectors);
}

static void clients_leave_descriptors_for_the_stores(void **state)
{
	const struct config *config = *state;

	assert_true(settings_spare_fds(config) > config->postgresql.connections + config->postgresql.read_connections +
							 config->qdrant.connections + config->neo4j.connections +
							 config->redis.connections + 16);
	assert_int_equal(settings_server(config).spare_fds, settings_spare_fds(config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limits_are_those_of_the_protocol),
		cmocka_unit_test(the_engine_gets_its_own_defaults),
		cmocka_unit_test(only_cosine_refuses_zero_vectors),
		cmocka_unit_test(clients_leave_descriptors_for_the_stores),
	};

	return cmocka_run_group_tests(tests, config_open, config_close);
}
