/*
 * keyword.h - names of keywords (IMAP's labels), and lists of them. Pure.
 *
 * A list is text: each name with a line end behind it.
 */
#ifndef STORAGE_KEYWORD_H
#define STORAGE_KEYWORD_H

#include <stdbool.h>
#include <stddef.h>

#define KEYWORDS_MAX  64  /* of a folder: a bit each */
#define KEYWORD_MAX   127 /* octets of a name */
#define KEYWORDS_TEXT (KEYWORDS_MAX * (KEYWORD_MAX + 1))

struct keyword_list {
	unsigned count;
	unsigned lost; /* names that were too long or too many */
	size_t used;
	char text[KEYWORDS_TEXT + 1];
};

/* Whether it is an atom of RFC 9051; if not, why not as the end of a sentence. */
const char *keyword_fault(const char *name, size_t n);
/* Names that differ in the case of letters alone are one. */
bool keyword_same(const char *a, size_t na, const char *b, size_t nb);

void keyword_list_clear(struct keyword_list *);
/* Unless it is in the list. */
void keyword_list_add(struct keyword_list *, const char *name, size_t n);
/* The next name of a list's text; *n 0: none is left. */
const char *keyword_next(const char **at, size_t *n);

#endif
