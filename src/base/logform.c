#include "logform.h"

/* Cut at a character's border. */
static struct str cut(struct str value)
{
	if (value.len <= LOGFORM_VALUE_BYTES)
		return value;
	value.len = LOGFORM_VALUE_BYTES;
	while (value.len > 0 && ((unsigned char)value.at[value.len] & 0xc0) == 0x80)
		value.len--;
	return value;
}

/* ---- logfmt ---- */

static bool value_is_plain(struct str value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
			return false;
	}
	return value.len > 0;
}

static void logfmt_value(struct buf *out, struct str value)
{
	struct str shown = cut(value);

	if (value_is_plain(value) && shown.len == value.len) {
		buf_append_str(out, value);
		return;
	}
	buf_append_text(out, "\"");
	for (size_t i = 0; i < shown.len; i++) {
		unsigned char c = (unsigned char)shown.at[i];

		if (c == '"' || c == '\\')
			buf_append_format(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			buf_append_format(out, "\\x%02x", c);
		else
			buf_append(out, &shown.at[i], 1);
	}
	buf_append_text(out, shown.len < value.len ? "...\"" : "\"");
}

void logform_fields(struct buf *out, const struct log_event *event)
{
	for (size_t i = 0; i < event->n_fields; i++) {
		if (event->fields[i].value.at == NULL)
			continue;
		buf_append_format(out, " %s=", event->fields[i].key);
		logfmt_value(out, event->fields[i].value);
	}
}

void logform_logfmt(struct buf *out, const struct log_event *event, const char *time)
{
	if (time != NULL)
		buf_append_format(out, "time=%s ", time);
	buf_append_format(out, "level=%s msg=", log_level_name(event->level));
	logfmt_value(out, str_of(event->text));
	logform_fields(out, event);
}

/* ---- JSON ---- */

/* The length of the character that begins here; 0: no whole, valid one does (RFC 3629). */
static size_t character_len(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t n = 0; n < ARRAY_LEN(forms) && n < left; n++) {
		uint32_t point = at[0] & (unsigned char)~forms[n].mask;
		size_t i = 1;

		if ((at[0] & forms[n].mask) != forms[n].lead)
			continue;
		while (i <= n && (at[i] & 0xc0) == 0x80)
			point = point << 6 | (at[i++] & 0x3f);
		if (i <= n || point < forms[n].least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
			return 0;
		return n + 1;
	}
	return 0;
}

static void json_text(struct buf *out, struct str value)
{
	struct str shown = cut(value);

	buf_append_text(out, "\"");
	for (size_t i = 0; i < shown.len;) {
		const unsigned char *at = (const unsigned char *)shown.at + i;
		size_t n = character_len(at, shown.len - i);

		if (n == 0)
			buf_append_text(out, "\\ufffd"); /* a store's error text may be in any encoding */
		else if (n == 1 && (*at == '"' || *at == '\\'))
			buf_append_format(out, "\\%c", *at);
		else if (n == 1 && (*at < ' ' || *at == 0x7f))
			buf_append_format(out, "\\u%04x", *at);
		else
			buf_append(out, at, n);
		i += n > 0 ? n : 1;
	}
	buf_append_text(out, shown.len < value.len ? "...\"" : "\"");
}

static void json_member(struct buf *out, const char *key, struct str value)
{
	buf_append_format(out, "%s\"%s\":", out->len > 0 && out->at[out->len - 1] != '{' ? "," : "", key);
	json_text(out, value);
}

void logform_json(struct buf *out, const struct log_event *event, const char *time)
{
	buf_append_text(out, "{");
	if (time != NULL)
		json_member(out, "time", str_of(time));
	json_member(out, "level", str_of(log_level_name(event->level)));
	json_member(out, "msg", str_of(event->text));
	for (size_t i = 0; i < event->n_fields; i++)
		if (event->fields[i].value.at != NULL)
			json_member(out, event->fields[i].key, event->fields[i].value);
	buf_append_text(out, "}");
}
