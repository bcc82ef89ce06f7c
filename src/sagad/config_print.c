/* The commented file, and the effective values with their origins. */
#include "config_load.h"
#include "config_value.h"

#include <ctype.h>
#include <string.h>

#define LINE_COLUMNS 96

/* Prints a text as comment lines. */
static void comment_print(FILE *out, const char *indent, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (column == 0 || column + 1 + n > LINE_COLUMNS) {
			fprintf(out, "%s%s#", column == 0 ? "" : "\n", indent);
			column = strlen(indent) + 1;
		}
		fprintf(out, " %.*s", (int)n, text);
		column += 1 + n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void template_key(FILE *out, const struct config_key *key)
{
	struct buf note = {0};
	const char *quote = config_value_is_quoted(key, str_of(key->fallback)) ? "\"" : "";
	bool is_list = key->type == CONFIG_USERS || key->type == CONFIG_GROUPS || key->type == CONFIG_WORDS;

	fputc('\n', out);
	comment_print(out, "\t", key->help);
	config_value_append_range(key, &note);
	if (note.len > 0)
		note.at[0] = (char)toupper((unsigned char)note.at[0]);
	if (key->env != NULL)
		buf_append_format(&note, "%s%s", note.len > 0 ? "; environment: " : "Environment: ", key->env);
	if (note.len > 0)
		comment_print(out, "\t", note.at);
	if (is_list)
		fprintf(out, "\t#%s = [];\n", key->name);
	else if (key->type == CONFIG_SERVICES)
		fprintf(out, "\t#%s = ();\n", key->name);
	else
		fprintf(out, "\t#%s = %s%s%s;\n", key->name, quote, key->fallback, quote);
	buf_fini(&note);
}

void config_print_template(FILE *out)
{
	comment_print(out, "",
		      "sagad's configuration. Each key stands here with its default; remove the # to change it.");
	comment_print(out, "",
		      "Sizes take B, KiB, MiB, GiB (plain numbers: bytes), durations ms, s, min, h, d (plain "
		      "numbers: milliseconds); a value with a unit stands in quotes. What is given in the environment "
		      "replaces what stands here, and sagad -o section.key=value replaces both.");
	comment_print(out, "",
		      "sagad --check-config shows every value in force and where it came from; sagad.conf(5) says "
		      "for each key whether a reload is enough to change it.");
	for (size_t i = 0; i < config_n_sections; i++) {
		fputc('\n', out);
		comment_print(out, "", config_sections[i].help);
		fprintf(out, "%s: {\n", config_sections[i].name);
		for (size_t j = 0; j < config_n_keys; j++)
			if (strcmp(config_keys[j].section, config_sections[i].name) == 0)
				template_key(out, &config_keys[j]);
		fprintf(out, "};\n");
	}
}

static void effective_key(const struct config *config, size_t index, FILE *out)
{
	const struct config_key *key = &config_keys[index];
	struct buf text = {0}, value = {0}, place = {0};

	config_value_append(config, index, &value);
	buf_append_format(&text, "%s.%s = ", key->section, key->name);
	if (key->type == CONFIG_SECRET)
		buf_append_text(&text, value.len > 0 ? "***" : "\"\"");
	else if (config_value_is_quoted(key, buf_str(&value)))
		buf_append_format(&text, "\"%s\"", value.at != NULL ? value.at : "");
	else
		buf_append_str(&text, buf_str(&value));
	config_place(&config->origins[index], &place);
	if (text.at != NULL && place.at != NULL)
		fprintf(out, "%-60s # %s\n", text.at, place.at);
	if (value.at != NULL)
		explicit_bzero(value.at, value.len); /* it may be a secret */
	buf_fini(&text);
	buf_fini(&value);
	buf_fini(&place);
}

void config_print_effective(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config_n_keys; i++)
		effective_key(config, i, out);
}
