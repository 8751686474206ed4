/*
 * uidl_set.c - which unique ids a folder's messages have.
 */
#include "uidl_set.h"

#include "command/folder_rows.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 256

static int add(struct uidl_set *s, uint64_t serial)
{
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : ROOM_MIN;
		uint64_t *larger = store_alloc(s->store, room * sizeof(*larger));

		if (!larger)
			return ENOMEM;
		if (s->count)
			memcpy(larger, s->serials, s->count * sizeof(*larger));
		store_free(s->store, s->serials);
		s->serials = larger;
		s->room = room;
	}
	s->unsorted |= s->count && serial < s->serials[s->count - 1];
	s->serials[s->count++] = serial;
	return 0;
}

static int by_serial(const void *x, const void *y)
{
	uint64_t a, b;

	memcpy(&a, x, sizeof(a));
	memcpy(&b, y, sizeof(b));
	return a < b ? -1 : a > b;
}

static int gather(struct uidl_set *s, struct folder_rows *w)
{
	const struct message_row *row;
	uint32_t uid;
	int rc;

	folder_rows_begin(w, s->store, s->store->index.messages, s->account, s->folder, 1);
	while ((row = folder_rows_peek(w, &uid, &rc))) {
		/* What a damaged row's was nobody knows. */
		if (!folder_rows_damaged(w) && !(row->state & MESSAGE_NAMED))
			rc = add(s, row->serial);
		if (rc != 0)
			break;
		folder_rows_skip(w);
	}
	return rc;
}

static int find_folder(struct uidl_set *s, const char *folder)
{
	struct index *ix = &s->store->index;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return rc;
	rc = index_folder_id(ix, txn, s->account, folder, &s->folder);
	index_read_end(ix, txn);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int uidl_set_fill(struct uidl_set *s, struct store *st, uint64_t account, const char *folder)
{
	struct folder_rows *w = store_alloc(st, sizeof(*w));
	int rc;

	*s = (struct uidl_set){.store = st, .account = account};
	rc = w ? find_folder(s, folder) : ENOMEM;
	if (rc == 0 && s->folder)
		rc = gather(s, w);
	store_free(st, w);
	/* Uids and serials are given together, so that both ascend. */
	if (rc == 0 && s->unsorted)
		qsort(s->serials, s->count, sizeof(*s->serials), by_serial);
	return index_status(rc);
}

void uidl_set_free(struct uidl_set *s)
{
	if (s->store)
		store_free(s->store, s->serials);
	*s = (struct uidl_set){0};
}

bool uidl_set_assigned(const struct uidl_set *s, const char *uidl)
{
	uint64_t serial = uidl_serial(uidl, s->store->index.tag);

	return serial && s->count &&
	       bsearch(&serial, s->serials, s->count, sizeof(serial), by_serial);
}

int uidl_set_holds(const struct uidl_set *s, const char *uidl, bool *held)
{
	struct index *ix = &s->store->index;
	unsigned char key[KEY_UIDL_MAX];
	MDB_val k = {.mv_data = key}, v;
	MDB_txn *txn;
	int rc;

	*held = uidl_set_assigned(s, uidl);
	if (*held)
		return PSTN_OK;
	rc = index_read(ix, &txn);
	if (rc != 0)
		return index_status(rc);
	k.mv_size = key_uidl(key, s->account, s->folder, uidl);
	rc = mdb_get(txn, ix->uidls, &k, &v);
	index_read_end(ix, txn);
	*held = rc == 0;
	return rc == MDB_NOTFOUND ? PSTN_OK : index_status(rc);
}
