/* Environment variables and command-line options. */
#include "config_load.h"

#include "stores/redis/redis_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

static void option_unknown(struct config_loader *loader, const char *place, struct str section, struct str name)
{
	bool is_section = config_section_is_known(section);
	const char *near = is_section ? config_key_nearest(section, name) : config_key_nearest(str_of(""), section);

	if (near == NULL)
		config_fault(loader, place, "unknown key; sagad --print-config-template shows all");
	else if (is_section)
		config_fault(loader, place, "unknown key; did you mean `%.*s.%s`?", STR_ARG(section), near);
	else
		config_fault(loader, place, "unknown section; did you mean `%s`?", near);
}

void config_option_read(struct config_loader *loader, const char *option)
{
	const struct config_origin origin = {.kind = CONFIG_FROM_OPTION};
	const char *dot = strchr(option, '.'), *equals = strchr(option, '=');
	char place[160];
	size_t index;

	if (dot == NULL || equals == NULL || dot > equals) {
		config_fault(loader, "command line", "-o wants section.key=value, not '%s'", option);
		return;
	}
	(void)snprintf(place, sizeof(place), "command line: %.*s", (int)(equals - option), option); /* cut on purpose */
	index = config_key_find((struct str){option, (size_t)(dot - option)},
				(struct str){dot + 1, (size_t)(equals - dot - 1)});
	if (index == config_n_keys)
		option_unknown(loader, place, (struct str){option, (size_t)(dot - option)},
			       (struct str){dot + 1, (size_t)(equals - dot - 1)});
	else if (config_keys[index].type == CONFIG_SECRET)
		config_fault(loader, place,
			     "everybody can see the options of a running program: give a secret in a "
			     "file or in the environment");
	else
		config_assign(loader, index, str_of(equals + 1), &origin);
}

/* ---- environment ---- */

static void redis_assign(struct config_loader *loader, const char *name, const char *value)
{
	const struct config_origin origin = {.kind = CONFIG_FROM_ENVIRONMENT, .name = "REDIS_URL"};

	config_assign(loader, config_key_find(str_of("redis"), str_of(name)), str_of(value), &origin);
}

/* One variable for six keys. User and password stay as they were when the URL has none: they may come from a file. */
static void redis_url_read(struct config_loader *loader, const char *text)
{
	struct redis_url url;
	struct err err;
	char number[16];

	if (redis_url_parse(text, &url, &err) != 0) {
		config_fault(loader, "environment REDIS_URL", "%s", err.text);
		return;
	}
	if (url.is_tls)
		redis_assign(loader, "tls", "true");
	redis_assign(loader, "path", url.path);
	if (url.path[0] == '\0') {
		redis_assign(loader, "host", url.host);
		(void)snprintf(number, sizeof(number), "%u", (unsigned)url.port); /* fits, as does the next */
		redis_assign(loader, "port", number);
	}
	if (url.user[0] != '\0')
		redis_assign(loader, "user", url.user);
	if (url.password[0] != '\0')
		redis_assign(loader, "password", url.password);
	(void)snprintf(number, sizeof(number), "%u", url.db);
	redis_assign(loader, "database", number);
	explicit_bzero(&url, sizeof(url));
}

void config_env_read(struct config_loader *loader)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const char *name = config_keys[i].env;
		const char *value = name != NULL ? getenv(name) : NULL;
		const struct config_origin origin = {.kind = CONFIG_FROM_ENVIRONMENT, .name = name};

		/* An empty variable is how compose files and units say "not set". */
		if (value != NULL && *value != '\0')
			config_assign(loader, i, str_of(value), &origin);
	}
	if (getenv("REDIS_URL") != NULL && *getenv("REDIS_URL") != '\0')
		redis_url_read(loader, getenv("REDIS_URL"));
}
