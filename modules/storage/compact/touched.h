/*
 * touched.h - a set of folders, as many as memory is meant for.
 */
#ifndef STORAGE_TOUCHED_H
#define STORAGE_TOUCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOUCHED_MAX 49152

struct store;

struct touched_folder {
	uint64_t account; /* 0: free */
	uint32_t folder;
};

struct touched { /* zeroed: empty */
	struct touched_folder *table;
	uint32_t used, room;
};

/* 0, or ENOMEM. Not more than TOUCHED_MAX may be in it. */
int touched_add(struct touched *, struct store *, uint64_t account, uint32_t folder);
/* Takes one out; false: there is none. *at is 0 at first. */
bool touched_take(struct touched *, uint32_t *at, struct touched_folder *out);
void touched_free(struct touched *, struct store *);

#endif
