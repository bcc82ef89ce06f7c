#include "config.h"

#include "config_load.h"
#include "config_value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void config_fault(struct config_loader *loader, const char *place, const char *fmt, ...)
{
	char text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose */
	va_end(args);
	buf_append_format(loader->faults, "%s: %s\n", place, text);
	loader->n_faults++;
}

void config_place(const struct config_origin *origin, struct buf *out)
{
	switch (origin->kind) {
	case CONFIG_FROM_DEFAULT:
		buf_append_text(out, "default");
		return;
	case CONFIG_FROM_FILE:
		buf_append_format(out, "%s:%u", origin->file, origin->line);
		return;
	case CONFIG_FROM_ENVIRONMENT:
		buf_append_format(out, "environment %s", origin->name);
		return;
	case CONFIG_FROM_OPTION:
		buf_append_text(out, "command line");
		return;
	}
	MUST(!"an origin that is none");
}

static void origin_set(struct config_loader *loader, size_t index, const struct config_origin *origin)
{
	struct config_origin *at = &loader->config->origins[index];
	char *file = origin->file != NULL ? strdup(origin->file) : NULL;

	if (origin->file != NULL && file == NULL) {
		loader->is_out_of_memory = true;
		return;
	}
	free(at->file);
	*at = *origin;
	at->file = file;
}

void config_assign(struct config_loader *loader, size_t index, struct str text, const struct config_origin *origin)
{
	const struct config_key *key = &config_keys[index];
	struct buf place = {0};
	struct err err;
	int rc;

	if (loader->config->origins[index].kind > origin->kind)
		return;
	rc = config_value_set(loader->config, index, text, &err);
	if (rc == 0) {
		origin_set(loader, index, origin);
		return;
	}
	config_place(origin, &place);
	config_fault(loader, place.at != NULL ? place.at : "", "%s.%s: %s", key->section, key->name, err.text);
	loader->is_out_of_memory |= rc == -ENOMEM || place.failed;
	buf_fini(&place);
}

/* The table's own defaults: one that its own parser refuses is a bug. */
static int config_init(struct config *config)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		int rc = config_value_set(config, i, str_of(config_keys[i].fallback), NULL);

		MUST(rc != -EINVAL);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int config_load(const struct config_sources *sources, struct config *out_config, struct buf *out_faults)
{
	struct config_loader loader = {.config = out_config, .faults = out_faults};
	int rc;

	*out_config = (struct config){0};
	rc = config_init(out_config);
	if (rc != 0)
		goto fini;
	config_file_read(&loader, sources->file != NULL ? sources->file : CONFIG_DEFAULT_FILE, sources->file == NULL);
	if (sources->use_environment)
		config_env_read(&loader);
	for (size_t i = 0; i < sources->n_options; i++)
		config_option_read(&loader, sources->options[i]);
	config_secrets_read(&loader);
	if (loader.n_faults == 0)
		config_check(&loader);
	rc = loader.is_out_of_memory || out_faults->failed ? -ENOMEM : loader.n_faults > 0 ? -EINVAL : 0;
	if (rc == 0)
		return 0;
fini:
	config_fini(out_config);
	*out_config = (struct config){0};
	return rc;
}

static bool key_has_text(const struct config_key *key)
{
	return key->type == CONFIG_TEXT || key->type == CONFIG_CHOICE || key->type == CONFIG_SECRET ||
	       key->type == CONFIG_SECRET_FILE || key->type == CONFIG_WORDS;
}

void config_fini(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config_n_keys; i++) {
		char **text;

		free(config->origins[i].file);
		if (!key_has_text(&config_keys[i]))
			continue;
		text = config_value_text(config, config_keys[i].offset);
		if (*text != NULL && config_keys[i].type == CONFIG_SECRET)
			explicit_bzero(*text, strlen(*text));
		free(*text);
		*text = NULL;
	}
	config_services_fini(&config->sagas.services);
}
