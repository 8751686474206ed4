/*
 * burials.h - which tombstone of a folder has a unique id. The index finds messages that are there
 * by their unique ids, tombstones it does not; and an id that was brought back and deleted again
 * has several of them.
 */
#ifndef STORAGE_BURIALS_H
#define STORAGE_BURIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct burial {
	uint64_t sum; /* of the unique id */
	uint32_t uid; /* 0: free */
};

struct burials {
	struct store *store;
	uint64_t account;
	uint32_t folder;
	struct burial *slots; /* room: a power of two, at most half used */
	size_t count, room;
};

void burials_begin(struct burials *, struct store *, uint64_t account, uint32_t folder);
void burials_free(struct burials *);
/* Of two with the same id the higher uid stays, which is the later message. 0, MDB_* or ENOMEM. */
int burials_add(struct burials *, const char *uidl, uint32_t uid);
/* *uid: the tombstone's; 0: none. 0 or MDB_*. */
int burials_find(const struct burials *, const char *uidl, uint32_t *uid);

#endif
