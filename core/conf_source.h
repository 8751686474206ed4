/*
 * conf_source.h - the text of one configuration file, line by line, and its repair.
 *
 * YAML has no way on after a syntax error. To name every fault of a file in one run, the line at
 * fault is mended (its key kept, if it has one) or blanked, and the text is parsed again. Mending
 * changes only the copy in memory and only lines that have been reported.
 */
#ifndef CORE_CONF_SOURCE_H
#define CORE_CONF_SOURCE_H

#include "conf_node.h"

enum conf_line {
	LINE_AS_WRITTEN,
	LINE_INDENTED, /* its indentation was changed */
	LINE_KEY_ONLY, /* its value was taken away */
	LINE_BLANK
};

struct conf_source {
	const char *path;
	char **lines; /* without their ends */
	unsigned nlines;
	unsigned char *states; /* enum conf_line */
	bool *suspect;         /* a syntax error here is the consequence of one reported above */
	unsigned *lost;        /* of a blanked line: where its content began, from 1; else 0 */
	int *shifts;           /* by how many columns a line was moved to the right */
	struct arena *arena;
};

/* false: nothing to parse. from: who includes the file, for its error. */
bool conf_source_load(struct conf_source *, const char *path, struct place from, struct arena *,
		      struct reports *);
/* The text as it is now; malloc'd, *size octets. */
char *conf_source_text(const struct conf_source *, size_t *size);
/* A parser's mark (from 0) as a place in the file as written. */
struct place conf_source_place(const struct conf_source *, size_t line, size_t column);

/* ---- conf_mend.c: lines count from 1 here ---- */
bool conf_source_is_empty(const struct conf_source *, unsigned line); /* or only a comment */
/* Reports tabs in the indentation and puts spaces in their place. */
void conf_source_check_tabs(struct conf_source *, struct reports *);
unsigned conf_source_indent(const struct conf_source *, unsigned line);
bool conf_source_indent_fits(const struct conf_source *, unsigned line);
/* Change the line so that parsing comes further; false: there is nothing left to try. */
bool conf_source_mend(struct conf_source *, unsigned line, bool indentation);
/* Blank what lies deeper than the line, up to the line `last`; errors in deeper lines that follow
 * are taken for a consequence. */
void conf_source_blank_below(struct conf_source *, unsigned line, unsigned last);

/* Whether a line from..to-1 was lost whose content began in columns low..high (from 1). */
bool conf_source_lost(const struct conf_source *, unsigned from, unsigned to, unsigned low,
		      unsigned high);

#endif
