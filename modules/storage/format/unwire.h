/*
 * unwire.h - from wire form to what files have: lines that end with LF. Pure.
 *
 * A text in which a CR stands before a line's end would not come back as it was; it keeps its wire
 * form, which does (look first, and keep). Everything else comes back octet by octet.
 */
#ifndef STORAGE_UNWIRE_H
#define STORAGE_UNWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unwire {
	bool keep;     /* wire form stays */
	bool cr;       /* held back: a CR at the end of what came */
	unsigned seen; /* while looking: CRs just before */
};

/* Whether the text, in pieces, has to keep its wire form: keep is set when all has been looked at. */
void unwire_look(struct unwire *, const char *in, size_t n);
/* out has room for n + 1; returns how many octets. */
size_t unwire_feed(struct unwire *, const char *in, size_t n, char *out);
/* The end: out has room for 1. */
size_t unwire_end(struct unwire *, char *out);

#endif
