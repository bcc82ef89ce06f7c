#include "config_services.h"

#include "proto/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 63
#define TEXT_BYTES 1024

enum service_type { SERVICE_TEXT, SERVICE_VERIFY, SERVICE_COUNT, SERVICE_MS, SERVICE_USERS };

/* The name comes first in the text form and has no row here. */
static const struct service_key {
	const char *name;
	enum service_type type;
	size_t offset;
	uint64_t min, max, fallback;
} service_keys[] = {
	{"url", SERVICE_TEXT, offsetof(struct config_service, url), 0, 0, 0},
	{"ca_file", SERVICE_TEXT, offsetof(struct config_service, ca_file), 0, 0, 0},
	{"cert_file", SERVICE_TEXT, offsetof(struct config_service, cert_file), 0, 0, 0},
	{"key_file", SERVICE_TEXT, offsetof(struct config_service, key_file), 0, 0, 0},
	{"tls_verify", SERVICE_VERIFY, offsetof(struct config_service, tls_verify), 0, 0, 0},
	{"secret_file", SERVICE_TEXT, offsetof(struct config_service, secret_file), 0, 0, 0},
	{"secret_header", SERVICE_TEXT, offsetof(struct config_service, secret_header), 0, 0, 0},
	{"connections", SERVICE_COUNT, offsetof(struct config_service, connections), 1, 1024, 32},
	{"connect_timeout_ms", SERVICE_MS, offsetof(struct config_service, connect_timeout_ms), 10, 600000, 3000},
	{"idle_ms", SERVICE_MS, offsetof(struct config_service, idle_ms), 1000, 3600000, 2000},
	{"uids", SERVICE_USERS, offsetof(struct config_service, uids), 0, 0, 0},
};

static const char *const store_names[] = {"postgresql", "redis", "neo4j", "qdrant", "documents"};

static void *service_at(struct config_service *service, const struct service_key *key)
{
	return (char *)service + key->offset;
}

static const void *service_at_const(const struct config_service *service, const struct service_key *key)
{
	return (const char *)service + key->offset;
}

static bool service_key_is_text(const struct service_key *key)
{
	return key->type == SERVICE_TEXT || key->type == SERVICE_VERIFY;
}

static const struct service_key *service_key_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(service_keys); i++)
		if (str_is_equal(name, str_of(service_keys[i].name)))
			return &service_keys[i];
	return NULL;
}

bool config_services_has_key(struct str name, bool *out_is_users)
{
	const struct service_key *key = service_key_find(name);

	*out_is_users = key != NULL && key->type == SERVICE_USERS;
	return key != NULL;
}

const char *config_services_nearest(struct str name)
{
	const char *names[ARRAY_LEN(service_keys) + 1] = {"name"};

	for (size_t i = 0; i < ARRAY_LEN(service_keys); i++)
		names[i + 1] = service_keys[i].name;
	return nearest_name(name, names, ARRAY_LEN(names));
}

/* ---- life ---- */

static void service_fini(struct config_service *service)
{
	for (size_t i = 0; i < ARRAY_LEN(service_keys); i++)
		if (service_key_is_text(&service_keys[i]))
			free(*(char **)service_at(service, &service_keys[i]));
	free(service->name);
	if (service->secret != NULL)
		explicit_bzero(service->secret, strlen(service->secret));
	free(service->secret);
}

void config_services_fini(struct config_services *services)
{
	for (uint32_t i = 0; i < services->n; i++)
		service_fini(&services->at[i]);
	free(services->at);
	*services = (struct config_services){0};
}

static int text_set(char **at, const char *text, struct err *err)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	free(*at);
	*at = copy;
	return 0;
}

static int service_init(struct config_service *service, struct err *err)
{
	int rc = text_set(&service->secret, "", err);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(service_keys); i++) {
		const struct service_key *key = &service_keys[i];

		if (service_key_is_text(key))
			rc = text_set(service_at(service, key), key->type == SERVICE_VERIFY ? "full" : "", err);
		else if (key->type != SERVICE_USERS)
			*(uint64_t *)service_at(service, key) = key->fallback;
	}
	return rc;
}

/* ---- values ---- */

static int number_set(uint64_t *at, const struct service_key *key, const char *value, struct err *err)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || number < key->min || number > key->max)
		return err_set(err, -EINVAL, "%s: '%s' must be a whole number from %" PRIu64 " to %" PRIu64, key->name,
			       value, key->min, key->max);
	*at = number;
	return 0;
}

static int user_id(const char *word, uint32_t *out_id, struct err *err)
{
	const struct passwd *user;
	char *end;
	unsigned long long number = strtoull(word, &end, 10);

	if (isdigit((unsigned char)word[0]) && *end == '\0' && number < UINT32_MAX) {
		*out_id = (uint32_t)number;
		return 0;
	}
	user = getpwnam(word);
	if (user == NULL)
		return err_set(err, -EINVAL, "uids: there is no user '%s' on this machine: give its number", word);
	*out_id = user->pw_uid;
	return 0;
}

static int users_set(struct config_ids *ids, char *value, struct err *err)
{
	char *word;
	int rc = 0;

	ids->n = 0;
	while (rc == 0 && (word = strsep(&value, ",")) != NULL) {
		if (*word == '\0')
			continue;
		if (ids->n == CONFIG_IDS_MAX)
			return err_set(err, -EINVAL, "uids: has more than %d entries", CONFIG_IDS_MAX);
		rc = user_id(word, &ids->ids[ids->n++], err);
	}
	return rc;
}

static int value_set(struct config_service *service, const struct service_key *key, char *value, struct err *err)
{
	switch (key->type) {
	case SERVICE_COUNT:
	case SERVICE_MS:
		return number_set(service_at(service, key), key, value, err);
	case SERVICE_USERS:
		return users_set(service_at(service, key), value, err);
	case SERVICE_VERIFY:
		if (strcmp(value, "full") != 0 && strcmp(value, "ca") != 0 && strcmp(value, "none") != 0)
			return err_set(err, -EINVAL, "tls_verify: '%s' must be full, ca or none", value);
		return text_set(service_at(service, key), value, err);
	case SERVICE_TEXT:
		if (strlen(value) > TEXT_BYTES)
			return err_set(err, -EINVAL, "%s: is longer than %d bytes", key->name, TEXT_BYTES);
		return text_set(service_at(service, key), value, err);
	}
	MUST(!"a type that is none");
	return -EINVAL;
}

static int name_check(const struct config_services *before, const char *name, struct err *err)
{
	if (name[0] == '\0' || strlen(name) > NAME_BYTES)
		return err_set(err, -EINVAL, "a service needs a name of 1 to %d characters", NAME_BYTES);
	for (const char *at = name; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && strchr("_-.", *at) == NULL)
			return err_set(err, -EINVAL, "the name '%s' may have letters, digits, '_', '-' and '.' only",
				       name);
	for (size_t i = 0; i < ARRAY_LEN(store_names); i++)
		if (strcmp(name, store_names[i]) == 0)
			return err_set(err, -EINVAL, "'%s' is a store's name; choose another", name);
	if (config_services_find(before, str_of(name)) != NULL)
		return err_set(err, -EINVAL, "there are two services of the name '%s'", name);
	return 0;
}

static int service_check(const struct config_service *service, struct err *err)
{
	const char *url = service->url;

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return err_set(err, -EINVAL, "url: '%s' must begin with http:// or https://", url);
	if (strchr(url, '@') != NULL || strpbrk(url, "?#") != NULL)
		return err_set(err, -EINVAL, "url: may have no user (give secret_file), no '?' and no '#'");
	if (service->key_file[0] != '\0' && service->cert_file[0] == '\0')
		return err_set(err, -EINVAL, "key_file: needs cert_file, too");
	if (service->secret_header[0] != '\0' && service->secret_file[0] == '\0')
		return err_set(err, -EINVAL, "secret_header: needs secret_file, too");
	return 0;
}

/* ---- from text ---- */

static int word_read(struct config_service *service, char *word, struct err *err)
{
	char *value = strchr(word, '=');
	const struct service_key *key;

	if (value == NULL)
		return err_set(err, -EINVAL, "'%s' is not KEY=VALUE", word);
	*value++ = '\0';
	key = service_key_find(str_of(word));
	if (key == NULL) {
		const char *near = config_services_nearest(str_of(word));

		return err_set(err, -EINVAL, "a service has no key '%s'%s%s%s", word,
			       near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
			       near != NULL ? "'?" : "");
	}
	return value_set(service, key, value, err);
}

static int service_read(struct config_services *services, char *text, struct err *err)
{
	struct config_service *service = &services->at[services->n];
	char *word = NULL;
	int rc;

	while (text != NULL && (word = strsep(&text, " ")) != NULL && *word == '\0')
		;
	rc = name_check(services, word != NULL ? word : "", err);
	if (rc != 0)
		return rc;
	services->n++; /* from here on its texts go with the others */
	rc = service_init(service, err);
	if (rc == 0)
		rc = text_set(&service->name, word, err);
	while (rc == 0 && (word = strsep(&text, " ")) != NULL)
		if (*word != '\0')
			rc = word_read(service, word, err);
	if (rc == 0)
		rc = service_check(service, err);
	if (rc == -EINVAL)
		err_prefix(err, "service '%s': ", service->name);
	return rc;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " ")] == '\0';
}

static int services_read(struct config_services *made, char *text, struct err *err)
{
	char *entry;
	int rc = 0;

	made->at = calloc(CONFIG_SERVICES_MAX, sizeof(*made->at));
	if (made->at == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	while (rc == 0 && (entry = strsep(&text, ";")) != NULL) {
		if (is_blank(entry))
			continue;
		if (made->n == CONFIG_SERVICES_MAX)
			return err_set(err, -EINVAL, "has more than %d services", CONFIG_SERVICES_MAX);
		rc = service_read(made, entry, err);
	}
	return rc;
}

int config_services_set(struct config_services *services, struct str text, struct err *err)
{
	struct config_services made = {0};
	char *copy = strndup(text.at != NULL ? text.at : "", text.len);
	int rc = copy == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;

	if (rc == 0 && !is_blank(copy))
		rc = services_read(&made, copy, err);
	free(copy);
	if (rc != 0) {
		config_services_fini(&made);
		return rc;
	}
	config_services_fini(services);
	*services = made;
	return 0;
}

/* ---- to text ---- */

static bool value_is_fallback(const struct config_service *service, const struct service_key *key)
{
	const void *at = service_at_const(service, key);

	if (key->type == SERVICE_USERS)
		return ((const struct config_ids *)at)->n == 0;
	if (service_key_is_text(key))
		return strcmp(*(char *const *)at, key->type == SERVICE_VERIFY ? "full" : "") == 0;
	return *(const uint64_t *)at == key->fallback;
}

static void value_append(const struct config_service *service, const struct service_key *key, struct buf *out)
{
	const void *at = service_at_const(service, key);
	const struct config_ids *ids = at;

	if (value_is_fallback(service, key))
		return;
	buf_append_format(out, " %s=", key->name);
	if (service_key_is_text(key))
		buf_append_text(out, *(char *const *)at);
	else if (key->type != SERVICE_USERS)
		buf_append_format(out, "%" PRIu64, *(const uint64_t *)at);
	for (uint32_t i = 0; key->type == SERVICE_USERS && i < ids->n; i++)
		buf_append_format(out, "%s%" PRIu32, i > 0 ? "," : "", ids->ids[i]);
}

void config_services_append(const struct config_services *services, struct buf *out)
{
	for (uint32_t i = 0; i < services->n; i++) {
		buf_append_format(out, "%s%s", i > 0 ? "; " : "", services->at[i].name);
		for (size_t k = 0; k < ARRAY_LEN(service_keys); k++)
			value_append(&services->at[i], &service_keys[k], out);
	}
}

const struct config_service *config_services_find(const struct config_services *services, struct str name)
{
	for (uint32_t i = 0; i < services->n; i++)
		if (str_is_equal(name, str_of(services->at[i].name)))
			return &services->at[i];
	return NULL;
}
