/*
 * group.h - one group of changes: uids and change numbers, records, one sync, the index.
 */
#ifndef STORAGE_GROUP_H
#define STORAGE_GROUP_H

struct apply;
struct pending;
struct store;

/* Sets every pending's status. One thread at a time. May block. */
void group_run(struct store *, struct pending *group);
/* A segment for this process to append to; enum pstn_status. */
int group_log_segment(struct store *);
/* Cuts what a process that died in the middle of a group may have left. Under the write lock. */
int group_heal(struct store *, struct apply *);

#endif
