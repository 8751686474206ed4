/*
 * selftest.h - proof that a store works, before any client meets it.
 */
#ifndef STORAGE_SELFTEST_H
#define STORAGE_SELFTEST_H

#include <stddef.h>

struct apply;
struct store;

/* 0, or -1 and a sentence. Safe while other processes use the store. */
int selftest_run(struct store *, char *err, size_t n);
/* What self-tests have left. 0, errno or MDB_*. */
int selftest_forget(struct apply *);

#endif
