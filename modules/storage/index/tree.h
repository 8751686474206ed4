/*
 * tree.h - which pages of the index hold a range of messages' rows, from the branch pages of LMDB 0.9
 * (data version 1, 64 bit).
 *
 * A read transaction keeps all pages that its tree consists of as they are, so that they can be read
 * here as LMDB reads them; audit.c has judged them when the store was opened. A page that makes no
 * sense all the same ends the walk and nothing else.
 */
#ifndef STORAGE_TREE_H
#define STORAGE_TREE_H

#include "index/index.h"

struct tree {
	unsigned char *map;
	size_t page_size;
	uint64_t pages; /* in the file */
	uint64_t root;
	unsigned depth; /* at least 2: there is a branch */
};

/* A range of rows by their keys, both inclusive, and who is told of its pages: each child of a
 * branch, in the order of keys, and each time that the children of one have all been told, before
 * theirs are. */
struct tree_walk {
	unsigned char first[KEY_MESSAGE], last[KEY_MESSAGE];
	void (*child)(void *arg, uint64_t page, bool leaf);
	void (*descend)(void *arg);
	void *arg;
};

/* Of the table of messages. false: it has no branch pages, or they are not ours to read. */
bool tree_of_messages(struct tree *, struct index *, MDB_txn *);
/* Touches branch pages and no leaf. May block. */
void tree_walk(const struct tree *, const struct tree_walk *);

#endif
