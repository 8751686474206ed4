/*
 * format_json.c - JSON lines (RFC 8259): an object an event, fields beside the fixed members.
 */
#include "line.h"

#include <stdio.h>
#include <string.h>

static const char cut_off[] = ",\"truncated\":true}\n";

static void escape(struct line *l, uint32_t code)
{
	char text[16];

	if (code > 0xffff)
		snprintf(text, sizeof(text), "\\u%04x\\u%04x",
			 (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
			 (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
	else
		snprintf(text, sizeof(text), "\\u%04x", (unsigned)code);
	line_text(l, text);
}

static void characters(struct line *l, const char *s, size_t n)
{
	uint32_t code;
	size_t octets;

	for (size_t i = 0; i < n; i += octets) {
		octets = line_character(s + i, n - i, &code);
		if (code == LINE_INVALID) {
			escape(l, 0xfffd);
		} else if (line_is_hidden(code)) {
			escape(l, code);
		} else {
			if (code == '"' || code == '\\')
				line_bytes(l, "\\", 1);
			line_bytes(l, s + i, octets);
		}
	}
}

static void string(struct line *l, const char *s, size_t n, size_t max)
{
	size_t taken = line_cut(s, n, max);

	line_bytes(l, "\"", 1);
	characters(l, s, taken);
	if (taken < n)
		line_text(l, "...");
	line_bytes(l, "\"", 1);
}

static bool is_fixed(const char *key)
{
	static const char *const fixed[] = {"time",  "level",      "service",  "session",
					    "event", "generation", "truncated"};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(key, fixed[i]) == 0)
			return true;
	}
	return false;
}

/* A field that is called as a fixed member gets '_' behind its name: no member comes twice. */
static void field(struct line *l, const struct pstn_field *f)
{
	line_text(l, ",\"");
	characters(l, f->key, strnlen(f->key, FORMAT_NAME_MAX));
	line_text(l, is_fixed(f->key) ? "_\":" : "\":");
	if (f->kind == PSTN_F_STR)
		string(l, f->str, f->length, FORMAT_VALUE_MAX);
	else
		line_number(l, f);
}

static void member(struct line *l, const char *key, const char *text)
{
	line_bytes(l, ",\"", 2);
	line_text(l, key);
	line_bytes(l, "\":", 2);
	string(l, text, strlen(text), FORMAT_NAME_MAX);
}

static void head(struct line *l, const struct pstn_log_event *e)
{
	line_text(l, "{\"time\":\"");
	line_time(l, e->time);
	line_bytes(l, "\"", 1);
	member(l, "level", line_level(e->level));
	member(l, "service", e->service);
	if (*e->session)
		member(l, "session", e->session);
	member(l, "event", e->event);
	line_text(l, ",\"generation\":");
	line_unsigned(l, e->generation);
}

size_t format_json(const struct pstn_log_event *e, char *out)
{
	struct line l = {.text = out, .room = FORMAT_LINE_MAX - sizeof(cut_off)};

	head(&l, e);
	for (uint32_t i = 0; i < e->nfields && !l.full; i++) {
		size_t before = l.length;

		field(&l, &e->fields[i]);
		if (l.full)
			l.length = before;
	}
	l.room = FORMAT_LINE_MAX;
	line_text(&l, l.full ? cut_off : "}\n");
	return l.length;
}
