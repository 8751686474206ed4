/*
 * needed.h - what of an old record the index could not be made again without.
 */
#ifndef STORAGE_NEEDED_H
#define STORAGE_NEEDED_H

#include "index/apply.h"

struct store;

enum needed_as { NEEDED_NOT, NEEDED_LIVE, NEEDED_EXPUNGED };

/* What the record of a message at that place is to the index; its row. 0 or MDB_*. */
int needed_message(struct index *, MDB_txn *, const struct record *, uint32_t segment,
		   uint64_t offset, enum needed_as *as, struct message_row *row);

struct needed {
	struct index *index;
	MDB_txn *txn;
	uint32_t leaving; /* this segment is being emptied: its messages take along what they are */
	struct store
	    *store; /* not NULL: messages' records are read, for what they say themselves */
};

/* Both keep what is needed, in place, and set *n. 0 or MDB_*. Of a range of an expunge the begin
 * and the end may go, never something between. */
int needed_ranges(const struct needed *, const struct record *expunge, struct uid_range *ranges,
		  uint32_t *n);
int needed_flags(const struct needed *, const struct record *flags, struct flag_entry *entries,
		 uint32_t *n);

#endif
