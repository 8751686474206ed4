/*
 * view.h - one folder as it was at one moment, told from the index as it is now.
 *
 * A snapshot is the folder's next uid and change number. What was there is what is there now with
 * a lower uid, and what has been expunged with a later change; messages are numbered in the order
 * of uids. While that is one unbroken row of uids there is no map from numbers to uids, otherwise
 * a list of runs, made when it is first needed.
 *
 * Functions return an enum pstn_status, or VIEW_COLD if they would have to wait for the disk and
 * must not.
 */
#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

#include "index/apply.h"

#include <postern/maildrop.h>

#define VIEW_COLD            1000
#define VIEW_NEAR_MESSAGES   256  /* rows of a larger folder are brought into memory by a job */
#define VIEW_INLINE_MESSAGES 4000 /* a map of a larger folder is made by a job */
#define VIEW_INLINE_CHANGES  1000 /* so are counts of more changes or zombies */

struct store;

struct run {
	uint32_t number, uid, count;
};

struct view {
	struct store *store;
	struct view *older, *newer; /* of the process's open snapshots */
	uint64_t opened;            /* ms since 1970; 0: not open */
	uint64_t account;
	uint64_t change;     /* the folder's at the snapshot */
	uint64_t counted;    /* change up to which zombies have been counted */
	uint64_t tombstones; /* of the folder when they were counted */
	uint64_t octets;     /* of what was there and has not been counted as a zombie */
	uint32_t folder, uidnext;
	uint32_t messages, zombies;
	bool told; /* somebody relies on the number of messages: the map may find fewer, not more */
	struct run *runs; /* NULL: not made yet, or none needed */
	uint32_t nruns;
	struct run dense; /* count 0: not known yet */
};

int view_open(struct view *, struct store *, uint64_t account, const char *folder);
void view_close(struct view *);
/* Brings zombies and octets up to now. */
int view_recount(struct view *, bool may_block);
/* The map, if there is none yet. */
int view_map(struct view *, bool may_block);
/* 0: no such number. After view_map(). */
uint32_t view_uid(const struct view *, uint32_t number);
/* Whether a key of messages belongs to the folder. */
bool view_holds(const struct view *, const MDB_val *key);
/* Brings the rows of `count` numbers from `first` on into memory, of those that there are, to be read
 * from LMDB's map without waiting; the disk is asked for as many that follow. After view_map();
 * blocks. */
void view_bring(struct view *, uint32_t first, uint32_t count);
/* Rows for numbers from `first` on. After view_map(). A row that fails its checksum is mended; one
 * that cannot be is told without size and as "damaged-UID", so that the others can be had. */
int view_list(struct view *, uint32_t first, struct pstn_message *rows, uint32_t max,
	      bool may_block, uint32_t *count);
/* The uids of some numbers (ascending), as ranges; *out is from store_alloc. */
int view_ranges(const struct view *, const uint32_t *numbers, uint32_t n, struct uid_range **out,
		uint32_t *count);

#endif
