/*
 * maildir_keywords.h - the keywords of a Maildir's messages, as the servers keep them:
 *
 *	dovecot-keywords            "N NAME" a line; N from 0 to 25 are the letters a to z in the
 *	                            names of files
 *	courierimapkeywords/:list   names, a line each; an empty line; "FILE:N N N", N from 0
 *	courierimapkeywords/FILE    names, a line each: what has changed since; .N.FILE likewise, the
 *	                            highest N counts, and FILE before all of them
 *
 * What belongs to a message is told as a list (keyword.h) of names, which need not be valid. Pure.
 */
#ifndef STORAGE_MAILDIR_KEYWORDS_H
#define STORAGE_MAILDIR_KEYWORDS_H

#include "format/keyword.h"

#include <stdint.h>

#define MAILDIR_LETTERS 26

struct keyword_file {
	const char *base;  /* of a message's file */
	const char *names; /* lines; NULL: ordinals in :list */
	const char *ordinals;
	uint64_t rank; /* of several the highest counts */
};

struct maildir_keywords {
	/* the caller's: memory, zeroed */
	void *(*alloc)(void *arg, size_t n);
	void (*free)(void *arg, void *p);
	void *arg;
	/* its own */
	const char *letters[MAILDIR_LETTERS]; /* NULL: none */
	const char **listed;                  /* names of :list */
	size_t nlisted;
	struct keyword_file *files;
	size_t count, room;
	bool no_memory;
};

/* Texts of the files, terminated; they are changed, and have to outlast the rest. False: no memory. */
void maildir_keywords_dovecot(struct maildir_keywords *, char *text);
bool maildir_keywords_list(struct maildir_keywords *, char *text);
/* name: of the file in courierimapkeywords, which has to stay likewise. */
bool maildir_keywords_file(struct maildir_keywords *, const char *name, char *text);
/* When all files have been told, before the first look. */
void maildir_keywords_sort(struct maildir_keywords *);
void maildir_keywords_free(struct maildir_keywords *);

/* Of a message's file, whose base has n octets; what the letters and files say together. A letter
 * without a name counts as lost. */
void maildir_keywords_of(const struct maildir_keywords *, const char *name, size_t n,
			 struct keyword_list *);

#endif
