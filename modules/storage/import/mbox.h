/*
 * mbox.h - an mbox file in pieces of any size to messages. Pure; fuzzed.
 *
 * A message begins with a line "From ADDRESS DATE" at the begin of the file or after an empty
 * line. ">From " in the text loses one ">" (mboxrd; the same for mboxo's only form). The empty line
 * before the next "From " belongs to the file, not to the message. Status and X-Status lines give
 * flags, X-Keywords lines give keywords, and they stay in the text. What mbox_write.h adds to a
 * message is taken out and gives its unique id, flags, keywords and time.
 */
#ifndef STORAGE_MBOX_H
#define STORAGE_MBOX_H

#include "format/keyword.h"
#include "format/record.h"

#include <stddef.h>

#define MBOX_LINE 1024 /* of a line, as much is looked at */

struct mbox_message {
	uint64_t offset;         /* of its "From " line in the file */
	uint64_t received;       /* from that line; 0: it has no date that can be read */
	uint32_t flags;          /* enum pstn_message_flag; complete at the end */
	char uidl[UIDL_MAX + 1]; /* "" unless mbox_write.h wrote it */
	const struct keyword_list *keywords; /* as they stand there; complete at the end */
};

struct mbox {
	/* Each returns false to stop; the parser then takes nothing more. */
	bool (*begin)(void *arg, const struct mbox_message *);
	bool (*text)(void *arg, const char *bytes, size_t n);
	bool (*end)(void *arg, const struct mbox_message *);
	void *arg;
	/* the parser's own */
	struct mbox_message message;
	struct keyword_list keywords;
	uint64_t offset, line_offset;
	size_t length;   /* of the line's begin in `line` */
	bool in_message; /* false: what comes before the first "From " is no message */
	bool in_header, passing, stopped;
	bool begun;        /* begin() was called: it is when the text begins */
	bool first_line;   /* behind "From " */
	bool written;      /* by mbox_write.h */
	unsigned added;    /* lines of its that are still to be taken out */
	uint64_t quotes;   /* ">" at the begin of the line, not in `line` */
	bool blank_before; /* an empty line, held back in `blank` */
	size_t blank_length;
	char blank[2];
	char line[MBOX_LINE];
};

/* Whether a line (without its end) begins a message; *received as above. */
bool mbox_is_from(const char *line, size_t n, uint64_t *received);
bool mbox_feed(struct mbox *, const char *bytes, size_t n);
bool mbox_end(struct mbox *);

#endif
