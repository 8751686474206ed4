/*
 * format_text.c - lines for people and grep: key=value, quoted where it is necessary.
 */
#include "line.h"

#include <stdio.h>
#include <string.h>

static const char cut_off[] = " truncated=yes\n";

/* Without quotes: visible characters that mean nothing to the format. */
static bool is_plain(uint32_t code)
{
	return code > ' ' && code != '"' && code != '\\' && code != '=' && code != 0xa0 &&
	       !line_is_hidden(code);
}

static bool all_plain(const char *s, size_t n)
{
	uint32_t code;

	for (size_t i = 0; i < n; i += line_character(s + i, n - i, &code)) {
		line_character(s + i, n - i, &code);
		if (code == LINE_INVALID || !is_plain(code))
			return false;
	}
	return n > 0;
}

/* \xNN for each octet */
static void escape(struct line *l, const char *s, size_t n)
{
	char text[8];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "\\x%02x", (unsigned)(unsigned char)s[i]);
		line_bytes(l, text, 4);
	}
}

static void quote(struct line *l, const char *s, size_t n)
{
	uint32_t code;
	size_t octets;

	line_bytes(l, "\"", 1);
	for (size_t i = 0; i < n; i += octets) {
		octets = line_character(s + i, n - i, &code);
		if (code == '"' || code == '\\')
			line_bytes(l, "\\", 1);
		if (code == LINE_INVALID || line_is_hidden(code))
			escape(l, s + i, octets);
		else
			line_bytes(l, s + i, octets);
	}
	line_bytes(l, "\"", 1);
}

static void value(struct line *l, const char *s, size_t n, size_t max)
{
	size_t taken = line_cut(s, n, max);

	if (taken == n && all_plain(s, n))
		line_bytes(l, s, n);
	else
		quote(l, s, taken);
	if (taken < n)
		line_text(l, "...");
}

static void name(struct line *l, const char *s)
{
	value(l, s, strlen(s), FORMAT_NAME_MAX);
}

static void field(struct line *l, const struct pstn_field *f)
{
	line_bytes(l, " ", 1);
	name(l, f->key);
	line_bytes(l, "=", 1);
	if (f->kind == PSTN_F_STR)
		value(l, f->str, f->length, FORMAT_VALUE_MAX);
	else
		line_number(l, f);
}

static void body(struct line *l, const struct pstn_log_event *e)
{
	name(l, e->service);
	if (*e->session) {
		line_text(l, " session=");
		name(l, e->session);
	}
	line_bytes(l, " ", 1);
	name(l, e->event);
	for (uint32_t i = 0; i < e->nfields; i++) {
		size_t before = l->length;

		field(l, &e->fields[i]);
		if (l->full) {
			l->length = before;
			break;
		}
	}
}

static size_t finish(struct line *l)
{
	l->room = FORMAT_LINE_MAX;
	line_text(l, l->full ? cut_off : "\n");
	return l->length;
}

size_t format_text(const struct pstn_log_event *e, char *out)
{
	struct line l = {.text = out, .room = FORMAT_LINE_MAX - sizeof(cut_off)};

	line_time(&l, e->time);
	line_bytes(&l, " ", 1);
	line_text(&l, line_level(e->level));
	line_bytes(&l, " ", 1);
	body(&l, e);
	return finish(&l);
}

size_t format_syslog(const struct pstn_log_event *e, char *out)
{
	struct line l = {.text = out, .room = FORMAT_LINE_MAX - sizeof(cut_off)};

	body(&l, e);
	return finish(&l);
}
