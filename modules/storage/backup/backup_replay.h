/*
 * backup_replay.h - an index of a snapshot, made from its segments as recovery makes the store's,
 * in a directory of its own beside it.
 */
#ifndef STORAGE_BACKUP_REPLAY_H
#define STORAGE_BACKUP_REPLAY_H

#include "backup.h"
#include "index/index.h"

struct replay {
	struct index index;
	int lock; /* of the directory; -1: nothing was made */
	bool opened;
	uint64_t damaged; /* places in the segments that could not be read */
};

/* false: the person has been told. replay_end() in any case. */
bool replay_begin(struct replay *, const struct backup *, const struct manifest *);
void replay_end(struct replay *, struct store *);

#endif
