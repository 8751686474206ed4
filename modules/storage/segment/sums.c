/*
 * sums.c - see sums.h.
 */
#include "sums.h"

#include "format/bytes.h"
#include "store.h"

static void sum_segments(struct store *st, MDB_txn *txn, struct sums *s)
{
	MDB_cursor *c;
	MDB_val k, v;

	if (mdb_cursor_open(txn, st->index.segments, &c) != 0)
		return;
	for (MDB_cursor_op op = MDB_FIRST; mdb_cursor_get(c, &k, &v, op) == 0; op = MDB_NEXT) {
		struct segment_row row;

		if (k.mv_size != 4 ||
		    !segment_row_get(&row, get32be(k.mv_data), v.mv_data, v.mv_size))
			continue;
		if (row.flags & SEGMENT_GONE)
			continue;
		s->segments++;
		s->octets += row.end;
		s->live += row.live;
		s->dead += row.dead;
		s->other += row.other;
	}
	mdb_cursor_close(c);
}

static void sum_folders(struct store *st, MDB_txn *txn, struct sums *s)
{
	MDB_cursor *c;
	MDB_val k, v;

	if (mdb_cursor_open(txn, st->index.folders, &c) != 0)
		return;
	for (MDB_cursor_op op = MDB_FIRST; mdb_cursor_get(c, &k, &v, op) == 0; op = MDB_NEXT) {
		struct folder_row row;

		if (k.mv_size != KEY_FOLDER ||
		    !folder_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			continue;
		s->folders++;
		s->messages += row.messages;
		s->message_octets += row.octets;
		s->tombstones += row.tombstones;
		s->tombstone_octets += row.tombstone_octets;
	}
	mdb_cursor_close(c);
}

void sums_make(struct store *st, MDB_txn *txn, struct sums *s)
{
	*s = (struct sums){0};
	sum_segments(st, txn, s);
	sum_folders(st, txn, s);
}
