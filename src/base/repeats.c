#include "repeats.h"

#include <inttypes.h>
#include <stdio.h>

#define WINDOW_NS ((uint64_t)REPEATS_WINDOW_S * 1000000000)

/* FNV-1a: names come from us, so nobody can make them collide on purpose. */
static uint64_t hash_text(uint64_t hash, struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.at[i]) * 0x100000001b3;
	return (hash ^ 0xff) * 0x100000001b3;
}

static uint64_t event_hash(const struct log_event *event)
{
	uint64_t hash = 0xcbf29ce484222325 ^ (uint64_t)event->kind << 8 ^ (uint64_t)event->level;

	/* A format that only hands on a text, such as the faults of a configuration, says nothing of its own. */
	hash = hash_text(hash, str_of(event->format[0] == '%' ? event->text : event->format));
	hash = hash_text(hash, log_field_of(event, "code"));
	hash = hash_text(hash, log_field_of(event, "store"));
	return hash != 0 ? hash : 1;
}

static bool event_is_counted(const struct log_event *event)
{
	if (event->kind == LOG_SAGA_DONE || event->kind == LOG_REPEATS)
		return false;
	return event->level >= (event->kind == LOG_PLAIN ? LOG_WARN_LEVEL : LOG_INFO_LEVEL);
}

static void row_end(struct repeats *repeats, struct repeats_row *row)
{
	struct repeats_row ended = *row;
	const struct log_field fields[] = {
		{"code", ended.code[0] != '\0' ? str_of(ended.code) : STR_NONE},
		{"store", ended.store[0] != '\0' ? str_of(ended.store) : STR_NONE},
	};
	char text[REPEATS_BYTES + 64];

	row->hash = 0; /* first: whoever is told may log */
	if (ended.n_held == 0)
		return;
	(void)snprintf(text, sizeof(text), "... %" PRIu32 " more like this in the last %d s: %s", ended.n_held,
		       REPEATS_WINDOW_S, ended.text); /* fits */
	repeats->tell(repeats, &(const struct log_event){ended.level, LOG_REPEATS, "... more like this", text, fields,
							 ARRAY_LEN(fields)});
}

void repeats_tick(struct repeats *repeats, uint64_t now_ns)
{
	for (size_t i = 0; i < REPEATS_ROWS; i++)
		if (repeats->rows[i].hash != 0 && now_ns - repeats->rows[i].begun_ns >= WINDOW_NS)
			row_end(repeats, &repeats->rows[i]);
}

void repeats_flush(struct repeats *repeats)
{
	for (size_t i = 0; i < REPEATS_ROWS; i++)
		if (repeats->rows[i].hash != 0)
			row_end(repeats, &repeats->rows[i]);
}

static void keep(char *to, size_t size_bytes, struct str text)
{
	(void)snprintf(to, size_bytes, "%.*s", STR_ARG(text)); /* cut on purpose */
}

/* The sort's row, a free one, or the oldest one's after its end. */
static struct repeats_row *row_for(struct repeats *repeats, uint64_t hash)
{
	struct repeats_row *found = NULL;

	for (size_t i = 0; i < REPEATS_ROWS; i++) {
		struct repeats_row *row = &repeats->rows[i];

		if (row->hash == hash)
			return row;
		if (found == NULL || (found->hash != 0 && (row->hash == 0 || row->begun_ns < found->begun_ns)))
			found = row;
	}
	if (found->hash != 0)
		row_end(repeats, found);
	return found;
}

static void row_begin(struct repeats_row *row, uint64_t hash, const struct log_event *event, uint64_t now_ns)
{
	*row = (struct repeats_row){.hash = hash, .begun_ns = now_ns, .level = event->level};
	keep(row->text, sizeof(row->text), str_of(event->text));
	keep(row->code, sizeof(row->code), log_field_of(event, "code"));
	keep(row->store, sizeof(row->store), log_field_of(event, "store"));
}

bool repeats_pass(struct repeats *repeats, const struct log_event *event, uint64_t now_ns)
{
	uint64_t hash = event_hash(event);
	struct repeats_row *row;

	if (repeats->max_written == 0 || !event_is_counted(event))
		return true;
	repeats_tick(repeats, now_ns);
	row = row_for(repeats, hash);
	if (row->hash != hash)
		row_begin(row, hash, event, now_ns);
	if (row->n_written < repeats->max_written) {
		row->n_written++;
		return true;
	}
	row->n_held++;
	return false;
}
