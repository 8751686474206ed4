/*
 * maintenance.h - at most one at a time, of all processes: whoever removes segments, or needs that
 * none is removed meanwhile (compaction, backup).
 */
#ifndef STORAGE_MAINTENANCE_H
#define STORAGE_MAINTENANCE_H

#include <stdbool.h>

struct pstn_call;
struct store;

/* false: somebody else is at it, in this process or another. Any thread. */
bool maintenance_try(struct store *);
/* Waits for the others, which the call notes; false: give_up() said so first, or the store is being
 * closed. */
bool maintenance_wait(struct store *, struct pstn_call *, bool (*give_up)(void *arg), void *arg);
/* Somebody waits, in this process or another: whoever does it by itself makes way. */
bool maintenance_wanted(struct store *);
/* Says that somebody waits, for ten seconds from now on: one who dies waits no longer. */
void maintenance_want(struct store *);
void maintenance_end(struct store *);

#endif
