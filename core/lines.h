/*
 * lines.h - a bounded list of texts: reports, names, addresses as they come over the link.
 */
#ifndef CORE_LINES_H
#define CORE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_MAX 1000 /* more are counted, not kept */

struct lines { /* zeroed: empty */
	char **v;
	unsigned n, room, omitted;
};

/* What finds no memory or no room is counted in omitted. */
void lines_add(struct lines *, const char *text);
bool lines_has(const struct lines *, const char *text);
/* All of them, a line each, and how many were left out; malloc'd, NULL without memory. */
char *lines_join(const struct lines *, const char *before);
void lines_clear(struct lines *);

#endif
