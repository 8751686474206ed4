/*
 * past.h - a folder as it stood at an earlier moment: which of its messages were there, and with
 * which flags.
 */
#ifndef STORAGE_PAST_H
#define STORAGE_PAST_H

#include "index/index.h"

struct store;

struct past_flags { /* of a message, before the first change after the moment */
	uint32_t uid, flags;
	uint64_t keywords, change;
};

struct past {
	struct store *store;
	uint64_t moment;          /* ms since 1970 */
	struct past_flags *flags; /* by uid */
	size_t count, room;
};

/* Before this moment (ms since 1970) something may have happened in the folder that is not known
 * any more; 0: all is known. enum pstn_status. */
int past_earliest(struct store *, uint64_t account, uint32_t folder, uint64_t *earliest);

/* Reads what has changed since. enum pstn_status; past_free() in any case. */
int past_fill(struct past *, struct store *, uint64_t account, uint32_t folder, uint64_t moment);
void past_free(struct past *);

/* Whether a message, there or expunged by now, was there at the moment. */
bool past_held(const struct past *, const struct message_row *);
/* Its flags and keywords then, from those that it has now or had at its end. */
void past_flags_of(const struct past *, uint32_t uid, const struct message_row *, uint32_t *flags,
		   uint64_t *keywords);

#endif
