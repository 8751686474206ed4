/*
 * line.h - a line being written into a buffer of FORMAT_LINE_MAX octets, and the characters in it.
 */
#ifndef LOGGING_LINE_H
#define LOGGING_LINE_H

#include "format.h"

struct line {
	char *text;
	size_t length;
	size_t room; /* where it has to end */
	bool full;   /* something did not fit */
};

void line_bytes(struct line *, const char *bytes, size_t n);
void line_text(struct line *, const char *text);
void line_number(struct line *, const struct pstn_field *);
void line_unsigned(struct line *, uint64_t);
void line_time(struct line *, uint64_t nanoseconds);
const char *line_level(int level);

/*
 * The next character of a value: how many octets it has, and its code. Octets that are no
 * well-formed UTF-8 count one each, with code LINE_INVALID.
 */
#define LINE_INVALID UINT32_MAX
size_t line_character(const char *s, size_t n, uint32_t *code);
/* How much of a value to take so that at most max octets are, and no character is cut. */
size_t line_cut(const char *s, size_t n, size_t max);
/* Controls, line separators, and what changes the direction of text. */
bool line_is_hidden(uint32_t code);

#endif
