/*
 * reply.h - POP3 replies as they arrive, in pieces of any size, each octet of their framing judged.
 */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_kind {
	REPLY_LINE, /* +OK and nothing else */
	REPLY_TEXT, /* +OK, then text up to the line of one dot */
	REPLY_LIST, /* +OK, then lines of "number size" */
	REPLY_UIDL  /* +OK, then lines of "number unique-id" */
};

struct reply {
	enum reply_kind kind;
	int state;
	bool done;
	char last;       /* octet before the next one, within a line of text */
	char line[520];  /* status line, or row of a listing, without line end */
	size_t length;   /* of line */
	uint64_t octets; /* of the text, dots unstuffed */
	uint32_t rows;   /* of a listing */
	uint64_t sum;    /* of LIST sizes */
	uint32_t *sizes; /* NULL, or where LIST puts sizes of messages 1 to max_sizes */
	uint32_t max_sizes;
	const char *bad; /* what is wrong with it; NULL while all is well */
};

void reply_begin(struct reply *, enum reply_kind);
/* Returns how many octets belong to this reply; less than n once it is done or bad. */
size_t reply_feed(struct reply *, const char *bytes, size_t n);

#endif
