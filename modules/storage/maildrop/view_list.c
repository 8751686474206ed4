/*
 * view_list.c - rows of a folder as it was at one moment.
 */
#include "format/bytes.h"
#include "store.h"
#include "view.h"

#include <string.h>

static void fill_row(struct pstn_message *m, uint32_t number, uint32_t uid,
		     const struct message_row *row, bool zombie)
{
	m->number = number;
	m->uid = uid;
	m->octets = zombie ? 0 : row->octets;
	m->received = row->received;
	m->flags = row->flags;
	m->zombie = zombie;
	memcpy(m->uidl, row->uidl, sizeof(m->uidl));
}

/* Reads row after row; a message that is missing among the live ones is a zombie. */
struct reader {
	struct view *view;
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	int at; /* result of the last move of the cursor */
	bool placed;
};

static void place(struct reader *r, uint32_t uid)
{
	unsigned char key[KEY_MESSAGE];

	/* Usually the cursor stands on the message already, or just before it. */
	if (r->placed && r->at == 0 && view_holds(r->view, &r->key)) {
		uint32_t here = get32be((unsigned char *)r->key.mv_data + 12);

		if (here >= uid)
			return;
		r->at = mdb_cursor_get(r->cursor, &r->key, &r->value, MDB_NEXT);
		if (r->at != 0 || !view_holds(r->view, &r->key) ||
		    get32be((unsigned char *)r->key.mv_data + 12) >= uid)
			return;
	}
	key_message(key, r->view->account, r->view->folder, uid);
	r->key = (MDB_val){.mv_size = sizeof(key), .mv_data = key};
	r->at = mdb_cursor_get(r->cursor, &r->key, &r->value, MDB_SET_RANGE);
	r->placed = true;
}

static int read_row(struct reader *r, uint32_t number, uint32_t uid, struct pstn_message *out)
{
	struct index *ix = &r->view->store->index;
	struct message_row row;
	int rc;

	place(r, uid);
	if (r->at != 0 && r->at != MDB_NOTFOUND)
		return r->at;
	if (r->at == 0 && view_holds(r->view, &r->key) &&
	    get32be((unsigned char *)r->key.mv_data + 12) == uid) {
		if (!message_row_get(&row, r->key.mv_data, ix->tag, r->value.mv_data,
				     r->value.mv_size))
			return MDB_CORRUPTED;
		fill_row(out, number, uid, &row, false);
		return 0;
	}
	rc = index_tombstone(ix, r->txn, r->view->account, r->view->folder, uid, &row);
	if (rc == 0)
		fill_row(out, number, uid, &row, true);
	return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

static int read_rows(struct view *v, MDB_txn *txn, uint32_t first, struct pstn_message *rows,
		     uint32_t max, uint32_t *count)
{
	struct reader r = {.view = v, .txn = txn};
	int rc = mdb_cursor_open(txn, v->store->index.messages, &r.cursor);

	if (rc != 0)
		return rc;
	while (rc == 0 && *count < max && first <= v->messages) {
		uint32_t uid = view_uid(v, first);

		rc = uid ? read_row(&r, first, uid, &rows[*count]) : MDB_CORRUPTED;
		if (rc == 0)
			(*count)++;
		first++;
	}
	mdb_cursor_close(r.cursor);
	return rc;
}

int view_list(struct view *v, uint32_t first, struct pstn_message *rows, uint32_t max,
	      uint32_t *count)
{
	MDB_txn *txn;
	int rc;

	*count = 0;
	if (first == 0 || first > v->messages)
		return PSTN_OK;
	rc = index_read(&v->store->index, &txn);
	if (rc != 0)
		return index_status(rc);
	rc = read_rows(v, txn, first, rows, max, count);
	index_read_end(&v->store->index, txn);
	return index_status(rc);
}
