/* The table of all configuration keys. The parser, the commented file, --check-config, `sagactl config` and
 * sagad.conf(5) all come from it, so a key exists when it has a row here, and only then. */
#ifndef SAGAD_SAGAD_CONFIG_KEYS_H
#define SAGAD_SAGAD_CONFIG_KEYS_H

#include "base/str.h"
#include "sagad/config.h"

enum config_type {
	CONFIG_COUNT,    /* a plain number */
	CONFIG_BYTES,    /* "64MiB", or a plain number of bytes */
	CONFIG_DURATION, /* "30s", or a plain number of milliseconds */
	CONFIG_MODE,     /* a file mode in octal, as text: "0660" */
	CONFIG_BOOL,
	CONFIG_TEXT,
	CONFIG_CHOICE,      /* one of `choices` */
	CONFIG_SECRET,      /* a text that is never shown, and never taken from a command line */
	CONFIG_SECRET_FILE, /* a file whose first line is the secret of the same section */
	CONFIG_USERS,       /* names or numbers of users */
	CONFIG_GROUPS,      /* names or numbers of groups */
	CONFIG_WORDS,       /* some of `choices` */
	CONFIG_SERVICES     /* groups, each an HTTP service */
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	size_t offset;        /* of the value in struct config */
	size_t secret_offset; /* SECRET_FILE: of the secret's text */
	const char *fallback; /* the default, in the file's own form */
	uint64_t min, max;    /* numbers: the range; texts: of their length */
	const char *choices;  /* CHOICE, WORDS: "a|b|c" */
	const char *env;      /* the environment variable; NULL: none */
	bool is_reloadable;   /* changes while the daemon runs */
	const char *help;     /* full sentences, wrapped when printed */
};

/* The sections with a line on what they are for, in the file's order. */
struct config_section {
	const char *name;
	const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_n_keys;
extern const struct config_section config_sections[];
extern const size_t config_n_sections;

/* The index of a key, or config_n_keys. */
size_t config_key_find(struct str section, struct str name);

/* Is there such a section? */
bool config_section_is_known(struct str section);

/* The known name that is most like this one; NULL when none is near. With an empty section: sections; otherwise the
 * keys of that section. */
const char *config_key_nearest(struct str section, struct str name);

/* The section in which a key of this name exists, for a key that was put into the wrong one; NULL when none or when
 * there are several. */
const char *config_key_elsewhere(struct str name);

#endif
