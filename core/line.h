/*
 * line.h - cuts lines out of what a client sent. Knows bytes only, no session.
 *
 * A line ends at LF; one CR before it belongs to the end. The limit counts octets with the end.
 */
#ifndef CORE_LINE_H
#define CORE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_cutter {
	uint32_t limit;
	bool skipping; /* in a line that is too long, up to its end */
};

enum line_found {
	LINE_NONE,    /* the rest is a part of a line: come again with it and more behind it */
	LINE_WHOLE,   /* *line, *n */
	LINE_TOO_LONG /* one ended here */
};

/*
 * Looks at [at, end) and returns what there is; *next is where to go on. For LINE_NONE at most
 * limit - 1 octets are left over, so whoever keeps them needs no more room than that. A whole
 * line's end is overwritten with '\0'.
 */
enum line_found line_cut(struct line_cutter *, char *at, char *end, char **line, size_t *n,
			 char **next);

#endif
