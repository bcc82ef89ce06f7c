/* A configuration that is read again while the daemon runs. */
#include "config_load.h"
#include "config_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool value_is_same(const struct config *a, const struct config *b, size_t index, bool *out_no_memory)
{
	struct buf left = {0}, right = {0};
	bool is_same;

	config_value_append(a, index, &left);
	config_value_append(b, index, &right);
	*out_no_memory |= left.failed || right.failed;
	is_same = left.len == right.len && (left.len == 0 || memcmp(left.at, right.at, left.len) == 0);
	if (left.at != NULL)
		explicit_bzero(left.at, left.len); /* it may be a secret, as may the other */
	if (right.at != NULL)
		explicit_bzero(right.at, right.len);
	buf_fini(&left);
	buf_fini(&right);
	return is_same;
}

/* Gives `to` the value of `from`, with its origin. */
static void value_keep(struct config_loader *loader, const struct config *from, size_t index)
{
	struct config *to = loader->config;
	struct config_origin *origin = &to->origins[index];
	struct buf text = {0};
	char *file = from->origins[index].file;

	config_value_append(from, index, &text);
	if (text.failed || config_value_set(to, index, text.at != NULL ? buf_str(&text) : str_of(""), NULL) != 0)
		loader->is_out_of_memory = true; /* it was valid before */
	free(origin->file);
	*origin = from->origins[index];
	origin->file = file != NULL ? strdup(file) : NULL;
	loader->is_out_of_memory |= file != NULL && origin->file == NULL;
	buf_fini(&text);
}

/* What can't change stays as it is in the new configuration, too; both kinds of change are noted. */
static void values_merge(struct config_loader *loader, const struct config *current, struct config_changes *changes)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		if (value_is_same(current, loader->config, i, &loader->is_out_of_memory))
			continue;
		if (config_keys[i].is_reloadable) {
			changes->applied[changes->n_applied++] = i;
		} else {
			changes->pending[changes->n_pending++] = i;
			value_keep(loader, current, i);
		}
	}
}

static size_t value_size(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		return sizeof(uint64_t);
	case CONFIG_BOOL:
		return sizeof(bool);
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
	case CONFIG_SECRET:
	case CONFIG_SECRET_FILE:
	case CONFIG_WORDS:
		return sizeof(char *); /* its ownership goes along */
	case CONFIG_USERS:
	case CONFIG_GROUPS:
		return sizeof(struct config_ids);
	case CONFIG_SERVICES:
		return sizeof(struct config_services);
	}
	MUST(!"a type that is none");
	return 0;
}

static void bytes_swap(void *a, void *b, size_t n_bytes)
{
	unsigned char *left = a, *right = b;

	for (size_t i = 0; i < n_bytes; i++) {
		unsigned char byte = left[i];

		left[i] = right[i];
		right[i] = byte;
	}
}

/* Texts that haven't changed stay where they are: parts of the daemon may have borrowed them. */
static void values_adopt(struct config *config, struct config *made, const struct config_changes *changes)
{
	for (uint32_t i = 0; i < changes->n_applied; i++) {
		const struct config_key *key = &config_keys[changes->applied[i]];

		bytes_swap((char *)config + key->offset, (char *)made + key->offset, value_size(key));
	}
	bytes_swap(config->origins, made->origins, sizeof(config->origins));
}

int config_reload(struct config *config, const struct config_sources *sources, struct config_changes *out_changes,
		  struct buf *out_faults)
{
	struct config made;
	struct config_loader loader = {.config = &made, .faults = out_faults};
	int rc = config_load(sources, &made, out_faults);

	*out_changes = (struct config_changes){0};
	if (rc != 0)
		return rc;
	values_merge(&loader, config, out_changes);
	/* Each half was well; new values beside old ones that stay until a restart may not be. */
	if (out_changes->n_pending > 0)
		config_check(&loader);
	rc = loader.is_out_of_memory || out_faults->failed ? -ENOMEM : loader.n_faults > 0 ? -EINVAL : 0;
	if (rc == 0)
		values_adopt(config, &made, out_changes);
	config_fini(&made);
	return rc;
}
