/*
 * burials.c - which tombstone of a folder has a unique id: a table of sums, and the index has the
 * last word.
 */
#include "burials.h"

#include "format/checksum.h"
#include "store.h"

#include <errno.h>
#include <string.h>

#define ROOM_MIN 64

void burials_begin(struct burials *b, struct store *st, uint64_t account, uint32_t folder)
{
	*b = (struct burials){.store = st, .account = account, .folder = folder};
}

void burials_free(struct burials *b)
{
	if (b->store)
		store_free(b->store, b->slots);
	*b = (struct burials){0};
}

/* Seeded with the store's own id: whoever brings unique ids along does not know where they go. */
static uint64_t sum_of(const struct burials *b, const char *uidl)
{
	uint64_t seed;

	memcpy(&seed, b->store->uuid, sizeof(seed));
	return XXH3_64bits_withSeed(uidl, strlen(uidl), seed);
}

static void enter(struct burial *slots, size_t room, struct burial new)
{
	size_t at = (size_t) new.sum &(room - 1);

	while (slots[at].uid && slots[at].sum != new.sum)
		at = (at + 1) & (room - 1);
	if (new.uid > slots[at].uid)
		slots[at] = new;
}

static int grow(struct burials *b)
{
	size_t room = b->room ? b->room * 2 : ROOM_MIN;
	struct burial *slots = store_alloc(b->store, room * sizeof(*slots));

	if (!slots)
		return ENOMEM;
	for (size_t i = 0; i < b->room; i++) {
		if (b->slots[i].uid)
			enter(slots, room, b->slots[i]);
	}
	store_free(b->store, b->slots);
	b->slots = slots;
	b->room = room;
	return 0;
}

int burials_add(struct burials *b, const char *uidl, uint32_t uid)
{
	int rc = b->count * 2 >= b->room ? grow(b) : 0;

	if (rc != 0)
		return rc;
	enter(b->slots, b->room, (struct burial){sum_of(b, uidl), uid});
	b->count++;
	return 0;
}

static int confirm(const struct burials *b, const char *uidl, uint32_t *uid)
{
	struct index *ix = &b->store->index;
	struct message_row row;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return rc;
	rc = index_tombstone(ix, txn, b->account, b->folder, *uid, &row);
	index_read_end(ix, txn);
	if (rc == MDB_NOTFOUND || (rc == 0 && strcmp(row.uidl, uidl) != 0))
		*uid = 0;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int burials_find(const struct burials *b, const char *uidl, uint32_t *uid)
{
	uint64_t sum = sum_of(b, uidl);
	size_t at = (size_t)sum;

	*uid = 0;
	if (!b->room)
		return 0;
	for (at &= b->room - 1; b->slots[at].uid; at = (at + 1) & (b->room - 1)) {
		if (b->slots[at].sum != sum)
			continue;
		*uid = b->slots[at].uid;
		return confirm(b, uidl, uid);
	}
	return 0;
}
