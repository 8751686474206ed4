/*
 * reply.c - see reply.h. A benchmark that does not check what it gets measures how fast a server
 * can be wrong; this check is a small part of what the generator costs.
 */
#include "reply.h"

#include <string.h>

enum { STATUS, LINE_START, IN_LINE, DOT, DOT_CR };

void reply_begin(struct reply *r, enum reply_kind kind)
{
	r->kind = kind;
	r->state = STATUS;
	r->done = false;
	r->length = 0;
	r->octets = 0;
	r->rows = 0;
	r->sum = 0;
	r->bad = NULL;
}

/* Gather a line into r->line; true when it is complete and ended in CRLF. */
static bool gather(struct reply *r, const char *bytes, size_t n, size_t *used)
{
	const char *end = memchr(bytes, '\n', n);
	*used = end ? (size_t)(end - bytes) + 1 : n;
	if (r->length + *used > sizeof r->line) {
		r->bad = "line longer than 512 octets";
		return false;
	}
	memcpy(r->line + r->length, bytes, *used);
	r->length += *used;
	if (!end)
		return false;
	if (r->length < 2 || r->line[r->length - 2] != '\r') {
		r->bad = "line does not end in CRLF";
		return false;
	}
	r->length -= 2;
	r->line[r->length] = '\0';
	return true;
}

static void judge_status(struct reply *r)
{
	if (strncmp(r->line, "+OK", 3) != 0 || (r->line[3] != '\0' && r->line[3] != ' '))
		r->bad = "status is not +OK";
	else if (r->kind == REPLY_LINE)
		r->done = true;
	else
		r->state = LINE_START;
}

/* Decimal digits, at least one; returns what follows them, NULL if there are none. */
static const char *number(const char *s, uint64_t *out)
{
	const char *p = s;
	*out = 0;
	while (*p >= '0' && *p <= '9' && p - s < 18)
		*out = *out * 10 + (uint64_t)(*p++ - '0');
	return p > s ? p : NULL;
}

static void judge_row(struct reply *r)
{
	uint64_t position, size;
	const char *rest = number(r->line, &position);
	if (!rest || *rest != ' ' || position != (uint64_t)r->rows + 1) {
		r->bad = "listing out of order or malformed";
		return;
	}
	rest++;
	if (r->kind == REPLY_LIST) {
		rest = number(rest, &size);
		if (!rest || *rest != '\0') {
			r->bad = "LIST row without a size";
			return;
		}
		r->sum += size;
		if (r->sizes && r->rows < r->max_sizes)
			r->sizes[r->rows] = (uint32_t)size;
	} else {
		size_t length = strlen(rest);
		if (length < 1 || length > 70) {
			r->bad = "UIDL row without a unique-id";
			return;
		}
	}
	r->rows++;
}

/* Text of a message: count it, nothing more. */
static size_t text_line(struct reply *r, const char *bytes, size_t n)
{
	const char *end = memchr(bytes, '\n', n);
	size_t used = end ? (size_t)(end - bytes) + 1 : n;
	r->octets += used;
	if (end) {
		char before = end > bytes ? end[-1] : r->last;
		if (before != '\r')
			r->bad = "line of text does not end in CRLF";
		r->state = LINE_START;
	}
	r->last = bytes[used - 1];
	return used;
}

static size_t listing_line(struct reply *r, const char *bytes, size_t n)
{
	size_t used;
	if (gather(r, bytes, n, &used)) {
		judge_row(r);
		r->length = 0;
		r->state = LINE_START;
	}
	return used;
}

/* One octet in a state that looks at single octets; false: it belongs to the line. */
static bool dot_octet(struct reply *r, char c)
{
	switch (r->state) {
	case LINE_START:
		r->last = '\n';
		r->state = c == '.' ? DOT : IN_LINE;
		return c == '.';
	case DOT:
		r->last = '.';
		r->state = c == '\r' ? DOT_CR : IN_LINE;
		if (c != '\r' && c != '.')
			r->bad = "a line begins with one dot";
		return c == '\r';
	default: /* DOT_CR */
		r->done = c == '\n';
		if (!r->done)
			r->bad = "dot and CR without LF";
		return true;
	}
}

size_t reply_feed(struct reply *r, const char *bytes, size_t n)
{
	size_t at = 0;
	while (at < n && !r->done && !r->bad) {
		size_t used = 0;
		if (r->state == STATUS) {
			if (gather(r, bytes + at, n - at, &used)) {
				judge_status(r);
				r->length = r->kind == REPLY_LINE ? r->length : 0;
			}
		} else if (r->state == IN_LINE) {
			used = r->kind == REPLY_TEXT ? text_line(r, bytes + at, n - at)
						     : listing_line(r, bytes + at, n - at);
		} else {
			used = dot_octet(r, bytes[at]);
		}
		at += used;
	}
	return at;
}
