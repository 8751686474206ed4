/*
 * log.h - the segment that this process appends to, and what other processes left of theirs.
 */
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

struct apply;
struct store;

/* All: enum pstn_status. */

/* There is a segment to append to. */
int log_ready(struct store *);
/* Under the write lock: a full segment is sealed and another one begun. */
int log_roll(struct store *, struct apply *);
/* Under the write lock: cuts what a process that died in the middle of a group may have left.
 * PSTN_E_BUSY: a process that lives is doing so itself; let the lock go and try again. */
int log_heal(struct store *, struct apply *);

#endif
