/*
 * recover.h - what the segments hold and the index does not is brought into the index.
 *
 * For the first process that opens the store: from the checkpoint on, or, with an empty index,
 * from the first record ever. Records are taken in the order of their groups over all segments,
 * which is the order in which they were committed.
 */
#ifndef STORAGE_RECOVER_H
#define STORAGE_RECOVER_H

#include <stddef.h>

struct store;

/* 0, or -1 and a sentence. Nobody else may have the store open. */
int recover(struct store *, char *err, size_t n);
/* For a process that joins: files of dead processes that never came to anything go. */
int recover_litter(struct store *);

#endif
