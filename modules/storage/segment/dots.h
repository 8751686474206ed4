/*
 * dots.h - the positions of dots behind the text of a large message, in its own segment.
 */
#ifndef STORAGE_DOTS_H
#define STORAGE_DOTS_H

#include <stdint.h>

struct segment;
struct store;

struct dots_place {
	struct store *store;
	struct segment *segment;
	uint64_t text,
	    octets; /* where the text is; the dots come behind it, at the next 8 octets */
};

/* 0 or errno. */
int dots_write(const struct dots_place *, const uint64_t *dots, uint32_t n, uint64_t *sum);
/* There were too many to keep: the text is read again. */
int dots_find(const struct dots_place *, uint32_t *n, uint64_t *sum);

#endif
