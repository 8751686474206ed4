/*
 * gone.h - accounts that have mail here and that the directory does not know any more.
 */
#ifndef STORAGE_GONE_H
#define STORAGE_GONE_H

#include "index/index.h"

struct store;

/* false: no further ones. */
typedef bool each_gone(void *arg, uint64_t account, const struct account_row *);

/* An id is never used again: an account that has the name of an earlier one is another. May block.
 * PSTN_OK, or why not all could be looked at: the directory does not answer, the index is damaged. */
int gone_each(struct store *, MDB_txn *, each_gone *, void *arg);

#endif
