/*
 * needed.c - what of an old record the index could not be made again without.
 *
 * A message's record is needed while a row points to it. An expunge is needed while a record of
 * the message is left that does not say itself that it was expunged: its row among the tombstones
 * stays as long. A change of flags is needed while it is the last one and the message's record
 * does not say it.
 */
#include "needed.h"

#include "format/bytes.h"
#include "store.h"

#include <unistd.h>

static int find_row(struct index *ix, MDB_txn *txn, const struct record *r, uint32_t uid,
		    struct message_row *row)
{
	int rc = index_message(ix, txn, r->account, r->folder, uid, row);

	return rc == MDB_NOTFOUND ? index_tombstone(ix, txn, r->account, r->folder, uid, row) : rc;
}

int needed_message(struct index *ix, MDB_txn *txn, const struct record *r, uint32_t segment,
		   uint64_t offset, enum needed_as *as, struct message_row *row)
{
	int rc = find_row(ix, txn, r, r->uid, row);

	*as = NEEDED_NOT;
	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (row->segment == segment && row->offset == offset)
		*as = row->expunged_change ? NEEDED_EXPUNGED : NEEDED_LIVE;
	return 0;
}

/* The head of the record that the row points to; false: it cannot be read. */
static bool read_record(struct store *st, const struct message_row *row, struct record *r)
{
	unsigned char head[RECORD_HEAD_MAX];
	struct file *file;
	ssize_t got;
	int status;

	file = files_get(st, row->segment, true, &status);
	if (!file)
		return false;
	got = pread(file->fd, head, sizeof(head), (off_t)row->offset);
	if (got > 0 && record_decode(r, head, (size_t)got, file->seed, row->offset) != RECORD_OK)
		got = -1;
	file_release(file);
	return got > 0;
}

/* ---- expunges ---- */

static int expunge_needed(const struct needed *w, const struct record *r, uint32_t uid,
			  bool *needed)
{
	struct message_row row;
	struct record told;
	int rc = index_tombstone(w->index, w->txn, r->account, r->folder, uid, &row);

	*needed = rc == 0 && row.expunged_change == r->change && row.segment != w->leaving;
	if (*needed && w->store && read_record(w->store, &row, &told))
		*needed = told.expunged_change != r->change;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The next uid from `from` on that has a tombstone; 0: none up to `last`. */
static int next_tombstone(const struct needed *w, const struct record *r, uint32_t from,
			  uint32_t last, uint32_t *uid)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(w->txn, w->index->tombstones, &c);

	*uid = 0;
	if (rc != 0)
		return rc;
	key_message(key, r->account, r->folder, from);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0 && k.mv_size == KEY_MESSAGE && memcmp(k.mv_data, key, KEY_FOLDER) == 0)
		*uid = get32be((unsigned char *)k.mv_data + KEY_FOLDER);
	mdb_cursor_close(c);
	if (*uid > last)
		*uid = 0;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Cut to its first and last uid that are needed; count 0: none is. */
static int trim_range(const struct needed *w, const struct record *r, struct uid_range *range)
{
	uint32_t last = range->first + (range->count - 1), uid = range->first;
	struct uid_range kept = {0, 0};

	for (;;) {
		bool needed;
		int rc = next_tombstone(w, r, uid, last, &uid);

		if (rc == 0 && uid)
			rc = expunge_needed(w, r, uid, &needed);
		if (rc != 0)
			return rc;
		if (uid && needed) {
			if (kept.count == 0)
				kept.first = uid;
			kept.count = uid - kept.first + 1;
		}
		if (uid == 0 || uid++ == last)
			break;
	}
	*range = kept;
	return 0;
}

int needed_ranges(const struct needed *w, const struct record *r, struct uid_range *ranges,
		  uint32_t *n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < *n; i++) {
		struct uid_range range = ranges[i];
		int rc = trim_range(w, r, &range);

		if (rc != 0)
			return rc;
		if (range.count)
			ranges[kept++] = range;
	}
	*n = kept;
	return 0;
}

/* ---- flags ---- */

int needed_flags(const struct needed *w, const struct record *r, struct flag_entry *entries,
		 uint32_t *n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < *n; i++) {
		struct message_row row;
		struct record told;
		int rc = find_row(w->index, w->txn, r, entries[i].uid, &row);
		bool needed = rc == 0 && row.change == r->change && row.segment != w->leaving;

		if (rc != 0 && rc != MDB_NOTFOUND)
			return rc;
		if (needed && w->store && read_record(w->store, &row, &told))
			needed = told.change != r->change;
		if (needed)
			entries[kept++] = entries[i];
	}
	*n = kept;
	return 0;
}
