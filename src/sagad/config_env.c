/* Environment variables and command-line options. */
#include "config_load.h"

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
}
