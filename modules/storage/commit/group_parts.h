/*
 * group_parts.h - a group that is being committed: what group.c and group_write.c share.
 */
#ifndef STORAGE_GROUP_PARTS_H
#define STORAGE_GROUP_PARTS_H

#include "batch.h"
#include "index/apply.h"

struct group {
	struct store *store;
	struct pending *first;
	struct apply apply;
	struct batch batch;
	struct segment *large; /* at most one */
	bool deliveries;       /* there is one that was not refused, or what needs space like one */
	bool silent;           /* the index changes without a record */
	bool left_out;         /* one more met a damaged row: the others go without it */
};

/* From the records in memory to a committed index; the transaction is over either way. */
int group_write(struct group *);

#endif
