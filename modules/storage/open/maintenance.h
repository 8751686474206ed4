/*
 * maintenance.h - at most one at a time, of all processes: whoever removes segments, or needs that
 * none is removed meanwhile (compaction, backup).
 */
#ifndef STORAGE_MAINTENANCE_H
#define STORAGE_MAINTENANCE_H

#include <stdbool.h>

struct store;

/* false: somebody else is at it, in this process or another. Any thread. */
bool maintenance_try(struct store *);
/* Waits for the others; false: give_up() said so first, or the store is being closed. */
bool maintenance_wait(struct store *, bool (*give_up)(void *arg), void *arg);
void maintenance_end(struct store *);

#endif
