/*
 * log_line.c - an event as one plain line, for when no sink is there.
 *
 * Values come from clients: whatever could end the line, or pass for another field, is quoted.
 */
#include "config.h"

#include "log.h"

#include <postern/log_sink.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct line {
	char *at, *end; /* end leaves room for '\0' */
};

static void put(struct line *l, const char *text, size_t n)
{
	size_t room = (size_t)(l->end - l->at);
	if (n > room)
		n = room;
	memcpy(l->at, text, n);
	l->at += n;
}

static void put_text(struct line *l, const char *text)
{
	put(l, text, strlen(text));
}

static bool is_plain(const char *value, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)value[i];
		if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
			return false;
	}
	return length > 0;
}

static void put_value(struct line *l, const char *value, uint32_t length)
{
	if (is_plain(value, length)) {
		put(l, value, length);
		return;
	}
	put(l, "\"", 1);
	for (uint32_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)value[i];
		char escaped[8];
		if (c < ' ' || c == 0x7f) {
			snprintf(escaped, sizeof(escaped), "\\x%02x", c);
			put_text(l, escaped);
		} else {
			if (c == '"' || c == '\\')
				put(l, "\\", 1);
			put(l, &value[i], 1);
		}
	}
	put(l, "\"", 1);
}

static void put_field(struct line *l, const struct pstn_field *f)
{
	char number[24];
	put(l, " ", 1);
	put_text(l, f->key);
	put(l, "=", 1);
	if (f->kind == PSTN_F_STR) {
		put_value(l, f->str, f->length);
		return;
	}
	if (f->kind == PSTN_F_INT)
		snprintf(number, sizeof(number), "%" PRId64, f->num);
	else
		snprintf(number, sizeof(number), "%" PRIu64, f->unum);
	put_text(l, number);
}

size_t log_line(const struct pstn_log_event *e, char *to, size_t size)
{
	struct line l = {to, to + size - 1};
	put_text(&l, e->service);
	if (*e->session) {
		put(&l, " ", 1);
		put_text(&l, e->session);
	}
	put(&l, ": ", 2);
	put_text(&l, e->event);
	for (uint32_t i = 0; i < e->nfields; i++)
		put_field(&l, &e->fields[i]);
	*l.at = '\0';
	return (size_t)(l.at - to);
}

const char *log_level_name(int level)
{
	static const char *const names[] = {"none",    "critical", "error",
					    "warning", "info",     "protocol"};
	return level >= PSTN_CRITICAL && level <= PSTN_PROTOCOL ? names[level] : names[0];
}
