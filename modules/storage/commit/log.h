/*
 * log.h - the segment that this process appends to, and what other processes left of theirs.
 */
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

#include <stdbool.h>

struct apply;
struct segment;
struct store;

/* Unless it is said otherwise: enum pstn_status. */

/* There is a segment to append to. */
int log_ready(struct store *);
/* Under the write lock: a full segment is sealed and another one begun. */
int log_roll(struct store *, struct apply *);
/* A group failed: the log is cut back to where it was, and the head of a large message of it (or
 * NULL) wiped, both durably. 0 or errno; *unsure: they look so, and may come back. */
int log_take_back(struct store *, struct segment *large, bool *unsure);
/* Under the write lock: cuts what a group of this process left that could not be taken back when it
 * failed, or what a process that died in the middle of a group may have left.
 * PSTN_E_BUSY: a process that lives is doing so itself; let the lock go and try again. */
int log_heal(struct store *, struct apply *);
/* The same without a group, for others who wait for it. Blocks. */
void log_cut_now(struct store *);

#endif
