/*
 * evacuate.h - a sealed segment is emptied: what is needed of it is written again elsewhere.
 *
 * Twice through the segment: the first time tells whether that can be done and what it would cost,
 * the second time does it. Both in steps that block for a short time; not on a reactor.
 */
#ifndef STORAGE_EVACUATE_H
#define STORAGE_EVACUATE_H

#include "move.h"
#include "segment/scan.h"
#include "touched.h"

struct store;

enum evacuation_result {
	EVACUATION_MORE,
	EVACUATION_DONE,
	EVACUATION_BLOCKED /* it has to stay; `blocked` says why */
};

struct evacuation {
	struct store *store;
	uint32_t segment;
	uint64_t retention; /* ms */
	bool from_reserve;  /* the caller's: little is to be written, and the disk may be full */
	const char *blocked;
	uint64_t octets;  /* of all records */
	uint64_t needed;  /* first time: octets of what would be written */
	uint64_t written; /* second time: octets that were */
	uint64_t read;    /* octets gone through in the last step */
	/* its own */
	uint64_t live, counted_live; /* octets of live messages: found, and at the begin */
	bool moving, again, telling;
	unsigned rounds;
	int fd;
	uint64_t end, seed;
	unsigned char *window;
	struct scan scan;
	struct touched touched; /* folders of which something goes */
	uint32_t told;
	struct move *moves; /* of the next group */
	uint32_t count;
	uint64_t body_octets;
};

/* false: `blocked` says why. evacuation_end() in any case. */
bool evacuation_begin(struct evacuation *, struct store *, uint32_t segment, uint64_t retention);
enum evacuation_result evacuation_inspect(struct evacuation *);
enum evacuation_result evacuation_move(struct evacuation *);
void evacuation_end(struct evacuation *);

/* A message's text and dots are read for the move; false: blocked. */
bool evacuation_load(struct evacuation *, struct move *);

#endif
