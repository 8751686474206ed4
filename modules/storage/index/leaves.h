/*
 * leaves.h - the rows of a range, read from the leaf pages in the index's file.
 *
 * A page of LMDB's map that has not been touched costs a fault, which costs many times as much as
 * reading the page. Who walks many rows once reads them here.
 */
#ifndef STORAGE_LEAVES_H
#define STORAGE_LEAVES_H

#include "index/tree.h"

#define LEAVES_MAX    256         /* pages: of a longer range the first */
#define LEAVES_BUFFER (16 * 1024) /* octets read at once at most: it lies on a job's stack */

#define LEAVES_UNKNOWN 1

struct leaves {
	struct index *index;
	MDB_txn *txn;
	uint64_t account;
	uint32_t folder, first;
	bool asked; /* the disk, for what the kernel did not hold */
	int fd;
	struct tree tree;
	uint64_t numbers[LEAVES_MAX]; /* in the order of keys */
	uint32_t count;
	uint32_t read; /* of them, so far */
	uint32_t node, nodes;
	unsigned char *page, *end; /* the page that is walked, and where what was read ends */
	const unsigned char *key, *value; /* of the node walked to last */
	size_t key_size, value_size;      /* no key: of none */
	unsigned char buffer[LEAVES_BUFFER];
};

/* The rows of messages with uids from first to last (inclusive), as long as the transaction lasts;
 * nothing has to be released. Blocks. */
void leaves_begin(struct leaves *, struct index *, MDB_txn *, uint64_t account, uint32_t folder,
		  uint32_t first, uint32_t last);
/* The value under this key, until the next call; keys must ascend. 0, MDB_NOTFOUND, or
 * LEAVES_UNKNOWN: it was not to be had in this way, ask LMDB. */
int leaves_find(struct leaves *, const unsigned char key[KEY_MESSAGE], MDB_val *value);

#endif
