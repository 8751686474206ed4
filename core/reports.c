/*
 * reports.c - everything that is wrong with a candidate, gathered so that one run names it all.
 */
#include "config.h"

#include "arena.h"
#include "reports.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody reads more; a file of garbage must not fill a log. */
#define REPORTS_MAX 500

struct report {
	bool is_error;
	unsigned file; /* index into the names, in the order in which files first came up */
	unsigned line, column, sequence;
	char *text;
};

struct reports {
	struct report *rows;
	unsigned count, room;
	unsigned errors;
	unsigned dropped;
	char **files;
	unsigned nfiles;
};

#define NO_FILE UINT32_MAX

struct reports *reports_new(void)
{
	return arena_must(calloc(1, sizeof(struct reports)));
}

void reports_free(struct reports **reports)
{
	struct reports *r = *reports;

	if (!r)
		return;
	for (unsigned i = 0; i < r->count; i++)
		free(r->rows[i].text);
	for (unsigned i = 0; i < r->nfiles; i++)
		free(r->files[i]);
	free(r->rows);
	free(r->files);
	free(r);
	*reports = NULL;
}

static unsigned file_index(struct reports *r, const char *file)
{
	if (!file)
		return NO_FILE;
	for (unsigned i = 0; i < r->nfiles; i++)
		if (!strcmp(r->files[i], file))
			return i;
	r->files = arena_must(realloc(r->files, (r->nfiles + 1) * sizeof *r->files));
	r->files[r->nfiles] = arena_must(strdup(file));
	return r->nfiles++;
}

static bool same(const struct report *a, const struct report *b)
{
	return a->is_error == b->is_error && a->file == b->file && a->line == b->line &&
	       a->column == b->column && !strcmp(a->text, b->text);
}

static bool is_known(const struct reports *r, const struct report *new)
{
	for (unsigned i = 0; i < r->count; i++)
		if (same(&r->rows[i], new))
			return true;
	return false;
}

PSTN_PRINTF(4, 0)
static void add(struct reports *r, bool is_error, struct place place, const char *fmt, va_list ap)
{
	struct report new = {.is_error = is_error,
			     .file = file_index(r, place.file),
			     .line = place.line,
			     .column = place.column,
			     .sequence = r->count};

	if (vasprintf(&new.text, fmt, ap) < 0)
		arena_must(NULL);
	if (is_known(r, &new)) {
		free(new.text);
		return;
	}
	r->errors += is_error;
	if (r->count == REPORTS_MAX) {
		r->dropped++;
		free(new.text);
		return;
	}
	if (r->count == r->room) {
		r->room = r->room ? r->room * 2 : 16;
		r->rows = arena_must(realloc(r->rows, r->room * sizeof *r->rows));
	}
	r->rows[r->count++] = new;
}

void report_error(struct reports *r, struct place place, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, true, place, fmt, ap);
	va_end(ap);
}

void report_warning(struct reports *r, struct place place, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, false, place, fmt, ap);
	va_end(ap);
}

unsigned reports_errors(const struct reports *r)
{
	return r->errors;
}

static int by_number(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

static int by_place(const void *left, const void *right)
{
	const struct report *a = left, *b = right;
	int order = by_number(a->file, b->file);

	if (!order)
		order = by_number(a->line, b->line);
	if (!order)
		order = by_number(a->column, b->column);
	return order ? order : by_number(a->sequence, b->sequence);
}

/* What stands in a file must not steer a terminal or forge a log line. */
static void make_printable(char *line)
{
	for (unsigned char *p = (unsigned char *)line; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static void emit(const struct reports *r, const struct report *row,
		 void (*each)(void *arg, bool is_error, const char *text), void *arg)
{
	char *line = NULL;
	int n;

	if (row->file == NO_FILE)
		n = asprintf(&line, "%s", row->text);
	else if (!row->line)
		n = asprintf(&line, "%s: %s", r->files[row->file], row->text);
	else if (!row->column)
		n = asprintf(&line, "%s:%u: %s", r->files[row->file], row->line, row->text);
	else
		n = asprintf(&line, "%s:%u:%u: %s", r->files[row->file], row->line, row->column,
			     row->text);
	if (n < 0)
		arena_must(NULL);
	make_printable(line);
	each(arg, row->is_error, line);
	free(line);
}

void reports_each(const struct reports *r, void (*each)(void *arg, bool is_error, const char *text),
		  void *arg)
{
	if (!r->count)
		return;
	struct report *sorted = arena_must(malloc(r->count * sizeof *sorted));
	memcpy(sorted, r->rows, r->count * sizeof *sorted);
	qsort(sorted, r->count, sizeof *sorted, by_place);
	for (unsigned i = 0; i < r->count; i++)
		emit(r, &sorted[i], each, arg);
	free(sorted);
	if (r->dropped) {
		char line[80];
		snprintf(line, sizeof line, "%u more; correct these first", r->dropped);
		each(arg, true, line);
	}
}
