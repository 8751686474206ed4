/*
 * uidl_set.h - which unique ids a folder's messages have, for commands that bring many messages
 * along with theirs.
 *
 * The index finds a unique id only if it was brought along; of those the store assigned, its rows
 * have the serial alone. They are gathered here once. No such message can come to the folder later,
 * so what is not in the set is free for good, and a delivery may say so (known_free).
 */
#ifndef STORAGE_UIDL_SET_H
#define STORAGE_UIDL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct uidl_set {
	struct store *store;
	uint64_t account;
	uint32_t folder;   /* 0: there is none of that name, and nothing in it */
	uint64_t *serials; /* ascending */
	size_t count, room;
	bool unsorted; /* while it is filled */
};

/* enum pstn_status; uidl_set_free() in any case. Walks the folder: for job threads. */
int uidl_set_fill(struct uidl_set *, struct store *, uint64_t account, const char *folder);
void uidl_set_free(struct uidl_set *);

/* Whether a message with a unique id that the store assigned was there when the set was filled. */
bool uidl_set_assigned(const struct uidl_set *, const char *uidl);
/* *held: such a message, or now one that brought the id along. enum pstn_status. */
int uidl_set_holds(const struct uidl_set *, const char *uidl, bool *held);

#endif
