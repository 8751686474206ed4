/*
 * history_events.h - what happened in an account's folders, from the index: deliveries are told by
 * the messages and tombstones themselves, everything else by the table of changes.
 */
#ifndef STORAGE_HISTORY_EVENTS_H
#define STORAGE_HISTORY_EVENTS_H

#include "format/rows.h"

#include <lmdb.h>

struct store;

enum event_kind { EVENT_DELIVERED = 1, EVENT_FLAGS, EVENT_EXPUNGED };

struct event {
	uint64_t time;   /* ms since 1970 */
	uint64_t change; /* with `first` the row of the change; not of a delivery */
	uint32_t kind, folder, uid, first;
};

#define HISTORY_COPIES 64 /* of a message that was brought back, the latest so many */

struct history {
	struct store *store;
	uint64_t account, since;
	const char *uidl;              /* of this message alone; NULL: all */
	uint32_t limit;                /* the newest so many */
	struct event *events, *others; /* `limit` each, newest first */
	uint32_t count;
	uint32_t damaged; /* rows that do not tell when their messages came */
	/* of the folder at present */
	uint32_t uids[HISTORY_COPIES]; /* that have the unique id */
	uint32_t nuids;
};

/* enum pstn_status; history_free() in any case. */
int history_begin(struct history *, struct store *, uint64_t account, uint32_t limit);
/* Adds a folder's events, as far as they are among the newest. */
int history_add(struct history *, uint32_t folder);
void history_free(struct history *);

#endif
