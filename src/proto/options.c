#include "options.h"

#include <stdio.h>

#define DEADLINE_MAX_MS 86400000u /* a day */
#define CACHE_TTL_MAX_S 31536000u /* a year */

static int options_read_key(struct reader *reader, struct member member, struct str *out_key)
{
	int rc = reader_text(reader, member, "idempotency_key", REQUEST_KEY_BYTES, "the limit of an idempotency key",
			     out_key);

	if (rc == 0 && out_key->at != NULL && out_key->len == 0)
		return reader_fault_in(reader, "idempotency_key", CODE_INVALID_FIELD,
				       "must not be empty; leave it out when there is none");
	return rc;
}

/* null is a value here: "there must be no such document". */
static int options_read_if_version(struct reader *reader, struct member member, struct put_options *options)
{
	struct str text = {yyjson_get_str(member.val), yyjson_get_len(member.val)};

	if (member.val == NULL)
		return 0;
	if (yyjson_is_null(member.val)) {
		options->if_absent = true;
		return 0;
	}
	if (!yyjson_is_str(member.val) || !uuid_parse(text, &options->if_version))
		return reader_fault_in(reader, "if_version", CODE_INVALID_FIELD,
				       "must be a version as sagad gave it (a UUID of 36 characters), or null for \"no "
				       "such document\"");
	options->has_if_version = true;
	return 0;
}

/* One of two words; *out_is_second says which. */
static int options_read_word(struct reader *reader, struct member member, const char *name, const char *first,
			     const char *second, bool *out_is_second)
{
	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	*out_is_second = yyjson_equals_str(member.val, second);
	if (!*out_is_second && !yyjson_equals_str(member.val, first))
		return reader_fault_in(reader, name, CODE_INVALID_FIELD, "must be \"%s\" or \"%s\"", first, second);
	return 0;
}

int options_read_put(struct reader *reader, const struct member members[OPTION_MEMBERS],
		     struct put_options *out_options)
{
	struct put_options made = {0};
	uint64_t ttl_s = 0;
	bool is_accepted = false;
	int rc = options_read_key(reader, members[OPTION_KEY], &made.idempotency_key);

	if (rc == 0)
		rc = options_read_if_version(reader, members[OPTION_IF_VERSION], &made);
	if (rc == 0)
		rc = reader_number(reader, members[OPTION_DEADLINE], "deadline_ms", 1, DEADLINE_MAX_MS, NULL,
				   &made.deadline_ms);
	if (rc == 0)
		rc = options_read_word(reader, members[OPTION_WAIT], "wait", "committed", "accepted", &is_accepted);
	if (rc == 0)
		rc = options_read_word(reader, members[OPTION_ON_UNCHANGED], "on_unchanged", "skip", "write",
				       &made.write_unchanged);
	if (rc == 0)
		rc = reader_number(reader, members[OPTION_CACHE_TTL], "cache_ttl_s", 1, CACHE_TTL_MAX_S,
				   &made.has_cache_ttl, &ttl_s);
	if (rc != 0)
		return rc;
	made.wait = is_accepted ? WAIT_ACCEPTED : WAIT_COMMITTED;
	made.cache_ttl_s = (uint32_t)ttl_s;
	*out_options = made;
	return 0;
}

enum {
	INIT_DIMS,
	INIT_DISTANCE,
	INIT_HNSW_M,
	INIT_HNSW_EF,
	INIT_ON_DISK,
	INIT_QUANTIZE,
	INIT_ANN_INDEX,
	INIT_CHECK_ONLY,
	INIT_MEMBERS
};

static const char *const init_names[INIT_MEMBERS] = {
	[INIT_DIMS] = "dims",           [INIT_DISTANCE] = "distance",
	[INIT_HNSW_M] = "hnsw_m",       [INIT_HNSW_EF] = "hnsw_ef_construct",
	[INIT_ON_DISK] = "on_disk",     [INIT_QUANTIZE] = "quantize_int8",
	[INIT_ANN_INDEX] = "ann_index", [INIT_CHECK_ONLY] = "check_only",
};

static int options_read_distance(struct reader *reader, struct member member, char *out, size_t out_bytes)
{
	static const char *const known[] = {"cosine", "dot", "euclid", "manhattan"};

	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (yyjson_equals_str(member.val, known[i])) {
			(void)snprintf(out, out_bytes, "%s", known[i]); /* they are shorter */
			return 0;
		}
	}
	return reader_fault_in(reader, "distance", CODE_INVALID_FIELD,
			       "must be \"cosine\", \"dot\", \"euclid\" or \"manhattan\"");
}

/* The ranges are those that both Qdrant and pgvector take. */
static int options_read_index(struct reader *reader, const struct member members[INIT_MEMBERS],
			      struct init_options *made)
{
	uint64_t dims = 0, m = 0, ef = 0;
	int rc = reader_number(reader, members[INIT_DIMS], "dims", 1, reader->limits->max_dims, NULL, &dims);

	if (rc == 0)
		rc = reader_number(reader, members[INIT_HNSW_M], "hnsw_m", 2, 100, NULL, &m);
	if (rc == 0)
		rc = reader_number(reader, members[INIT_HNSW_EF], "hnsw_ef_construct", 4, 1000, NULL, &ef);
	made->dims = (uint32_t)dims;
	made->hnsw_m = (uint32_t)m;
	made->hnsw_ef_construct = (uint32_t)ef;
	return rc;
}

int options_read_init(struct reader *reader, yyjson_val *params, struct init_options *out_options)
{
	struct init_options made = {0};
	struct member members[INIT_MEMBERS] = {0};
	int rc = 0;

	if (params != NULL)
		rc = reader_members(reader, params, "store.init", init_names, INIT_MEMBERS, members);
	if (rc == 0)
		rc = options_read_index(reader, members, &made);
	if (rc == 0)
		rc = options_read_distance(reader, members[INIT_DISTANCE], made.distance, sizeof(made.distance));
	if (rc == 0)
		rc = reader_bool(reader, members[INIT_ON_DISK], "on_disk", &made.has_on_disk, &made.on_disk);
	if (rc == 0)
		rc = reader_bool(reader, members[INIT_QUANTIZE], "quantize_int8", &made.has_quantize_int8,
				 &made.quantize_int8);
	if (rc == 0)
		rc = reader_bool(reader, members[INIT_ANN_INDEX], "ann_index", NULL, &made.ann_index);
	if (rc == 0)
		rc = reader_bool(reader, members[INIT_CHECK_ONLY], "check_only", NULL, &made.check_only);
	if (rc == 0)
		*out_options = made;
	return rc;
}

enum { LEVEL_LEVEL, LEVEL_MEMBERS };
static const char *const level_names[LEVEL_MEMBERS] = {[LEVEL_LEVEL] = "level"};

int options_read_log_level(struct reader *reader, yyjson_val *params, enum log_level *out_level)
{
	struct member members[LEVEL_MEMBERS];
	int rc = reader_members(reader, params, "sagad.log_level", level_names, LEVEL_MEMBERS, members);

	if (rc != 0)
		return rc;
	if (members[LEVEL_LEVEL].val == NULL)
		return reader_fault_in(reader, "level", CODE_MISSING_FIELD, "must be given");
	for (enum log_level level = LOG_DEBUG_LEVEL; level <= LOG_ERROR_LEVEL; level++)
		if (yyjson_equals_str(members[LEVEL_LEVEL].val, log_level_name(level))) {
			*out_level = level;
			return 0;
		}
	return reader_fault_in(reader, "level", CODE_INVALID_FIELD, "must be debug, info, warn or error");
}
