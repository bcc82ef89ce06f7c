/* Writes sagad.conf(5) as scdoc(5) source out of the table of keys. A program of the build, not installed. */
#include "config_keys.h"
#include "config_value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* scdoc reads _ and * as emphasis, and a line's first # or | as a heading or a table. */
static void print_escaped(const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("_*\\#|<>`", *text) != NULL)
			putchar('\\');
		putchar(*text);
	}
}

static const char *type_words(enum config_type type)
{
	switch (type) {
	case CONFIG_COUNT:
		return "a number";
	case CONFIG_BYTES:
		return "a size";
	case CONFIG_DURATION:
		return "a duration";
	case CONFIG_MODE:
		return "a file mode, in octal";
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_TEXT:
		return "a text";
	case CONFIG_CHOICE:
		return "a word";
	case CONFIG_SECRET:
		return "a secret";
	case CONFIG_SECRET_FILE:
		return "a file with a secret";
	case CONFIG_USERS:
		return "users";
	case CONFIG_GROUPS:
		return "groups";
	case CONFIG_WORDS:
		return "words";
	case CONFIG_SERVICES:
		return "a list of groups";
	}
	MUST(!"a type that is none");
	return "";
}

static void print_facts(const struct config_key *key)
{
	struct buf range = {0};

	if (key->type != CONFIG_BOOL)
		config_value_append_range(key, &range);
	printf("\t%c%s", toupper((unsigned char)type_words(key->type)[0]), type_words(key->type) + 1);
	if (range.len > 0) {
		printf(", ");
		print_escaped(range.at);
	}
	printf("; default: ");
	print_escaped(key->fallback[0] != '\0' ? key->fallback : "none");
	printf(". ");
	if (key->env != NULL) {
		printf("Environment: *");
		print_escaped(key->env);
		printf("*. ");
	}
	printf("%s\n\n", key->is_reloadable ? "Changes with a reload." : "Needs a restart.");
	buf_fini(&range);
}

static void print_key(const struct config_key *key)
{
	printf("*");
	print_escaped(key->name);
	printf("*\n\t");
	print_escaped(key->help);
	printf("\n\n");
	print_facts(key);
}

static void print_section(const struct config_section *section)
{
	char head[64];

	(void)snprintf(head, sizeof(head), "%s", section->name); /* our own names are short */
	for (char *at = head; *at != '\0'; at++)
		*at = (char)toupper((unsigned char)*at);
	printf("# %s\n\n", head);
	print_escaped(section->help);
	printf("\n\n");
	for (size_t i = 0; i < config_n_keys; i++)
		if (strcmp(config_keys[i].section, section->name) == 0)
			print_key(&config_keys[i]);
}

static const char head[] =
	"sagad.conf(5) \"sagad\" \"sagad\"\n\n"
	"# NAME\n\nsagad.conf - the configuration of sagad(8)\n\n"
	"# SYNOPSIS\n\n"
	"_/etc/sagad/sagad.conf_, or what *sagad --config* names\n\n"
	"# DESCRIPTION\n\n"
	"The file is in libconfig's format: sections with keys in them, each ended by a semicolon.\n\n"
	"```\n"
	"postgresql: {\n"
	"\thost = \"db.example\";\n"
	"\tpassword_file = \"/etc/sagad/secrets/postgresql\";\n"
	"};\n"
	"limits: { max_line = \"16MiB\"; };\n"
	"```\n\n"
	"Every key may be left out. A later source replaces an earlier one: default, file, environment, *sagad "
	"--option "
	"section.key=value*. An unknown section or key is an error that names the nearest known one. All faults are "
	"told at "
	"once, each with file and line; a configuration with a fault is never used. *sagad --check-config* shows every "
	"value "
	"in force and where it came from, *sagactl config* those of the daemon that runs.\n\n"
	"Sizes take B, KiB, MiB, GiB (kB, MB, GB for powers of ten), durations ms, s, min, h, d; a value with a unit "
	"stands in "
	"quotes. Plain numbers are bytes and milliseconds. Lists stand in brackets: [\\\"alice\\\", 1000].\n\n"
	"A secret may stand in the file when only its owner can read that, in the environment, or, best, in a file of "
	"its own "
	"that its key with \\_file at the end names: an absolute path, or the name of a systemd credential. The unit "
	"hands "
	"over each file in _/etc/sagad/secrets_ as sagad\\_NAME. Secrets can't be given as options, which everybody "
	"can "
	"see.\n\n"
	"*systemctl reload sagad*, *sagactl reload* and SIGHUP read everything again. Below stands for each key "
	"whether that "
	"is enough. *REDIS\\_URL* in the environment sets host, port, path, user, password and database of the section "
	"redis "
	"together.\n\n";

static const char tail[] = "# FILES\n\n_/etc/sagad/sagad.conf_\n\n_/etc/sagad/secrets_\n\n"
			   "# SEE ALSO\n\n*sagad*(8), *sagactl*(1)\n";

int main(void)
{
	fputs(head, stdout);
	for (size_t i = 0; i < config_n_sections; i++)
		print_section(&config_sections[i]);
	fputs(tail, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
