/*
 * line_model.h - what a line cutter has to do, written down as plainly as can be, and a reader that
 * feeds line_cut() as the runtime does. For the unit test and the fuzzer.
 */
#ifndef TESTS_LINE_MODEL_H
#define TESTS_LINE_MODEL_H

#include "line.h"

#include <stdlib.h>
#include <string.h>

/* What was found, as one text: lines as "[...]", too long ones as "!". */
struct line_story {
	char *text;
	size_t n, room;
};

static void story_add(struct line_story *s, const char *bytes, size_t n)
{
	if (s->n + n > s->room) {
		s->room = (s->n + n) * 2;
		s->text = realloc(s->text, s->room);
		if (!s->text)
			abort();
	}
	memcpy(s->text + s->n, bytes, n);
	s->n += n;
}

static void story_line(struct line_story *s, const char *line, size_t n)
{
	story_add(s, "[", 1);
	story_add(s, line, n);
	story_add(s, "]", 1);
}

static void line_model(const char *bytes, size_t n, size_t limit, struct line_story *s)
{
	size_t start = 0;

	for (size_t i = 0; i < n; i++) {
		size_t length = i - start;

		if (bytes[i] != '\n')
			continue;
		if (length + 1 > limit)
			story_add(s, "!", 1);
		else if (length && bytes[i - 1] == '\r')
			story_line(s, bytes + start, length - 1);
		else
			story_line(s, bytes + start, length);
		start = i + 1;
	}
}

struct line_reader {
	struct line_cutter cutter;
	char *kept;
	size_t nkept;
	struct line_story story;
};

/* False: more was kept than may be, or a line does not end as promised. */
static bool line_feed(struct line_reader *r, const char *bytes, size_t n)
{
	char *room = malloc(r->nkept + n + 1), *at = room, *line, *next;
	char *end = room + r->nkept + n;
	enum line_found found;
	bool right = true;
	size_t length;

	if (!room)
		abort();
	if (r->nkept)
		memcpy(room, r->kept, r->nkept);
	if (n)
		memcpy(room + r->nkept, bytes, n);
	while ((found = line_cut(&r->cutter, at, end, &line, &length, &next)) != LINE_NONE) {
		if (found == LINE_WHOLE) {
			right = right && line[length] == '\0' && line + length < next;
			story_line(&r->story, line, length);
		} else {
			story_add(&r->story, "!", 1);
		}
		at = next;
	}
	at = next;
	free(r->kept);
	r->nkept = (size_t)(end - at);
	right = right && r->nkept < r->cutter.limit;
	r->kept = malloc(r->nkept + 1);
	if (!r->kept)
		abort();
	memcpy(r->kept, at, r->nkept);
	free(room);
	return right;
}

static void line_reader_clear(struct line_reader *r)
{
	free(r->kept);
	free(r->story.text);
}

static bool story_equal(const struct line_story *a, const struct line_story *b)
{
	return a->n == b->n && (!a->n || memcmp(a->text, b->text, a->n) == 0);
}

#endif
