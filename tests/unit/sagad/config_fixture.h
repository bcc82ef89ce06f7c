/* Configurations in files of their own: what the tests of the configuration share. */
#ifndef SAGAD_TEST_CONFIG_FIXTURE_H
#define SAGAD_TEST_CONFIG_FIXTURE_H

#include "sagad/config.h"
#include "sagad/config_keys.h"
#include "sagad/config_value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* One configuration in a folder of its own. */
struct fixture {
	char folder[64];
	char path[128];
	struct config config;
	struct buf faults;
	const char *options[4];
	size_t n_options;
};

static inline int fixture_open(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->folder, "/tmp/test-config-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/sagad.conf", f->folder);
	for (size_t i = 0; i < config_n_keys; i++)
		if (config_keys[i].env != NULL)
			unsetenv(config_keys[i].env);
	unsetenv("REDIS_URL");
	unsetenv("CREDENTIALS_DIRECTORY");
	*state = f;
	return 0;
}

static inline int fixture_close(void **state)
{
	struct fixture *f = *state;
	char command[128];

	config_fini(&f->config);
	buf_fini(&f->faults);
	snprintf(command, sizeof(command), "rm -r %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* Writes a file of the folder. */
static inline const char *put(struct fixture *f, const char *name, mode_t mode, const char *text)
{
	static char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static inline int load(struct fixture *f)
{
	const struct config_sources sources = {
		.file = f->path, .use_environment = true, .options = f->options, .n_options = f->n_options};

	config_fini(&f->config);
	buf_clear(&f->faults);
	return config_load(&sources, &f->config, &f->faults);
}

/* Loads a file's text, which must be good. */
static inline const struct config *good(struct fixture *f, const char *text)
{
	put(f, "sagad.conf", 0600, text);
	if (load(f) != 0)
		fail_msg("refused: %s", f->faults.at);
	return &f->config;
}

/* Loads a file's text, which must be refused with these words, at this line. */
static inline void bad(struct fixture *f, const char *text, unsigned line, const char *words)
{
	char place[160];

	put(f, "sagad.conf", 0600, text);
	assert_int_equal(load(f), -EINVAL);
	snprintf(place, sizeof(place), "%s:%u: ", f->path, line);
	if (strstr(f->faults.at, place) == NULL || strstr(f->faults.at, words) == NULL)
		fail_msg("expected '%s...%s', got: %s", place, words, f->faults.at);
}

#endif
