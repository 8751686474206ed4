/*
 * line.c - putting a line together; which characters may be shown as they are.
 */
#include "line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *const format_levels[] = {"critical", "error", "warning", "info", "protocol", NULL};

const char *line_level(int level)
{
	return level >= PSTN_CRITICAL && level <= PSTN_PROTOCOL ? format_levels[level - 1]
								: "unknown";
}

void line_bytes(struct line *l, const char *bytes, size_t n)
{
	if (n > l->room - l->length) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->length, bytes, n);
	l->length += n;
}

void line_text(struct line *l, const char *text)
{
	line_bytes(l, text, strlen(text));
}

void line_unsigned(struct line *l, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%ju", (uintmax_t)n);
	line_text(l, text);
}

void line_number(struct line *l, const struct pstn_field *f)
{
	char text[24];

	if (f->kind == PSTN_F_UINT) {
		line_unsigned(l, f->unum);
		return;
	}
	snprintf(text, sizeof(text), "%jd", (intmax_t)f->num);
	line_text(l, text);
}

void line_time(struct line *l, uint64_t nanoseconds)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	unsigned micros = (unsigned)(nanoseconds % 1000000000 / 1000);
	char text[64];
	struct tm tm;
	size_t n;

	if (!gmtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%06uZ", micros);
	line_text(l, text);
}

size_t line_character(const char *text, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));

	*code = LINE_INVALID;
	if (n > left || s[0] > 0xf4 || (s[0] >= 0x80 && s[0] < 0xc2))
		return 1;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;
	*code = c;
	return n;
}

size_t line_cut(const char *s, size_t n, size_t max)
{
	if (n <= max)
		return n;
	for (size_t back = 0; back < 3 && ((unsigned char)s[max] & 0xc0) == 0x80; back++)
		max--;
	return max;
}

bool line_is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff0 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe || c >= 0xe0000;
}
