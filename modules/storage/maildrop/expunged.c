/*
 * expunged.c - what has been expunged from a folder since a change.
 */
#include "expunged.h"

#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int expunged_begin(struct expunged_walk *w, struct index *ix, MDB_txn *txn, uint64_t account,
		   uint32_t folder, uint64_t since)
{
	*w = (struct expunged_walk){.op = MDB_SET_RANGE};
	key_change(w->key, account, folder, since + 1, 0);
	return mdb_cursor_open(txn, ix->changes, &w->cursor);
}

int expunged_next(struct expunged_walk *w, struct expunged *out)
{
	for (;;) {
		MDB_val k = {.mv_size = sizeof(w->key), .mv_data = w->key}, v;
		struct change_row row;
		int rc = mdb_cursor_get(w->cursor, &k, &v, w->op);

		w->op = MDB_NEXT;
		if (rc != 0)
			return rc;
		if (k.mv_size != KEY_CHANGE || memcmp(k.mv_data, w->key, KEY_FOLDER) != 0)
			return MDB_NOTFOUND;
		if (!change_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			return MDB_CORRUPTED;
		if (row.kind != CHANGE_EXPUNGE)
			continue;
		out->change = get64be((unsigned char *)k.mv_data + 12);
		out->first = get32be((unsigned char *)k.mv_data + 20);
		out->count = row.count;
		return 0;
	}
}

void expunged_end(struct expunged_walk *w)
{
	if (w->cursor)
		mdb_cursor_close(w->cursor);
	w->cursor = NULL;
}

/* ---- all of them ---- */

static int add(struct expunged_set *s, struct store *st, uint64_t change, uint32_t uid)
{
	struct expunged *last = s->count ? &s->ranges[s->count - 1] : NULL;

	if (last && last->change == change && last->first + last->count == uid) {
		last->count++;
		return 0;
	}
	if (s->count == s->room) {
		uint32_t room = s->room ? s->room * 2 : 16;
		struct expunged *larger = store_alloc(st, room * sizeof(*larger));

		if (!larger)
			return ENOMEM;
		if (s->count)
			memcpy(larger, s->ranges, s->count * sizeof(*larger));
		store_free(st, s->ranges);
		s->ranges = larger;
		s->room = room;
	}
	s->ranges[s->count++] = (struct expunged){change, uid, 1};
	return 0;
}

static int by_uid(const void *x, const void *y)
{
	const struct expunged *a = x, *b = y;

	return a->first < b->first ? -1 : a->first > b->first;
}

int expunged_collect(struct expunged_set *s, struct store *st, MDB_txn *txn, uint64_t account,
		     uint32_t folder, uint64_t since, uint32_t uidnext)
{
	struct expunged_walk walk;
	struct expunged e;
	int rc;

	*s = (struct expunged_set){0};
	rc = expunged_begin(&walk, &st->index, txn, account, folder, since);
	while (rc == 0 && (rc = expunged_next(&walk, &e)) == 0) {
		for (uint32_t i = 0; rc == 0 && i < e.count && e.first + i < uidnext; i++) {
			struct message_row row;
			uint32_t uid = e.first + i;

			rc = index_tombstone(&st->index, txn, account, folder, uid, &row);
			/* The range is the one that says so, likely: a mistake ends one session. */
			if (rc == MDB_CORRUPTED || (rc == 0 && row.expunged_change == e.change))
				rc = add(s, st, e.change, uid);
			else if (rc == MDB_NOTFOUND)
				rc = 0;
		}
	}
	expunged_end(&walk);
	if (rc != MDB_NOTFOUND) {
		expunged_free(s, st);
		return rc;
	}
	if (s->count)
		qsort(s->ranges, s->count, sizeof(*s->ranges), by_uid);
	return 0;
}

void expunged_free(struct expunged_set *s, struct store *st)
{
	store_free(st, s->ranges);
	*s = (struct expunged_set){0};
}
