#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The first of equal factors is the one that is printed; ascending. */
static const struct unit byte_units[] = {
	{"B", 1},
	{"kB", 1000},
	{"KiB", 1024},
	{"MB", 1000 * 1000},
	{"MiB", 1024 * 1024},
	{"GB", 1000 * 1000 * 1000},
	{"GiB", 1024 * 1024 * 1024},
};
static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"min", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
};

static const struct unit *value_units(const struct config_key *key, size_t *out_n)
{
	if (key->type == CONFIG_BYTES) {
		*out_n = ARRAY_LEN(byte_units);
		return byte_units;
	}
	if (key->type == CONFIG_DURATION) {
		*out_n = ARRAY_LEN(duration_units);
		return duration_units;
	}
	*out_n = 0;
	return NULL;
}

/* The fields live in one struct at the offsets of the table: these three are the only places that know it. */
static void *value_at(struct config *config, size_t offset)
{
	return (char *)config + offset;
}

static const void *value_at_const(const struct config *config, size_t offset)
{
	return (const char *)config + offset;
}

char **config_value_text(struct config *config, size_t offset)
{
	return value_at(config, offset);
}

/* ---- numbers ---- */

static int number_refuse(const struct config_key *key, struct str text, struct err *err)
{
	switch (key->type) {
	case CONFIG_BYTES:
		return err_set(
			err, -EINVAL,
			"'%.*s' is no size: give a number with B, KiB, MiB or GiB (kB, MB, GB), such as \"64MiB\"",
			STR_ARG(text));
	case CONFIG_DURATION:
		return err_set(err, -EINVAL,
			       "'%.*s' is no duration: give a number with ms, s, min, h or d, such as \"30s\"",
			       STR_ARG(text));
	case CONFIG_MODE:
		return err_set(err, -EINVAL, "'%.*s' is no file mode: give it in octal and in quotes, such as \"0660\"",
			       STR_ARG(text));
	case CONFIG_COUNT:
	case CONFIG_BOOL:
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
	case CONFIG_SECRET:
	case CONFIG_SECRET_FILE:
	case CONFIG_USERS:
	case CONFIG_GROUPS:
	case CONFIG_WORDS:
	case CONFIG_SERVICES:
		break;
	}
	return err_set(err, -EINVAL, "'%.*s' is no whole number", STR_ARG(text));
}

/* The factor of a unit's name; 0 for an unknown one. Without a name: 1. */
static uint64_t number_factor(const struct config_key *key, struct str name)
{
	size_t n_units;
	const struct unit *units = value_units(key, &n_units);

	if (name.len == 0)
		return 1;
	for (size_t i = 0; i < n_units; i++)
		if (str_is_equal(name, str_of(units[i].name)))
			return units[i].factor;
	return 0;
}

/* Digits, then perhaps blanks and a unit. False when it is something else; a number beyond 64 bits is the greatest. */
static bool number_parse(const struct config_key *key, struct str text, uint64_t *out_number)
{
	uint64_t base = key->type == CONFIG_MODE ? 8 : 10, number = 0, factor;
	size_t at = 0;

	for (; at < text.len && isdigit((unsigned char)text.at[at]); at++) {
		uint64_t digit = (uint64_t)(text.at[at] - '0');

		if (digit >= base)
			return false;
		if (__builtin_mul_overflow(number, base, &number) || __builtin_add_overflow(number, digit, &number))
			number = UINT64_MAX;
	}
	if (at == 0)
		return false;
	while (at < text.len && text.at[at] == ' ')
		at++;
	factor = number_factor(key, (struct str){text.at + at, text.len - at});
	if (factor == 0)
		return false;
	if (__builtin_mul_overflow(number, factor, &number))
		number = UINT64_MAX;
	*out_number = number;
	return true;
}

static int number_set(struct config *config, const struct config_key *key, struct str text, struct err *err)
{
	struct buf range = {0};
	uint64_t number;
	int rc;

	if (!number_parse(key, text, &number))
		return number_refuse(key, text, err);
	if (number >= key->min && number <= key->max) {
		*(uint64_t *)value_at(config, key->offset) = number;
		return 0;
	}
	config_value_append_range(key, &range);
	rc = err_set(err, -EINVAL, "'%.*s' is out of range: %s", STR_ARG(text), range.at != NULL ? range.at : "");
	buf_fini(&range);
	return rc;
}

/* In the largest unit that leaves no rest. */
static void number_append(const struct config_key *key, uint64_t number, struct buf *out)
{
	size_t n_units;
	const struct unit *units = value_units(key, &n_units);

	if (key->type == CONFIG_MODE) {
		buf_append_format(out, "%04" PRIo64, number);
		return;
	}
	for (size_t i = n_units; i-- > 0;)
		if (number != 0 && number % units[i].factor == 0) {
			buf_append_format(out, "%" PRIu64 "%s", number / units[i].factor, units[i].name);
			return;
		}
	buf_append_format(out, "%" PRIu64, number);
}

/* ---- texts ---- */

static int text_replace(struct config *config, size_t offset, struct str text, struct err *err)
{
	char **at = config_value_text(config, offset);
	char *copy = strndup(text.at != NULL ? text.at : "", text.len);

	if (copy == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	if (*at != NULL)
		explicit_bzero(*at, strlen(*at)); /* it may have been a secret */
	free(*at);
	*at = copy;
	return 0;
}

static int text_set(struct config *config, const struct config_key *key, struct str text, struct err *err)
{
	if (text.len < key->min)
		return err_set(err, -EINVAL, "must not be empty");
	if (text.len > key->max)
		return err_set(err, -EINVAL, "is %zu bytes long; at most %" PRIu64 " are possible", text.len, key->max);
	for (size_t i = 0; i < text.len; i++)
		if (iscntrl((unsigned char)text.at[i]))
			return err_set(err, -EINVAL, "has a control character at byte %zu", i + 1);
	return text_replace(config, key->offset, text, err);
}

static bool choice_is_known(const char *choices, struct str text)
{
	for (const char *at = choices; at != NULL;) {
		const char *end = strchrnul(at, '|');

		if (str_is_equal(text, (struct str){at, (size_t)(end - at)}))
			return true;
		at = *end == '|' ? end + 1 : NULL;
	}
	return false;
}

static int choice_set(struct config *config, const struct config_key *key, struct str text, struct err *err)
{
	struct buf range = {0};
	int rc;

	if (choice_is_known(key->choices, text))
		return text_replace(config, key->offset, text, err);
	config_value_append_range(key, &range);
	rc = err_set(err, -EINVAL, "'%.*s' is not possible: %s", STR_ARG(text), range.at != NULL ? range.at : "");
	buf_fini(&range);
	return rc;
}

/* Some of the choices, with blanks or commas between them; kept with commas. */
static int words_set(struct config *config, const struct config_key *key, struct str text, struct err *err)
{
	char *words = strndup(text.at != NULL ? text.at : "", text.len), *rest = words, *word;
	struct buf kept = {0}, range = {0};
	int rc = words == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;

	while (rc == 0 && (word = strsep(&rest, ", ")) != NULL) {
		if (*word == '\0')
			continue;
		if (!choice_is_known(key->choices, str_of(word))) {
			config_value_append_range(key, &range);
			rc = err_set(err, -EINVAL, "'%s' is not possible: %s", word, range.at != NULL ? range.at : "");
		}
		buf_append_format(&kept, "%s%s", kept.len > 0 ? "," : "", word);
	}
	if (rc == 0 && kept.failed)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = text_replace(config, key->offset, kept.at != NULL ? buf_str(&kept) : str_of(""), err);
	buf_fini(&range);
	buf_fini(&kept);
	free(words);
	return rc;
}

static int bool_set(struct config *config, const struct config_key *key, struct str text, struct err *err)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"true", true}, {"false", false}, {"yes", true}, {"no", false}, {"on", true}, {"off", false}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_is_equal(text, str_of(words[i].word))) {
			*(bool *)value_at(config, key->offset) = words[i].value;
			return 0;
		}
	return err_set(err, -EINVAL, "'%.*s' is neither true nor false", STR_ARG(text));
}

/* ---- users and groups ---- */

static int id_look_up(const struct config_key *key, const char *name, uint32_t *out_id, struct err *err)
{
	bool is_user = key->type == CONFIG_USERS;
	const struct passwd *user = is_user ? getpwnam(name) : NULL;
	const struct group *group = is_user ? NULL : getgrnam(name);

	if (user == NULL && group == NULL)
		return err_set(err, -EINVAL, "there is no %s '%s' on this machine: give its number, or create it",
			       is_user ? "user" : "group", name);
	*out_id = user != NULL ? user->pw_uid : group->gr_gid;
	return 0;
}

static int id_parse(const struct config_key *key, const char *word, uint32_t *out_id, struct err *err)
{
	char *end;
	unsigned long long number;

	if (!isdigit((unsigned char)word[0]))
		return id_look_up(key, word, out_id, err);
	number = strtoull(word, &end, 10);
	if (*end != '\0' || number >= UINT32_MAX)
		return err_set(err, -EINVAL, "'%s' is neither a name nor an id", word);
	*out_id = (uint32_t)number;
	return 0;
}

static int ids_set(struct config *config, const struct config_key *key, struct str text, struct err *err)
{
	struct config_ids ids = {.n = 0};
	char *words = strndup(text.at != NULL ? text.at : "", text.len), *rest = words, *word;
	int rc = 0;

	if (words == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	while (rc == 0 && (word = strsep(&rest, ", ")) != NULL) {
		if (*word == '\0')
			continue;
		if (ids.n == CONFIG_IDS_MAX)
			rc = err_set(err, -EINVAL, "has more than %d entries: use a group", CONFIG_IDS_MAX);
		else
			rc = id_parse(key, word, &ids.ids[ids.n], err);
		ids.n++;
	}
	free(words);
	if (rc == 0)
		*(struct config_ids *)value_at(config, key->offset) = ids;
	return rc;
}

static void ids_append(const struct config_ids *ids, struct buf *out)
{
	for (uint32_t i = 0; i < ids->n; i++)
		buf_append_format(out, "%s%" PRIu32, i > 0 ? "," : "", ids->ids[i]);
}

/* ---- any type ---- */

int config_value_set(struct config *config, size_t index, struct str text, struct err *err)
{
	const struct config_key *key = &config_keys[index];

	switch (key->type) {
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		return number_set(config, key, text, err);
	case CONFIG_BOOL:
		return bool_set(config, key, text, err);
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_SECRET_FILE:
		return text_set(config, key, text, err);
	case CONFIG_CHOICE:
		return choice_set(config, key, text, err);
	case CONFIG_USERS:
	case CONFIG_GROUPS:
		return ids_set(config, key, text, err);
	case CONFIG_WORDS:
		return words_set(config, key, text, err);
	case CONFIG_SERVICES:
		return config_services_set(value_at(config, key->offset), text, err);
	}
	MUST(!"a type that is none");
	return -EINVAL;
}

void config_value_append(const struct config *config, size_t index, struct buf *out)
{
	const struct config_key *key = &config_keys[index];
	const void *at = value_at_const(config, key->offset);

	switch (key->type) {
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		number_append(key, *(const uint64_t *)at, out);
		return;
	case CONFIG_BOOL:
		buf_append_text(out, *(const bool *)at ? "true" : "false");
		return;
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_SECRET_FILE:
	case CONFIG_CHOICE:
	case CONFIG_WORDS:
		buf_append_text(out, *(char *const *)at);
		return;
	case CONFIG_SERVICES:
		config_services_append(at, out);
		return;
	case CONFIG_USERS:
	case CONFIG_GROUPS:
		ids_append(at, out);
		return;
	}
	MUST(!"a type that is none");
}

void config_value_append_range(const struct config_key *key, struct buf *out)
{
	switch (key->type) {
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		buf_append_text(out, "from ");
		number_append(key, key->min, out);
		buf_append_text(out, " to ");
		number_append(key, key->max, out);
		return;
	case CONFIG_CHOICE:
	case CONFIG_WORDS:
		buf_append_text(out, key->type == CONFIG_WORDS ? "some of " : "one of ");
		for (const char *at = key->choices; *at != '\0'; at++)
			if (*at == '|')
				buf_append_text(out, ", ");
			else
				buf_append(out, at, 1);
		return;
	case CONFIG_BOOL:
		buf_append_text(out, "true or false");
		return;
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_SECRET_FILE:
	case CONFIG_USERS:
	case CONFIG_GROUPS:
	case CONFIG_SERVICES:
		return;
	}
	MUST(!"a type that is none");
}

bool config_value_is_quoted(const struct config_key *key, struct str text)
{
	if (key->type == CONFIG_BOOL)
		return false;
	if (key->type != CONFIG_COUNT && key->type != CONFIG_BYTES && key->type != CONFIG_DURATION)
		return true;
	for (size_t i = 0; i < text.len; i++)
		if (!isdigit((unsigned char)text.at[i]))
			return true;
	return false;
}
