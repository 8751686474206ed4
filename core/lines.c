/*
 * lines.c - see lines.h.
 */
#include "config.h"

#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct lines *l)
{
	unsigned room = l->room ? l->room * 2 : 8;
	char **v;

	v = realloc(l->v, room * sizeof(*v));
	if (!v)
		return false;
	l->v = v;
	l->room = room;
	return true;
}

void lines_add(struct lines *l, const char *text)
{
	char *copy = NULL;

	if (l->n < LINES_MAX && (l->n < l->room || grow(l)))
		copy = strdup(text);
	if (copy)
		l->v[l->n++] = copy;
	else
		l->omitted++;
}

bool lines_has(const struct lines *l, const char *text)
{
	for (unsigned i = 0; i < l->n; i++)
		if (strcmp(l->v[i], text) == 0)
			return true;
	return false;
}

char *lines_join(const struct lines *l, const char *before)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (unsigned i = 0; i < l->n; i++)
		fprintf(f, "%s%s%s", i ? "\n" : "", before, l->v[i]);
	if (l->omitted)
		fprintf(f, "\n%sand %u more", before, l->omitted);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void lines_clear(struct lines *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct lines){0};
}
