/*
 * wire.h - a message's text to wire form, in one pass and in pieces of any size.
 *
 * A bare LF becomes CRLF and a text that does not end with CRLF gets one; bare CR and NUL are kept;
 * an empty text stays empty. In the same pass: the positions of lines that begin with a dot, and
 * the length of the header up to and with the empty line that ends it (all of it if none does).
 */
#ifndef STORAGE_WIRE_H
#define STORAGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	uint64_t octets;        /* made so far */
	uint64_t header_octets; /* 0 until the empty line came */
	bool cr;                /* the last octet made was a CR */
	bool line_start;
};

struct wire_out {
	unsigned char *bytes;
	size_t used, room;
	uint64_t *dots;
	size_t ndots, dots_room;
};

void wire_begin(struct wire *);
/* Takes octets of `in` while there is room for what they become, at most two octets and one dot
 * each; returns how many were taken. */
size_t wire_feed(struct wire *, const char *in, size_t n, struct wire_out *);
/* The end of the text: room for two octets. */
void wire_end(struct wire *, struct wire_out *);

#endif
