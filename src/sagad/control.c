/* The methods that are about the daemon itself: sagad.config, sagad.reload, sagad.log_level, sagad.drain. */
#include "dispatch_internal.h"

#include "sagad/config_keys.h"
#include "sagad/config_value.h"

#include <errno.h>
#include <string.h>

/* ---- sagad.config ---- */

/* A secret shows only whether there is one. */
static void value_append_shown(const struct config *config, size_t index, struct buf *out)
{
	char *const *secret;

	if (config_keys[index].type != CONFIG_SECRET) {
		config_value_append(config, index, out);
		return;
	}
	secret = (char *const *)(const void *)((const char *)config + config_keys[index].offset);
	buf_append_text(out, **secret != '\0' ? "***" : "");
}

void control_config(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	static struct reply_setting rows[CONFIG_KEYS_MAX];
	static struct buf values[CONFIG_KEYS_MAX], origins[CONFIG_KEYS_MAX];
	struct caller caller;
	struct buf answer = {0};

	for (size_t i = 0; i < config_n_keys; i++) {
		value_append_shown(dispatch->config, i, &values[i]);
		config_place(&dispatch->config->origins[i], &origins[i]);
		rows[i] = (struct reply_setting){
			.section = config_keys[i].section,
			.name = config_keys[i].name,
			.value = buf_str(&values[i]),
			.origin = buf_str(&origins[i]),
			.is_reloadable = config_keys[i].is_reloadable,
		};
	}
	caller_init(&caller, peer, request);
	reply_settings(&answer, request->id_json, rows, (uint32_t)config_n_keys);
	caller_answer(&caller, &answer);
	for (size_t i = 0; i < config_n_keys; i++) {
		buf_fini(&values[i]);
		buf_fini(&origins[i]);
	}
	request_destroy(request);
}

/* ---- sagad.reload ---- */

struct key_names {
	char text[CONFIG_KEYS_MAX][64];
	const char *at[CONFIG_KEYS_MAX];
};

static struct reply_keys keys_name(struct key_names *names, const size_t *indexes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct config_key *key = &config_keys[indexes[i]];

		(void)snprintf(names->text[i], sizeof(names->text[i]), "%s.%s", key->section, key->name); /* fits */
		names->at[i] = names->text[i];
	}
	return (struct reply_keys){names->at, n};
}

void control_reload(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	static struct key_names changed, pending;
	static struct config_changes changes;
	struct caller caller;
	struct buf answer = {0}, faults = {0};
	int rc;

	caller_init(&caller, peer, request);
	rc = dispatch->control->reload(dispatch->control, &changes, &faults);
	if (rc == 0) {
		reply_reload(&answer, request->id_json, keys_name(&changed, changes.applied, changes.n_applied),
			     keys_name(&pending, changes.pending, changes.n_pending));
		caller_answer(&caller, &answer);
	} else if (rc == -ESHUTDOWN) {
		caller_answer_error(&caller, CODE_SHUTTING_DOWN,
				    "the daemon is stopping; the next start reads the configuration anyway");
	} else if (rc == -ENOMEM) {
		caller_answer_error(&caller, CODE_INTERNAL, "out of memory; the old configuration stays in force");
	} else {
		buf_append_text(&faults, "the old configuration stays in force");
		caller_answer_error(&caller, CODE_CONFIGURATION_INVALID, faults.failed ? "" : faults.at);
	}
	buf_fini(&faults);
	request_destroy(request);
}

/* ---- sagad.log_level, sagad.drain ---- */

void control_log_level(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct log *log = &dispatch->sink->log;
	struct caller caller;
	struct buf answer = {0};

	caller_init(&caller, peer, request);
	reply_log_level(&answer, request->id_json, log_level_name(request->log_level), log_level_name(log->level));
	log_info(log, "the log's level is %s from now on, until the configuration is read again",
		 log_level_name(request->log_level));
	log->level = request->log_level;
	caller_answer(&caller, &answer);
	request_destroy(request);
}

void control_drain(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct engine_stats stats;
	struct caller caller;
	struct buf answer = {0};

	engine_stats(dispatch->engine, &stats);
	caller_init(&caller, peer, request);
	reply_numbers(&answer, request->id_json,
		      (const struct reply_number[]){{"sagas", stats.n_sagas},
						    {"errands", stats.n_errands},
						    {"drain_timeout_ms", dispatch->config->daemon.drain_timeout_ms}},
		      3);
	caller_answer(&caller, &answer);
	request_destroy(request);
	dispatch->control->drain(dispatch->control);
}
