#include "reload.h"

#include "sagad/config_keys.h"
#include "sagad/notify.h"
#include "sagad/settings.h"

#include <errno.h>
#include <string.h>

/* Is one of the changes a secret of this section? */
static bool has_new_secret(const struct config_changes *changes, const char *section)
{
	for (uint32_t i = 0; i < changes->n_applied; i++) {
		const struct config_key *key = &config_keys[changes->applied[i]];

		if (key->type == CONFIG_SECRET && strcmp(key->section, section) == 0)
			return true;
	}
	return false;
}

static void apply_secrets(const struct config *config, const struct reload_targets *targets,
			  const struct config_changes *changes)
{
	static const char *const sections[] = {"postgresql", "qdrant", "neo4j", "redis"};

	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (has_new_secret(changes, sections[i]))
			ports_renew_secret(targets->ports, config, sections[i], &targets->sink->log);
}

/* What store.init has fixed stays, as the stores do. */
static void apply_engine(const struct config *config, const struct reload_targets *targets)
{
	struct engine_config made = settings_engine(config);

	made.limits = targets->dispatch->limits;
	engine_reconfigure(targets->engine, &made);
}

static void apply_timeouts(const struct config *config, const struct reload_targets *targets,
			   const struct config_changes *changes)
{
	for (uint32_t i = 0; i < changes->n_applied; i++)
		if (strcmp(config_keys[changes->applied[i]].section, "timeouts") == 0) {
			ports_renew_timeouts(targets->ports, config);
			return;
		}
}

static void apply(const struct config *config, const struct reload_targets *targets,
		  const struct config_changes *changes)
{
	dispatch_reconfigure(targets->dispatch);
	apply_engine(config, targets);
	apply_timeouts(config, targets, changes);
	sockets_reconfigure(targets->sockets, config);
	ops_reconfigure(targets->ops);
	apply_secrets(config, targets, changes);
}

static void names_append(struct buf *out, const char *before, const size_t *indexes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_append_format(out, "%s%s.%s", i == 0 ? before : ", ", config_keys[indexes[i]].section,
				  config_keys[indexes[i]].name);
}

/* Written when the old level or the new one lets it through. */
static void log_changes(struct sink *sink, const struct config *config, const struct config_changes *changes)
{
	const struct sink_config made = settings_sink(config);
	enum log_level before = sink->log.level;
	struct buf text = {0};

	names_append(&text, "; changed: ", changes->applied, changes->n_applied);
	names_append(&text, "; needs a restart: ", changes->pending, changes->n_pending);
	if (text.at == NULL)
		buf_append_text(&text, "; nothing has changed");
	sink_reconfigure(sink, &made);
	if (before < sink->log.level)
		sink->log.level = before;
	log_info(&sink->log, "the configuration was read again%s", text.failed ? "" : text.at);
	sink->log.level = sink_level_of(made.level);
	buf_fini(&text);
}

/* A line of the log for each fault. */
static void log_faults(struct log *log, const struct buf *faults)
{
	const char *at = faults->at != NULL ? faults->at : "";

	log_error(log, "the configuration can't be used; the old one stays in force");
	while (*at != '\0') {
		int n = (int)strcspn(at, "\n");

		log_error(log, "%.*s", n, at);
		at += n;
		at += *at == '\n' ? 1 : 0;
	}
}

int reload(struct config *config, const struct config_sources *sources, const struct reload_targets *targets,
	   struct config_changes *out_changes, struct buf *out_faults)
{
	struct log *log = &targets->sink->log;
	int rc;

	notify_reloading();
	rc = config_reload(config, sources, out_changes, out_faults);
	if (rc == 0) {
		apply(config, targets, out_changes);
		log_changes(targets->sink, config, out_changes);
	} else if (rc == -ENOMEM) {
		log_error(log, "no memory to read the configuration again; the old one stays in force");
	} else {
		log_faults(log, out_faults);
	}
	notify_reloaded();
	return rc;
}
