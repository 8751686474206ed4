/*
 * conf_mend.c - change a line so that parsing comes further, and know afterwards what was lost.
 */
#include "config.h"

#include "conf_source.h"

#include <ctype.h>
#include <string.h>

unsigned conf_source_indent(const struct conf_source *s, unsigned line)
{
	return (unsigned)strspn(s->lines[line - 1], " ");
}

bool conf_source_is_empty(const struct conf_source *s, unsigned line)
{
	const char *p = s->lines[line - 1] + strspn(s->lines[line - 1], " \t");

	return !*p || *p == '#';
}

/* The nearest line above that says something; 0 if there is none. */
static unsigned line_above(const struct conf_source *s, unsigned line)
{
	while (--line && conf_source_is_empty(s, line))
		;
	return line;
}

static bool opens_a_block(const struct conf_source *s, unsigned line)
{
	const char *text = s->lines[line - 1];
	const char *comment = strstr(text, " #");
	size_t n = comment ? (size_t)(comment - text) : strlen(text);

	while (n && text[n - 1] == ' ')
		n--;
	return n && text[n - 1] == ':';
}

static void indent(struct conf_source *s, unsigned line, unsigned columns)
{
	const char *rest = s->lines[line - 1] + strspn(s->lines[line - 1], " \t");
	int before = (int)(rest - s->lines[line - 1]);

	s->lines[line - 1] = arena_printf(s->arena, "%*s%s", (int)columns, "", rest);
	s->shifts[line - 1] += (int)columns - before;
	s->states[line - 1] = LINE_INDENTED;
}

/* Where the content of "- - key: value" begins; the line's indentation if there is no dash. */
static unsigned content_column(const struct conf_source *s, unsigned line)
{
	const char *text = s->lines[line - 1];
	unsigned column = conf_source_indent(s, line);

	while (text[column] == '-' && text[column + 1] == ' ')
		column += 1 + (unsigned)strspn(text + column + 1, " ");
	return column;
}

static void try_indent(unsigned columns, unsigned own, unsigned *best, unsigned *distance)
{
	unsigned off = columns > own ? columns - own : own - columns;

	if (off < *distance) {
		*distance = off;
		*best = columns;
	}
}

/* The open indentation nearest to the line's own; the line's own if it is one of them. */
static unsigned fitting_indent(const struct conf_source *s, unsigned line)
{
	unsigned own = conf_source_indent(s, line), best = own, open = UINT32_MAX;
	unsigned distance = UINT32_MAX, above = line_above(s, line);

	if (above && opens_a_block(s, above) && own > conf_source_indent(s, above))
		return own;
	for (; above && open; above = line_above(s, above)) {
		unsigned columns = conf_source_indent(s, above);
		if (columns >= open)
			continue;
		open = columns;
		try_indent(columns, own, &best, &distance);
		try_indent(content_column(s, above), own, &best, &distance);
	}
	return best;
}

/* YAML forbids tabs there, but lets some pass, and then a line belongs to another value. */
void conf_source_check_tabs(struct conf_source *s, struct reports *r)
{
	for (unsigned line = 1; line <= s->nlines; line++) {
		const char *text = s->lines[line - 1];
		size_t blanks = strspn(text, " \t"), tab = strcspn(text, "\t");
		if (tab >= blanks || conf_source_is_empty(s, line))
			continue;
		report_error(r, (struct place){s->path, line, (unsigned)tab + 1},
			     "a tab in the indentation: indent with spaces");
		unsigned above = line_above(s, line);
		unsigned columns = above ? fitting_indent(s, above) : 0;
		if (above && opens_a_block(s, above))
			columns += 2;
		indent(s, line, columns);
		s->suspect[line - 1] = true;
	}
}

bool conf_source_indent_fits(const struct conf_source *s, unsigned line)
{
	return fitting_indent(s, line) == conf_source_indent(s, line);
}

/* Octets up to and with the key of "  - key: value", "key = value", "key value"; 0: no key. */
static size_t key_end(const char *text)
{
	size_t begin = strspn(text, " ");

	while (text[begin] == '-' && text[begin + 1] == ' ')
		begin += 1 + strspn(text + begin + 1, " ");
	size_t end = begin;
	while (isalnum((unsigned char)text[end]) || (text[end] && strchr("_.-", text[end])))
		end++;
	return end > begin && isalpha((unsigned char)text[begin]) ? end : 0;
}

static bool keep_key(struct conf_source *s, unsigned line)
{
	const char *text = s->lines[line - 1];
	size_t end = key_end(text);

	if (!end)
		return false;
	s->lines[line - 1] = arena_printf(s->arena, "%.*s:", (int)end, text);
	s->states[line - 1] = LINE_KEY_ONLY;
	return true;
}

static bool lies_below(const struct conf_source *s, unsigned line, unsigned columns)
{
	unsigned own = conf_source_indent(s, line);
	char first = s->lines[line - 1][own];

	return own > columns || conf_source_is_empty(s, line) || first == ']' || first == '}';
}

static void blank(struct conf_source *s, unsigned line)
{
	s->lost[line - 1] = conf_source_is_empty(s, line) ? 0 : content_column(s, line) + 1;
	s->lines[line - 1] = arena_strdup(s->arena, "");
	s->states[line - 1] = LINE_BLANK;
}

void conf_source_blank_below(struct conf_source *s, unsigned line, unsigned last)
{
	unsigned columns = conf_source_indent(s, line);

	while (++line <= s->nlines && lies_below(s, line, columns)) {
		if (line <= last)
			blank(s, line);
		else
			s->suspect[line - 1] = true;
	}
}

bool conf_source_mend(struct conf_source *s, unsigned line, bool indentation)
{
	if (line < 1 || line > s->nlines || s->states[line - 1] == LINE_BLANK)
		return false;
	if (s->states[line - 1] == LINE_AS_WRITTEN && indentation &&
	    !conf_source_indent_fits(s, line)) {
		indent(s, line, fitting_indent(s, line));
		return true;
	}
	if (s->states[line - 1] < LINE_KEY_ONLY && keep_key(s, line))
		return true;
	conf_source_blank_below(s, line, 0);
	blank(s, line);
	return true;
}

bool conf_source_lost(const struct conf_source *s, unsigned from, unsigned to, unsigned low,
		      unsigned high)
{
	for (unsigned line = from; line < to && line <= s->nlines; line++)
		if (s->lost[line - 1] && s->lost[line - 1] >= low && s->lost[line - 1] <= high)
			return true;
	return false;
}
