/*
 * expunged.h - what has been expunged from a folder since a change, from the table of changes.
 */
#ifndef STORAGE_EXPUNGED_H
#define STORAGE_EXPUNGED_H

#include "index/index.h"

struct store;

struct expunged {
	uint64_t change;
	uint32_t first, count;
};

struct expunged_walk {
	MDB_cursor *cursor; /* NULL: not open */
	MDB_cursor_op op;
	unsigned char key[KEY_CHANGE];
};

/* expunged_end() in any case; expunged_next() says MDB_NOTFOUND at the end. */
int expunged_begin(struct expunged_walk *, struct index *, MDB_txn *, uint64_t account,
		   uint32_t folder, uint64_t since);
int expunged_next(struct expunged_walk *, struct expunged *);
void expunged_end(struct expunged_walk *);

struct expunged_set { /* ascending by uid, not overlapping */
	struct expunged *ranges;
	uint32_t count, room;
};

/* Only uids that really went with the change named, and below uidnext. 0, MDB_* or ENOMEM. */
int expunged_collect(struct expunged_set *, struct store *, MDB_txn *, uint64_t account,
		     uint32_t folder, uint64_t since, uint32_t uidnext);
void expunged_free(struct expunged_set *, struct store *);

#endif
