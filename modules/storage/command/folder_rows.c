/*
 * folder_rows.c - the messages of a folder, or its tombstones, in the order of uids.
 */
#include "folder_rows.h"

#include "format/bytes.h"
#include "index/mend.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

void folder_rows_begin(struct folder_rows *w, struct store *st, MDB_dbi table, uint64_t account,
		       uint32_t folder, uint32_t from)
{
	w->store = st;
	w->table = table;
	w->account = account;
	w->folder = folder;
	w->from = from;
	w->end = w->stopped = false;
	w->count = w->at = 0;
}

static void add(struct folder_rows *w, uint32_t uid, bool damaged)
{
	if (damaged) {
		w->rows[w->count] = (struct message_row){.state = 0};
		snprintf(w->rows[w->count].uidl, sizeof(w->rows[w->count].uidl), "damaged-%u", uid);
	}
	w->damaged[w->count] = damaged;
	w->uids[w->count++] = uid;
	/* No message has the highest number. */
	w->from = uid + 1;
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
		w->from = get32be((unsigned char *)k.mv_data + KEY_FOLDER);
		w->stopped = !message_row_get(&w->rows[w->count], k.mv_data, w->store->index.tag,
					      v.mv_data, v.mv_size);
		if (w->stopped)
			return 0;
		add(w, w->from, false);
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	w->end = rc == 0 || rc == MDB_NOTFOUND;
	return w->end ? 0 : rc;
}

/* The row at which reading stopped, mended or as damaged; none, if it has gone. */
static void read_stopped(struct folder_rows *w)
{
	struct index *ix = &w->store->index;
	uint32_t uid = w->from;
	int rc = mend_now(ix, w->table == ix->tombstones, w->account, w->folder, uid, &w->rows[0]);

	w->stopped = false;
	w->from = uid + 1;
	if (rc != MDB_NOTFOUND)
		add(w, uid, rc != 0);
}

static int read_more(struct folder_rows *w)
{
	MDB_txn *txn;
	MDB_cursor *c;
	int rc = index_read(&w->store->index, &txn);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, w->table, &c);
	if (rc == 0) {
		rc = read_some(w, c);
		mdb_cursor_close(c);
	}
	index_read_end(&w->store->index, txn);
	return rc;
}

static int read_on(struct folder_rows *w)
{
	int rc = 0;

	w->count = w->at = 0;
	while (rc == 0 && w->count == 0 && !w->end) {
		if (w->stopped)
			read_stopped(w);
		else
			rc = read_more(w);
	}
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

bool folder_rows_damaged(const struct folder_rows *w)
{
	return w->damaged[w->at];
}

void folder_rows_skip(struct folder_rows *w)
{
	w->at++;
}
