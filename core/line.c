/*
 * line.c - cuts lines out of what a client sent (see line.h).
 */
#include "line.h"

#include <string.h>

static enum line_found skip(struct line_cutter *c, char *at, char *end, char **next)
{
	char *lf = memchr(at, '\n', (size_t)(end - at));

	if (!lf) {
		*next = end;
		return LINE_NONE;
	}
	c->skipping = false;
	*next = lf + 1;
	return LINE_TOO_LONG;
}

enum line_found line_cut(struct line_cutter *c, char *at, char *end, char **line, size_t *n,
			 char **next)
{
	size_t have = (size_t)(end - at);
	size_t look = have < c->limit ? have : c->limit;
	char *lf;

	*next = at;
	if (at == end)
		return LINE_NONE;
	if (c->skipping)
		return skip(c, at, end, next);
	lf = memchr(at, '\n', look);
	if (!lf) {
		if (have < c->limit)
			return LINE_NONE;
		c->skipping = true;
		return skip(c, at + look, end, next);
	}
	*next = lf + 1;
	if (lf > at && lf[-1] == '\r')
		lf--;
	*lf = '\0';
	*line = at;
	*n = (size_t)(lf - at);
	return LINE_WHOLE;
}
