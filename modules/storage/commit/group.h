/*
 * group.h - one group of changes: uids and change numbers, records, one sync, the index.
 */
#ifndef STORAGE_GROUP_H
#define STORAGE_GROUP_H

struct pending;
struct store;

/* Sets every pending's status. One thread at a time. May block. */
void group_run(struct store *, struct pending *group);

#endif
