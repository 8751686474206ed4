/*
 * open_index.h - opens a store's index.
 */
#ifndef STORAGE_OPEN_INDEX_H
#define STORAGE_OPEN_INDEX_H

#include <stdbool.h>
#include <stddef.h>

struct store;

/* first: nobody else has the store open, so the state of the last checkpoint is restored, or an
 * index begun anew. 0, or -1 and a sentence. */
int open_index(struct store *, bool first, const char *path, char *err, size_t n);

#endif
