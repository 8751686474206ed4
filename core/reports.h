/*
 * reports.h - everything that is wrong with a candidate, gathered so that one run names it all.
 *
 * A report has a place (file:line:column, or none) and a sentence: what was found, what was
 * expected, what to do. Not thread-safe: a reports object belongs to the thread that fills it.
 */
#ifndef CORE_REPORTS_H
#define CORE_REPORTS_H

#include <postern/module.h>

struct reports; /* a growing list, ordered as added */

struct place { /* file NULL: no place; line and column count from 1, 0 = unknown */
	const char *file;
	unsigned line, column;
};

struct reports *reports_new(void);
void reports_free(struct reports **);
void report_error(struct reports *, struct place, const char *fmt, ...) PSTN_PRINTF(3, 4);
void report_warning(struct reports *, struct place, const char *fmt, ...) PSTN_PRINTF(3, 4);
unsigned reports_errors(const struct reports *); /* how many errors */
/* Calls each with "FILE:LINE:COLUMN: sentence" (or just the sentence), in order of file and line. */
void reports_each(const struct reports *, void (*each)(void *arg, bool is_error, const char *text),
		  void *arg);

#endif
