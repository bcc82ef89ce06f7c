/* The configuration: values, sources and their order, faults and where they are, secrets. */
#include "config_fixture.h"

/* ---- values ---- */

static void an_empty_file_gives_the_defaults(void **state)
{
	const struct config *c = good(*state, "");

	assert_string_equal(c->daemon.jobs_socket, "/run/sagad/jobs.sock");
	assert_int_equal(c->daemon.jobs_mode, 0660);
	assert_int_equal(c->daemon.admin_mode, 0600);
	assert_int_equal(c->timeouts.cache_ttl_ms, 3600 * 1000);
	assert_int_equal(c->timeouts.late_write_window_ms, 60 * 1000);
	assert_int_equal(c->postgresql.port, 5432);
	assert_string_equal(c->qdrant.collection, "documents");
	assert_string_equal(c->redis.key_prefix, "sagad");
	assert_int_equal(c->origins[0].kind, CONFIG_FROM_DEFAULT);
}

static void units_are_read(void **state)
{
	const struct config *c =
		good(*state, "limits: { max_line = \"8MiB\"; max_graph = 65536; max_metadata = \"64 kB\";"
			     " max_bytes = \"2GiB\"; };\n"
			     "timeouts: { deadline = \"1500ms\"; store = 2500; max_deadline = \"2min\"; "
			     "keep_outcomes = \"7d\"; parked_retry = \"1h\"; };\n"
			     "daemon: { jobs_mode = \"0666\"; };\n");

	assert_int_equal(c->limits.max_line_bytes, 8 << 20);
	assert_int_equal(c->limits.max_graph_bytes, 65536);
	assert_int_equal(c->limits.max_metadata_bytes, 64000);
	assert_int_equal(c->limits.max_bytes, (uint64_t)2 << 30);
	assert_int_equal(c->timeouts.deadline_ms, 1500);
	assert_int_equal(c->timeouts.store_ms, 2500);
	assert_int_equal(c->timeouts.max_deadline_ms, 120 * 1000);
	assert_int_equal(c->timeouts.keep_outcomes_ms, (uint64_t)7 * 24 * 3600 * 1000);
	assert_int_equal(c->timeouts.parked_retry_ms, 3600 * 1000);
	assert_int_equal(c->daemon.jobs_mode, 0666);
}

static void users_may_be_names_numbers_and_lists(void **state)
{
	const struct config *c = good(*state, "daemon: { jobs_uids = (\"root\", 1234); admin_uids = 77;\n"
					      "jobs_gids = [\"root\", \"5\"]; };");

	assert_int_equal(c->daemon.jobs_uids.n, 2);
	assert_int_equal(c->daemon.jobs_uids.ids[0], 0);
	assert_int_equal(c->daemon.jobs_uids.ids[1], 1234);
	assert_int_equal(c->daemon.admin_uids.ids[0], 77);
	assert_int_equal(c->daemon.jobs_gids.ids[1], 5);
	bad(*state, "daemon: { jobs_uids = [\"no-such-user-here\"]; };", 1, "no user 'no-such-user-here'");
	bad(*state, "daemon: { jobs_gids = \"-1\"; };", 1, "no group '-1'");
	bad(*state, "daemon: { jobs_uids = \"4294967295\"; };", 1, "neither a name nor an id");
}

static void values_that_do_not_fit_are_refused(void **state)
{
	bad(*state, "limits: {\n max_line = \"12 apples\"; };", 2, "'12 apples' is no size");
	bad(*state, "limits: { max_line = \"\"; };", 1, "is no size");
	bad(*state, "limits: { max_line = -5; };", 1, "'-5' is no size");
	bad(*state, "limits: { max_line = \"99999999999999999999GiB\"; };", 1, "out of range: from 4KiB to 1GiB");
	bad(*state, "limits: { max_line = 64; };", 1, "limits.max_line: '64' is out of range: from 4KiB to 1GiB");
	bad(*state, "limits: { max_chunks = 0; };", 1, "out of range: from 1 to 1000000");
	bad(*state, "limits: { max_chunks = \"10x\"; };", 1, "no whole number");
	bad(*state, "limits: { max_chunks = 1.5; };", 1, "expected a whole number");
	bad(*state, "timeouts: { store = \"5 years\"; };", 1, "is no duration");
	bad(*state, "daemon: { jobs_mode = 660; };", 1, "octal mode in quotes");
	bad(*state, "daemon: { jobs_mode = \"0880\"; };", 1, "no file mode");
	bad(*state, "daemon: { jobs_mode = \"7777\"; };", 1, "out of range: from 0000 to 0777");
	bad(*state, "log: { level = \"loud\"; };", 1, "one of debug, info, warn, error");
	bad(*state, "daemon: { journal = true; };", 1, "expected a text in quotes");
	bad(*state, "daemon: { journal = \"\"; };", 1, "must not be empty");
	bad(*state, "daemon: { journal = \"a\\nb\"; };", 1, "control character at byte 2");
	bad(*state, "qdrant: { tls = \"maybe\"; };", 1, "neither true nor false");
	bad(*state, "qdrant: { tls = 1; };", 1, "expected true or false");
	bad(*state, "qdrant: { collection = [ \"a\", \"b\" ]; };", 1, "expected a text in quotes");
	bad(*state, "postgresql: { port = 65536; };", 1, "from 1 to 65535");
}

/* libconfig 1.5 reads 4294971392 as 4096. */
static void numbers_are_never_cut(void **state)
{
	const struct config *c;

	bad(*state, "limits: {\n\n  max_line = 4294971392;\n};", 3, "");
	c = good(*state, "limits: { max_bytes = 4294971392L; };");
	assert_int_equal(c->limits.max_bytes, 4294971392);
	c = good(*state, "limits: { max_bytes = \"4294971392\"; /* 12345678901 */ };");
	assert_int_equal(c->limits.max_bytes, 4294971392);
	c = good(*state, "limits: { max_chunks = 17; }; # 12345678901\n");
	assert_int_equal(c->limits.max_chunks, 17);
}

/* ---- names and syntax ---- */

static void unknown_names_are_refused_with_the_nearest(void **state)
{
	bad(*state, "limits: {\n max_lines = 5;\n};", 2, "limits.max_lines: unknown key; did you mean `max_line`?");
	bad(*state, "limit: { };", 1, "limit: unknown section; did you mean `limits`?");
	bad(*state, "qdrant: { sslmode = \"disable\"; };", 1, "belongs into the section `postgresql`");
	bad(*state, "journal = \"/x\";", 1, "it belongs into `daemon`");
	bad(*state, "zzzzzzzzzzzzzz: { };", 1, "unknown section; sagad --print-config-template");
	bad(*state, "redis: { zzzzzzzzzzzzzz = 1; };", 1, "unknown key; sagad --print-config-template");
	bad(*state, "redis = 5;", 1, "is a section");
}

static void syntax_errors_name_the_line(void **state)
{
	bad(*state, "limits: {\n max_line = 64MiB;\n};", 2, "quotes");
	bad(*state, "limits: { max_chunks = 1;\n max_chunks = 2; };", 2, "duplicate");
	bad(*state, "limits: {\n", 2, "");
}

static void all_faults_are_told_at_once(void **state)
{
	struct fixture *f = *state;

	setenv("POSTGRES_PORT", "none", 1);
	f->options[f->n_options++] = "redis.port=0";
	f->options[f->n_options++] = "rediss.port=1";
	f->options[f->n_options++] = "nonsense";
	bad(f, "limits: { max_chunks = 0; };\nlog: { level = \"x\"; }; daemon: { nix = 1; };", 2, "daemon.nix");
	assert_non_null(strstr(f->faults.at, ":1: limits.max_chunks"));
	assert_non_null(strstr(f->faults.at, ":2: log.level"));
	assert_non_null(strstr(f->faults.at, "environment POSTGRES_PORT: postgresql.port: 'none'"));
	assert_non_null(strstr(f->faults.at, "command line: redis.port: '0' is out of range: from 1 to 65535"));
	assert_non_null(strstr(f->faults.at, "did you mean `redis`?"));
	assert_non_null(strstr(f->faults.at, "-o wants section.key=value, not 'nonsense'"));
}

static void a_missing_file_is_a_fault_only_when_it_was_named(void **state)
{
	struct fixture *f = *state;
	const struct config_sources nameless = {.file = NULL};

	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "No such file"));
	strcpy(f->path, f->folder);
	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "is a folder"));
	if (access(CONFIG_DEFAULT_FILE, F_OK) != 0) {
		buf_clear(&f->faults);
		assert_int_equal(config_load(&nameless, &f->config, &f->faults), 0);
	}
}

static void included_files_are_named_in_faults(void **state)
{
	struct fixture *f = *state;

	put(f, "more.conf", 0600, "# nothing\nredis: { port = \"x\"; };\n");
	put(f, "sagad.conf", 0600, "@include \"more.conf\"\n");
	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "more.conf:2: redis.port"));
}

/* ---- precedence ---- */

static void later_sources_win(void **state)
{
	struct fixture *f = *state;
	size_t index = config_key_find(str_of("postgresql"), str_of("host"));
	const struct config *c = good(f, "\npostgresql: { host = \"from-file\"; };");

	assert_string_equal(c->postgresql.host, "from-file");
	assert_int_equal(c->origins[index].kind, CONFIG_FROM_FILE);
	assert_int_equal(c->origins[index].line, 2);
	setenv("POSTGRES_HOST", "from-environment", 1);
	c = good(f, "postgresql: { host = \"from-file\"; };");
	assert_string_equal(c->postgresql.host, "from-environment");
	assert_string_equal(c->origins[index].name, "POSTGRES_HOST");
	f->options[f->n_options++] = "postgresql.host=from=option";
	c = good(f, "postgresql: { host = \"from-file\"; };");
	assert_string_equal(c->postgresql.host, "from=option");
	assert_int_equal(c->origins[index].kind, CONFIG_FROM_OPTION);
	setenv("POSTGRES_HOST", "", 1);
	f->n_options = 0;
	c = good(f, "");
	assert_string_equal(c->postgresql.host, "localhost");
}

static void every_environment_name_is_taken(void **state)
{
	struct fixture *f = *state;
	const struct config *c;

	setenv("POSTGRES_USER", "u", 1);
	setenv("POSTGRES_PASSWORD", "p", 1);
	setenv("POSTGRES_DB", "d", 1);
	setenv("POSTGRES_PORT", "1", 1);
	setenv("QDRANT_HOST", "q", 1);
	setenv("QDRANT_PORT", "2", 1);
	setenv("QDRANT_API_KEY", "k", 1);
	setenv("NEO4J_URL", "https://n:7473", 1);
	setenv("NEO4J_USER", "nu", 1);
	setenv("NEO4J_PASSWORD", "np", 1);
	c = good(f, "");
	assert_string_equal(c->postgresql.user, "u");
	assert_string_equal(c->postgresql.password, "p");
	assert_string_equal(c->postgresql.database, "d");
	assert_int_equal(c->postgresql.port, 1);
	assert_string_equal(c->qdrant.host, "q");
	assert_int_equal(c->qdrant.port, 2);
	assert_string_equal(c->qdrant.api_key, "k");
	assert_string_equal(c->neo4j.url, "https://n:7473");
	assert_string_equal(c->neo4j.user, "nu");
	assert_string_equal(c->neo4j.password, "np");
}

static void a_redis_url_sets_its_parts(void **state)
{
	struct fixture *f = *state;
	const struct config *c;

	setenv("REDIS_URL", "redis://ann:p%40ss@[::1]:7000/3", 1);
	c = good(f, "redis: { host = \"h\"; port = 1; path = \"/p\"; };");
	assert_string_equal(c->redis.host, "::1");
	assert_int_equal(c->redis.port, 7000);
	assert_string_equal(c->redis.path, "");
	assert_string_equal(c->redis.user, "ann");
	assert_string_equal(c->redis.password, "p@ss");
	assert_int_equal(c->redis.database, 3);
	setenv("REDIS_URL", "unix:///run/redis.sock", 1);
	c = good(f, "redis: { password = \"kept\"; };");
	assert_string_equal(c->redis.path, "/run/redis.sock");
	assert_string_equal(c->redis.password, "kept");
	f->options[f->n_options++] = "redis.path=/other.sock";
	c = good(f, "");
	assert_string_equal(c->redis.path, "/other.sock");
	setenv("REDIS_URL", "rediss://h", 1);
	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "environment REDIS_URL: redis.tls: "));
	setenv("REDIS_URL", "redis://:hush@h:port", 1);
	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "environment REDIS_URL: "));
	assert_null(strstr(f->faults.at, "hush"));
}

/* ---- how values fit together ---- */

static void values_that_contradict_each_other_are_refused(void **state)
{
	bad(*state, "timeouts: {\n deadline = \"2h\"; };", 2, "longer than timeouts.max_deadline");
	bad(*state, "timeouts: { late_write_window = \"5s\"; };", 1, "shorter than timeouts.store");
	bad(*state, "retry: { base = \"3s\"; };", 1, "longer than retry.cap");
	bad(*state, "retry: { background_base = \"3min\"; };", 1, "longer than retry.background_cap");
	bad(*state, "schema: { dims = 15000; };\nlimits: { max_dims = 1000; };", 1, "more than limits.max_dims");
	bad(*state, "limits: { max_bytes = \"1MiB\"; };", 1, "less than limits.max_line");
	bad(*state, "daemon: { admin_socket = \"/run/sagad/jobs.sock\"; };", 1, "could administrate");
	bad(*state, "neo4j: { url = \"bolt://localhost:7687\"; };", 1, "not Bolt");
	bad(*state, "neo4j: { url = \"http://a:b@localhost:7474\"; };", 1, "neo4j.password_file");
	bad(*state, "redis: { fence_ttl = \"1min\"; };", 1, "a late write would stay");
	bad(*state, "redis: { staging_ttl = \"1min\"; };", 1, "before a long saga publishes it");
	bad(*state, "neo4j: { tombstones = \"1min\"; };", 1, "a late write would stay");
	bad(*state, "postgresql: { sslcert = \"/etc/passwd\"; };", 1, "needs postgresql.sslkey");
}

/* ---- secrets ---- */

static void secrets_come_from_files(void **state)
{
	struct fixture *f = *state;
	char text[256];
	const struct config *c;

	put(f, "password", 0640, "s3cret \n");
	snprintf(text, sizeof(text), "postgresql: { password_file = \"%s/password\"; };", f->folder);
	c = good(f, text);
	assert_string_equal(c->postgresql.password, "s3cret ");
	setenv("POSTGRES_PASSWORD", "stronger", 1);
	c = good(f, text);
	assert_string_equal(c->postgresql.password, "stronger");
	unsetenv("POSTGRES_PASSWORD");
	setenv("CREDENTIALS_DIRECTORY", f->folder, 1);
	c = good(f, "redis: { password_file = \"password\"; };");
	assert_string_equal(c->redis.password, "s3cret ");
	f->options[f->n_options++] = "redis.password_file=password";
	c = good(f, "redis: { password = \"weaker\"; };");
	assert_string_equal(c->redis.password, "s3cret ");
}

static void bad_secret_files_are_refused(void **state)
{
	struct fixture *f = *state;
	char text[256];

	snprintf(text, sizeof(text), "neo4j: { password_file = \"%s/password\"; };", f->folder);
	bad(f, text, 1, "No such file");
	put(f, "password", 0644, "s3cret\n");
	bad(f, text, 1, "chmod o-rwx");
	put(f, "password", 0600, "\n");
	bad(f, text, 1, "is empty");
	put(f, "password", 0600, "two\nlines\n");
	bad(f, text, 1, "control character");
	assert_null(strstr(f->faults.at, "two"));
	bad(f, "neo4j: { password_file = \"password\"; };", 1, "LoadCredential=password:PATH");
	put(f, "password", 0600, "s3cret\n");
	snprintf(text, sizeof(text), "neo4j: { password = \"x\"; password_file = \"%s/password\"; };", f->folder);
	bad(f, text, 1, "keep one of them");
}

static void a_secret_in_a_file_for_everybody_is_refused(void **state)
{
	struct fixture *f = *state;

	put(f, "sagad.conf", 0644, "qdrant: { api_key = \"k3y\"; };");
	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "chmod o-rwx"));
	assert_null(strstr(f->faults.at, "k3y"));
	put(f, "sagad.conf", 0644, "qdrant: { api_key = \"\"; };");
	assert_int_equal(load(f), 0);
	put(f, "sagad.conf", 0640, "qdrant: { api_key = \"k3y\"; };");
	assert_int_equal(load(f), 0);
}

static void a_secret_on_the_command_line_is_refused(void **state)
{
	struct fixture *f = *state;

	put(f, "sagad.conf", 0600, "");
	f->options[f->n_options++] = "redis.password=hush";
	assert_int_equal(load(f), -EINVAL);
	assert_non_null(strstr(f->faults.at, "can see the options"));
	assert_null(strstr(f->faults.at, "hush"));
}

/* ---- printing ---- */

static char *printed(void (*print)(const struct config *, FILE *), const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(config, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void template_print(const struct config *config, FILE *out)
{
	(void)config;
	config_print_template(out);
}

static void effective_values_show_origins_and_no_secrets(void **state)
{
	struct fixture *f = *state;
	char *text;

	f->options[f->n_options++] = "redis.port=7000";
	setenv("NEO4J_PASSWORD", "hush", 1);
	text = printed(config_print_effective, good(f, "\nlimits: { max_line = \"8MiB\"; };"));
	assert_null(strstr(text, "hush"));
	assert_non_null(strstr(text, "neo4j.password = ***"));
	assert_non_null(strstr(text, "# environment NEO4J_PASSWORD"));
	assert_non_null(strstr(text, "limits.max_line = \"8MiB\""));
	assert_non_null(strstr(text, "sagad.conf:2"));
	assert_non_null(strstr(text, "redis.port = 7000"));
	assert_non_null(strstr(text, "# command line"));
	assert_non_null(strstr(text, "postgresql.port = 5432"));
	free(text);
}

/* Each key of the template, freed of its comment sign, gives the default again. */
static void the_template_is_a_good_file(void **state)
{
	char *text = printed(template_print, NULL), *line, *rest = text;
	struct buf file = {0};
	const struct config *c;
	size_t n_keys = 0;

	while ((line = strsep(&rest, "\n")) != NULL) {
		bool is_key = line[0] == '\t' && line[1] == '#' && line[2] != ' ';

		n_keys += is_key;
		buf_append_format(&file, "%s\n", is_key ? line + 2 : line);
	}
	assert_int_equal(n_keys, config_n_keys);
	c = good(*state, file.at);
	for (size_t i = 0; i < config_n_keys; i++) {
		struct buf value = {0};

		assert_int_equal(c->origins[i].kind, CONFIG_FROM_FILE);
		config_value_append(c, i, &value);
		assert_string_equal(value.at != NULL ? value.at : "", config_keys[i].fallback);
		buf_fini(&value);
	}
	buf_fini(&file);
	free(text);
}

/* conf/sagad.conf is what `sagad --print-config-template` prints. */
static void the_shipped_file_is_the_template(void **state)
{
	char *text = printed(template_print, NULL), *shipped = calloc(1, strlen(text) + 2);
	FILE *file = fopen(SAGAD_CONF, "r");

	(void)state;
	assert_non_null(file);
	assert_non_null(shipped);
	assert_int_equal(fread(shipped, 1, strlen(text) + 1, file), strlen(text));
	assert_int_equal(fclose(file), 0);
	assert_string_equal(shipped, text);
	free(shipped);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_file_gives_the_defaults),
		TEST(units_are_read),
		TEST(users_may_be_names_numbers_and_lists),
		TEST(values_that_do_not_fit_are_refused),
		TEST(numbers_are_never_cut),
		TEST(unknown_names_are_refused_with_the_nearest),
		TEST(syntax_errors_name_the_line),
		TEST(all_faults_are_told_at_once),
		TEST(a_missing_file_is_a_fault_only_when_it_was_named),
		TEST(included_files_are_named_in_faults),
		TEST(later_sources_win),
		TEST(every_environment_name_is_taken),
		TEST(a_redis_url_sets_its_parts),
		TEST(values_that_contradict_each_other_are_refused),
		TEST(secrets_come_from_files),
		TEST(bad_secret_files_are_refused),
		TEST(a_secret_in_a_file_for_everybody_is_refused),
		TEST(a_secret_on_the_command_line_is_refused),
		TEST(effective_values_show_origins_and_no_secrets),
		TEST(the_template_is_a_good_file),
		TEST(the_shipped_file_is_the_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
