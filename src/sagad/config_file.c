/* The configuration file, in libconfig's format. */
#include "config_load.h"

#include <ctype.h>
#include <errno.h>
#include <libconfig.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One file while it is walked. */
struct walk {
	struct config_loader *loader;
	const char *path; /* of the file itself; included ones carry their own */
};

static const char *walk_file(const struct walk *walk, const config_setting_t *setting)
{
	const char *included = config_setting_source_file(setting);

	return included != NULL ? included : walk->path;
}

static void PRINTF_LIKE(3, 4) walk_fault(struct walk *walk, const config_setting_t *setting, const char *fmt, ...)
{
	char place[4200], text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose, as is the next */
	va_end(args);
	(void)snprintf(place, sizeof(place), "%s:%u", walk_file(walk, setting),
		       (unsigned)config_setting_source_line(setting));
	config_fault(walk->loader, place, "%s", text);
}

/* ---- numbers that libconfig cuts ---- */

/* Is there a number of ten digits or more without an L, outside of quotes and comments? */
static bool line_has_wide_number(const char *line)
{
	bool is_quoted = false;
	size_t n_digits = 0;

	for (const char *at = line; *at != '\0'; at++) {
		if (*at == '"' && (at == line || at[-1] != '\\'))
			is_quoted = !is_quoted;
		if (!is_quoted && *at == '#')
			return false;
		if (!is_quoted && isdigit((unsigned char)*at)) {
			n_digits++;
			continue;
		}
		if (n_digits > 9 && *at != 'L')
			return true;
		n_digits = 0;
	}
	return n_digits > 9;
}

/* libconfig 1.5 turns 4294967301 into 5 without a word (it reads an int with atoi(); 1.7 widens it), so that the source
 * line itself is what can be trusted. Ten digits are refused although the smallest of them would fit. */
static bool number_is_cut(const struct walk *walk, const config_setting_t *setting)
{
	FILE *file = fopen(walk_file(walk, setting), "re");
	char *line = NULL;
	size_t size = 0;
	bool is_cut = false;

	if (file == NULL)
		return false;
	for (unsigned i = 1; getline(&line, &size, file) >= 0; i++)
		if (i == (unsigned)config_setting_source_line(setting)) {
			is_cut = line_has_wide_number(line);
			break;
		}
	free(line);
	(void)fclose(file); /* read only */
	return is_cut;
}

/* ---- values ---- */

static bool key_is_number(const struct config_key *key)
{
	return key->type == CONFIG_COUNT || key->type == CONFIG_BYTES || key->type == CONFIG_DURATION;
}

static bool key_is_list(const struct config_key *key)
{
	return key->type == CONFIG_USERS || key->type == CONFIG_GROUPS || key->type == CONFIG_WORDS;
}

static const char *key_expects(const struct config_key *key)
{
	if (key->type == CONFIG_BOOL)
		return "expected true or false";
	if (key->type == CONFIG_MODE)
		return "expected an octal mode in quotes, such as \"0660\"";
	return key_is_number(key) ? "expected a whole number, or one with a unit in quotes"
				  : "expected a text in quotes";
}

static bool scalar_fits(const struct config_key *key, const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		return true;
	case CONFIG_TYPE_BOOL:
		return key->type == CONFIG_BOOL;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return key_is_number(key) || key->type == CONFIG_USERS || key->type == CONFIG_GROUPS;
	default:
		return false;
	}
}

/* Turns a scalar into the text that every source hands in. False: a fault was noted. */
static bool scalar_append(struct walk *walk, const struct config_key *key, const config_setting_t *setting,
			  struct buf *out)
{
	int type = config_setting_type(setting);

	if (!scalar_fits(key, setting)) {
		walk_fault(walk, setting, "%s.%s: %s", key->section, key->name, key_expects(key));
		return false;
	}
	if (type == CONFIG_TYPE_INT && number_is_cut(walk, setting)) {
		walk_fault(walk, setting, "%s.%s: a number of ten digits or more needs an L at its end, or quotes",
			   key->section, key->name);
		return false;
	}
	if (type == CONFIG_TYPE_STRING)
		buf_append_text(out, config_setting_get_string(setting));
	else if (type == CONFIG_TYPE_BOOL)
		buf_append_text(out, config_setting_get_bool(setting) != 0 ? "true" : "false");
	else
		buf_append_format(out, "%lld", config_setting_get_int64(setting));
	return true;
}

/* ---- services ---- */

/* A scalar of a service's group, as the text form has it; what the value means is looked at there. */
static bool service_value_append(struct walk *walk, const config_setting_t *setting, struct buf *out)
{
	const char *text;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		text = config_setting_get_string(setting);
		if (strpbrk(text, " ;,") == NULL) {
			buf_append_text(out, text);
			return true;
		}
		walk_fault(walk, setting, "sagas.services: a value may not hold a blank, a comma or a semicolon");
		return false;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		buf_append_format(out, "%lld", config_setting_get_int64(setting));
		return true;
	default:
		walk_fault(walk, setting, "sagas.services: expected a text in quotes or a whole number");
		return false;
	}
}

static bool service_key_append(struct walk *walk, const config_setting_t *setting, struct buf *out)
{
	const char *name = config_setting_name(setting), *near = config_services_nearest(str_of(name));
	bool is_users;

	if (!config_services_has_key(str_of(name), &is_users)) {
		walk_fault(walk, setting, "sagas.services: a service has no key `%s`%s%s%s", name,
			   near != NULL ? "; did you mean `" : "", near != NULL ? near : "", near != NULL ? "`?" : "");
		return false;
	}
	buf_append_format(out, " %s=", name);
	if (!is_users || !config_setting_is_aggregate(setting))
		return service_value_append(walk, setting, out);
	for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
		if (i > 0)
			buf_append_text(out, ",");
		if (!service_value_append(walk, config_setting_get_elem(setting, i), out))
			return false;
	}
	return true;
}

static bool service_append(struct walk *walk, config_setting_t *group, struct buf *out)
{
	const config_setting_t *name;

	if (!config_setting_is_group(group)) {
		walk_fault(walk, group, "sagas.services: expected a group: { name = \"...\"; url = \"...\"; }");
		return false;
	}
	name = config_setting_get_member(group, "name");
	if (name == NULL) {
		walk_fault(walk, group, "sagas.services: a service needs a name");
		return false;
	}
	if (!service_value_append(walk, name, out))
		return false;
	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, i);

		if (setting != name && !service_key_append(walk, setting, out))
			return false;
	}
	return true;
}

static bool services_append(struct walk *walk, const config_setting_t *setting, struct buf *out)
{
	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		buf_append_text(out, config_setting_get_string(setting));
		return true;
	}
	if (!config_setting_is_list(setting)) {
		walk_fault(walk, setting, "sagas.services: expected a list of groups: ( { name = ... }, ... )");
		return false;
	}
	for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
		if (i > 0)
			buf_append_text(out, "; ");
		if (!service_append(walk, config_setting_get_elem(setting, i), out))
			return false;
	}
	return true;
}

static bool value_append(struct walk *walk, const struct config_key *key, const config_setting_t *setting,
			 struct buf *out)
{
	if (key->type == CONFIG_SERVICES)
		return services_append(walk, setting, out);
	if (!key_is_list(key) || (!config_setting_is_array(setting) && !config_setting_is_list(setting)))
		return scalar_append(walk, key, setting, out);
	for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
		if (i > 0)
			buf_append_text(out, ",");
		if (!scalar_append(walk, key, config_setting_get_elem(setting, i), out))
			return false;
	}
	return true;
}

/* A secret in a file that everybody can read is none. */
static bool secret_is_exposed(struct walk *walk, const struct config_key *key, const config_setting_t *setting)
{
	const char *file = walk_file(walk, setting);
	struct stat info;

	if (key->type != CONFIG_SECRET || stat(file, &info) != 0 || (info.st_mode & S_IROTH) == 0)
		return false;
	walk_fault(walk, setting,
		   "%s.%s: everybody on this machine can read this secret: chmod o-rwx %s, or move it to a "
		   "file of its own",
		   key->section, key->name, file);
	return true;
}

static void key_read(struct walk *walk, size_t index, const config_setting_t *setting)
{
	const struct config_key *key = &config_keys[index];
	struct config_origin origin = {.kind = CONFIG_FROM_FILE, .line = config_setting_source_line(setting)};
	struct buf text = {0};
	char *file = strdup(walk_file(walk, setting));

	origin.file = file;
	if (file == NULL)
		walk->loader->is_out_of_memory = true;
	else if (value_append(walk, key, setting, &text) && (text.len == 0 || !secret_is_exposed(walk, key, setting)))
		config_assign(walk->loader, index, text.at != NULL ? buf_str(&text) : str_of(""), &origin);
	walk->loader->is_out_of_memory |= text.failed;
	if (text.at != NULL)
		explicit_bzero(text.at, text.len);
	buf_fini(&text);
	free(file);
}

/* ---- names ---- */

static void unknown_key(struct walk *walk, const char *section, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	const char *near = config_key_nearest(str_of(section), str_of(name));
	const char *elsewhere = config_key_elsewhere(str_of(name));

	if (elsewhere != NULL)
		walk_fault(walk, setting, "%s.%s: unknown key; `%s` belongs into the section `%s`", section, name, name,
			   elsewhere);
	else if (near != NULL)
		walk_fault(walk, setting, "%s.%s: unknown key; did you mean `%s`?", section, name, near);
	else
		walk_fault(walk, setting, "%s.%s: unknown key; sagad --print-config-template shows all", section, name);
}

static void unknown_section(struct walk *walk, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	const char *near = config_key_nearest(str_of(""), str_of(name));
	const char *home = config_key_elsewhere(str_of(name));

	if (!config_setting_is_group(setting) && home != NULL)
		walk_fault(walk, setting, "%s: a key outside of any section; it belongs into `%s`: { ... }", name,
			   home);
	else if (near != NULL)
		walk_fault(walk, setting, "%s: unknown section; did you mean `%s`?", name, near);
	else
		walk_fault(walk, setting, "%s: unknown section; sagad --print-config-template shows all", name);
}

static void section_read(struct walk *walk, const config_setting_t *section)
{
	const char *name = config_setting_name(section);

	if (!config_section_is_known(str_of(name))) {
		unknown_section(walk, section);
		return;
	}
	if (!config_setting_is_group(section)) {
		walk_fault(walk, section, "%s: is a section: write %s: { ... }", name, name);
		return;
	}
	for (unsigned i = 0; i < (unsigned)config_setting_length(section); i++) {
		const config_setting_t *setting = config_setting_get_elem(section, i);
		size_t index = config_key_find(str_of(name), str_of(config_setting_name(setting)));

		if (index == config_n_keys)
			unknown_key(walk, name, setting);
		else
			key_read(walk, index, setting);
	}
}

static void parse_fault(struct config_loader *loader, const char *path, const config_t *parsed)
{
	const char *file = config_error_file(parsed) != NULL ? config_error_file(parsed) : path;
	char place[4200];

	(void)snprintf(place, sizeof(place), "%s:%d", file, config_error_line(parsed)); /* cut on purpose */
	config_fault(loader, place,
		     "%s (here or in the line before; texts and values with a unit need quotes, and "
		     "each setting ends with a semicolon)",
		     config_error_text(parsed));
}

static void file_parse(struct config_loader *loader, const char *path, FILE *file)
{
	struct walk walk = {loader, path};
	char *path_copy = strdup(path);
	config_t parsed;

	if (path_copy == NULL) {
		loader->is_out_of_memory = true;
		return;
	}
	config_init(&parsed);
	config_set_include_dir(&parsed, dirname(path_copy));
	if (config_read(&parsed, file) == CONFIG_FALSE) {
		parse_fault(loader, path, &parsed);
	} else {
		const config_setting_t *root = config_root_setting(&parsed);

		for (unsigned i = 0; i < (unsigned)config_setting_length(root); i++)
			section_read(&walk, config_setting_get_elem(root, i));
	}
	config_destroy(&parsed);
	free(path_copy);
}

void config_file_read(struct config_loader *loader, const char *path, bool may_be_missing)
{
	FILE *file = fopen(path, "re");
	struct stat info;

	if (file == NULL) {
		loader->is_out_of_memory |= errno == ENOMEM;
		if (errno != ENOENT || !may_be_missing)
			config_fault(loader, path, "cannot be read: %s", strerror(errno));
		return;
	}
	if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode))
		config_fault(loader, path, "is a folder; name the file in it");
	else
		file_parse(loader, path, file);
	(void)fclose(file); /* read only */
}
