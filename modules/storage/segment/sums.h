/*
 * sums.h - what the store holds in all, from the rows of its segments and folders.
 */
#ifndef STORAGE_SUMS_H
#define STORAGE_SUMS_H

#include <lmdb.h>
#include <stdint.h>

struct store;

struct sums {
	uint64_t segments, octets, live, dead, other;
	uint64_t folders, messages, message_octets, tombstones, tombstone_octets;
};

/* In a read transaction. Rows that cannot be read are left out. */
void sums_make(struct store *, MDB_txn *, struct sums *);

#endif
