/*
 * home.h - a store's directory: what is in it, whose it is, and who has it open.
 *
 *	store              says what this is: format and identity
 *	lock               held shared by every process that has the store open
 *	segments/          NNNNNNNN.seg
 *	index/             data.mdb, lock.mdb, checkpoint; rebuild, if that was asked for
 *	index.damaged/     the last index that could not be used
 */
#ifndef STORAGE_HOME_H
#define STORAGE_HOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* All: 0, or -1 and a sentence. */
int home_open(struct store *, char *err, size_t n); /* makes what is missing */
/* *first: nobody else has the store open, nor can until home_share(). */
int home_lock(struct store *, bool *first, char *err, size_t n);
int home_share(struct store *, char *err, size_t n);
int home_identity(struct store *, bool first, char *err, size_t n);
/* The index is put aside; there is none then. */
int home_discard_index(struct store *, char *err, size_t n);
void home_close(struct store *);

bool home_has_index(struct store *);
bool home_has_segments(struct store *);
bool home_rebuild_asked(struct store *);
int home_ask_rebuild(struct store *); /* at the next start; 0 or errno */
/* It is too large to be looked at in each start, and is used: until all ends in order, the next
 * start looks at it. 0 or errno. */
int home_doubt_index(struct store *, bool doubt);
bool home_index_doubted(struct store *);
void home_forget_readers(struct store *); /* LMDB's lock file: of processes that are gone */
/* Calls each(st, number, arg) for every segment's file until it returns false. 0 or errno. */
int home_each_segment(struct store *, bool (*each)(struct store *, uint32_t, void *), void *arg);
uint32_t home_last_segment(struct store *);
bool home_shared_by_others(struct store *);
/* One process at a time scrubs; given back by false, and when the process ends. */
bool home_scrub_lock(struct store *, bool take);

/* Octets of the lock file that are locked: by everybody, by whoever maintains, by each process. */
#define HOME_STORE_BYTE       0
#define HOME_MAINTENANCE_BYTE 1
#define HOME_SCRUB_BYTE       2
#define HOME_PROCESS_BYTE     4096 /* and the process's id */
bool home_lock_byte(struct store *, short type, int64_t start);
bool home_process_lives(struct store *, uint32_t pid); /* another process, with this store open */

#endif
