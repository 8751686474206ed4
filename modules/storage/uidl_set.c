/*
 * uidl_set.c - which unique ids a folder's messages have.
 */
#include "uidl_set.h"

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

static int gather(struct uidl_set *s, MDB_txn *txn)
{
	struct index *ix = &s->store->index;
	unsigned char prefix[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->messages, &c);

	if (rc != 0)
		return rc;
	key_message(prefix, s->account, s->folder, 0);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_MESSAGE && memcmp(k.mv_data, prefix, KEY_FOLDER) == 0) {
		struct message_row row;

		if (!message_row_get(&row, k.mv_data, ix->tag, v.mv_data, v.mv_size))
			rc = MDB_CORRUPTED;
		else if (!(row.state & MESSAGE_NAMED))
			rc = add(s, row.serial);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int uidl_set_fill(struct uidl_set *s, struct store *st, uint64_t account, const char *folder)
{
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	*s = (struct uidl_set){.store = st, .account = account};
	if (rc != 0)
		return index_status(rc);
	rc = index_folder_id(&st->index, txn, account, folder, &s->folder);
	if (rc == 0)
		rc = gather(s, txn);
	index_read_end(&st->index, txn);
	if (rc == MDB_NOTFOUND)
		rc = 0;
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
