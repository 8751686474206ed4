/*
 * audit.h - whether an index file can be given to LMDB, which believes what it reads.
 *
 * LMDB follows page numbers and offsets without a check of its own: a flipped bit can end the
 * process. Before the first opening the whole tree is walked: every page reachable once and inside
 * the file, every node inside its page, keys in order, rows with their checksums.
 */
#ifndef STORAGE_AUDIT_H
#define STORAGE_AUDIT_H

#include <stddef.h>
#include <stdint.h>

struct store;
struct checkpoint_state;

#define AUDIT_PAGES_MAX 65536 /* a larger index is not walked at start */

/* 0: sound; -1: not, and a sentence in err tells what is wrong. Nobody may have the index open. */
int audit_index(struct store *, const char *index_path, const struct checkpoint_state *, char *err,
		size_t n);

#endif
