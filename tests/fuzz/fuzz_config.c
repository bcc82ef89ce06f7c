/* The configuration: any file is taken or refused with a line for each fault, and what is taken prints itself in a form
 * that is taken again; so do options on the command line, addresses and Redis' URL. */
#include "feed.h"

#include "base/buf.h"
#include "net/http_address.h"
#include "sagad/config.h"
#include "sagad/config_keys.h"
#include "sagad/config_value.h"
#include "stores/redis/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTIONS_MAX 4

/* libconfig forgets the text that it was reading when the file ends inside of it; the daemon reads a file at its start
 * and at a reload. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig";
}

/* A file in memory, and the name under which it can be opened. */
struct file {
	int fd;
	char path[32];
};

static struct file make_file(struct str content)
{
	struct file file = {.fd = memfd_create("sagad.conf", MFD_CLOEXEC)};

	MUST(file.fd >= 0 && write(file.fd, content.at, content.len) == (ssize_t)content.len);
	(void)fchmod(file.fd, 0600); /* or a file with secrets is refused for its mode */
	(void)snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

static void check_faults(const struct buf *faults)
{
	MUST(!faults->failed && faults->len > 0 && faults->at[faults->len - 1] == '\n');
	MUST(strlen(faults->at) == faults->len);
}

/* Each value in the form in which it would be printed is taken, and printed the same. */
static void check_values(struct config *config)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		struct buf first = {0}, second = {0};
		struct err err;

		config_value_append(config, i, &first);
		MUST(!first.failed);
		MUST(config_value_set(config, i, first.at != NULL ? buf_str(&first) : str_of(""), &err) == 0);
		config_value_append(config, i, &second);
		MUST(str_is_equal(buf_str(&first), buf_str(&second)));
		buf_fini(&first);
		buf_fini(&second);
	}
}

/* Lines of the form "section.key=value". */
static size_t take_options(struct feed *feed, char *const *storage, const char **out_options)
{
	size_t n = feed_below(feed, OPTIONS_MAX + 1);

	for (size_t i = 0; i < n; i++) {
		struct str text = feed_bytes(feed, feed_below(feed, 48));
		memcpy(storage[i], text.at, text.len);
		storage[i][text.len] = '\0';
		out_options[i] = storage[i];
	}
	return n;
}

static void check_texts(struct str text)
{
	struct http_address address;
	struct redis_url url;
	struct err err = {0};
	char *copy = strndup(text.at, text.len);

	MUST(copy != NULL);
	if (redis_url_parse(copy, &url, &err) != 0)
		MUST(strlen(err.text) > 0);
	if (http_address_parse(copy, &address, &err) != 0)
		MUST(strlen(err.text) > 0);
	(void)http_host_is_local(text); /* either answer will do */
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	/* An @include could read anything on this machine, a device without an end among it. */
	bool has_include = size > 0 && memmem(data, size, "@include", 8) != NULL;
	char memory[OPTIONS_MAX][64], *storage[OPTIONS_MAX] = {memory[0], memory[1], memory[2], memory[3]};
	const char *options[OPTIONS_MAX];
	struct config_sources sources = {.options = options, .n_options = take_options(&feed, storage, options)};
	struct str rest = {(const char *)feed.at, has_include ? 0 : feed.len};
	struct file file = make_file(rest);
	struct buf faults = {0};
	struct config config;
	int rc;

	sources.file = file.path;
	rc = config_load(&sources, &config, &faults);
	MUST(rc == 0 || rc == -EINVAL);
	if (rc == 0)
		check_values(&config);
	else
		check_faults(&faults);
	check_texts(rest);
	config_fini(&config);
	buf_fini(&faults);
	(void)close(file.fd);
	return 0;
}
