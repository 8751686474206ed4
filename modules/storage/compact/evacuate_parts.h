/*
 * evacuate_parts.h - what evacuate.c and evacuate_record.c share.
 */
#ifndef STORAGE_EVACUATE_PARTS_H
#define STORAGE_EVACUATE_PARTS_H

#include "evacuate.h"

/* Why a segment has to stay. */
#define BLOCKED_CANNOT_READ    "it cannot be read; the disk may be failing"
#define BLOCKED_UNKNOWN_RECORD "it holds records of a later version of the server"
#define BLOCKED_DAMAGED_RECORD "one of its records is damaged; `storage check` tells which"
#define BLOCKED_NO_MEMORY      "there is not enough memory"
#define BLOCKED_INDEX_FAILED   "the index cannot be read"

/* False, and `blocked` says why. */
bool evacuation_block(struct evacuation *, const char *why);
/* Of the record that was read: what is needed is counted, or becomes a move. False: blocked. */
bool evacuation_consider(struct evacuation *);
void evacuation_drop_moves(struct evacuation *);

#endif
