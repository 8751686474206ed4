/*
 * folder_rows.c - the messages of a folder, or its tombstones, in the order of uids.
 */
#include "folder_rows.h"

#include "format/bytes.h"
#include "store.h"

#include <string.h>

void folder_rows_begin(struct folder_rows *w, struct store *st, MDB_dbi table, uint64_t account,
		       uint32_t folder, uint32_t from)
{
	w->store = st;
	w->table = table;
	w->account = account;
	w->folder = folder;
	w->from = from;
	w->end = false;
	w->count = w->at = 0;
}

static int read_some(struct folder_rows *w, MDB_cursor *c)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	int rc;

	key_message(key, w->account, w->folder, w->from);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_MESSAGE && memcmp(k.mv_data, key, KEY_FOLDER) == 0) {
		if (w->count == FOLDER_ROWS_AT_ONCE)
			return 0;
		if (!message_row_get(&w->rows[w->count], k.mv_data, w->store->index.tag, v.mv_data,
				     v.mv_size))
			return MDB_CORRUPTED;
		w->uids[w->count++] = get32be((unsigned char *)k.mv_data + KEY_FOLDER);
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	w->end = rc == 0 || rc == MDB_NOTFOUND;
	return w->end ? 0 : rc;
}

static int read_on(struct folder_rows *w)
{
	MDB_txn *txn;
	MDB_cursor *c;
	int rc = index_read(&w->store->index, &txn);

	w->count = w->at = 0;
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, w->table, &c);
	if (rc == 0) {
		rc = read_some(w, c);
		mdb_cursor_close(c);
	}
	index_read_end(&w->store->index, txn);
	/* No message has the highest number. */
	if (rc == 0 && w->count)
		w->from = w->uids[w->count - 1] + 1;
	return rc;
}

const struct message_row *folder_rows_peek(struct folder_rows *w, uint32_t *uid, int *rc)
{
	*rc = 0;
	if (w->at == w->count && !w->end)
		*rc = read_on(w);
	if (*rc != 0 || w->at == w->count)
		return NULL;
	*uid = w->uids[w->at];
	return &w->rows[w->at];
}

void folder_rows_skip(struct folder_rows *w)
{
	w->at++;
}
