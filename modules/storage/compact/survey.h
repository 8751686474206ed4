/*
 * survey.h - which segments are worth emptying: how much of each nobody needs any more.
 */
#ifndef STORAGE_SURVEY_H
#define STORAGE_SURVEY_H

#include "format/rows.h"

struct store;

struct survey_segment {
	uint32_t id;
	struct segment_row row;
	uint64_t kept; /* octets of records of expunged messages that cannot go yet */
};

struct survey {
	struct store *store;
	struct survey_segment *segments; /* by id */
	size_t count;
	uint64_t expired;               /* what was expunged before can go */
	unsigned char key[KEY_MESSAGE]; /* of the tombstone looked at last */
	bool begun;
};

/* retention in ms. 0, MDB_* or ENOMEM; survey_end() in any case. */
int survey_begin(struct survey *, struct store *, uint64_t retention);
/* Looks at some tombstones; MDB_NOTFOUND: that was all. May block, for a short time. */
int survey_step(struct survey *);
void survey_end(struct survey *);

/* Octets of messages' records that nobody needs; of all records at most. */
uint64_t survey_reclaimable(const struct survey_segment *);
uint64_t survey_octets(const struct survey_segment *); /* of all records */

#endif
