/*
 * ahead.h - pages of the index are brought into memory before they are walked.
 *
 * LMDB reads through a map, a page at a time: each page that is not there yet costs a wait for the
 * disk, and each that is not mapped a fault. Who is going to walk many rows asks for all of their
 * pages at once.
 */
#ifndef STORAGE_AHEAD_H
#define STORAGE_AHEAD_H

#include "index/index.h"

enum {
	AHEAD_ASK = 1, /* the disk is asked for all of them */
	AHEAD_MAP = 2  /* it has answered, and they can be walked without a fault */
};

/* The rows of messages with uids from first to last (inclusive). What cannot be had is left to the
 * walk, which will tell. May block in any case: not on a reactor. */
void ahead_messages(struct index *, MDB_txn *, uint64_t account, uint32_t folder, uint32_t first,
		    uint32_t last, unsigned what);

#endif
