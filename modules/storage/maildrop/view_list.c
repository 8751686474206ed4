/*
 * view_list.c - rows of a folder as it was at one moment.
 */
#include "format/bytes.h"
#include "index/ahead.h"
#include "index/leaves.h"
#include "index/mend.h"
#include "store.h"
#include "view.h"

#include <stdio.h>
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

static void fill_damaged(struct pstn_message *m, uint32_t number, uint32_t uid)
{
	*m = (struct pstn_message){.number = number, .uid = uid};
	snprintf(m->uidl, sizeof(m->uidl), "damaged-%u", uid);
}

#define LEAVES_ROWS 64 /* for fewer rows the leaf pages are not read from the file */

/* Reads row after row; a message that is missing among the live ones is a zombie. */
struct reader {
	struct view *view;
	MDB_txn *txn;
	struct leaves *leaves; /* NULL: all rows from LMDB */
	MDB_cursor *cursor;
	MDB_val key, value;
	int at; /* result of the last move of the cursor */
	bool placed;
	uint32_t hopeless; /* up to this uid a damaged row has been tried to mend */
	uint32_t damaged;  /* uid of the row that made reading stop */
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

static int meet_damaged(struct reader *r, uint32_t number, uint32_t uid, struct pstn_message *out)
{
	if (uid > r->hopeless) {
		r->damaged = uid;
		return MDB_CORRUPTED;
	}
	fill_damaged(out, number, uid);
	return 0;
}

/* The row of a message that lives. 0 or an error of LMDB. */
static int find_row(struct reader *r, const unsigned char key[KEY_MESSAGE], uint32_t uid,
		    MDB_val *value)
{
	if (r->leaves) {
		int rc = leaves_find(r->leaves, key, value);

		if (rc != LEAVES_UNKNOWN)
			return rc;
	}
	place(r, uid);
	if (r->at != 0)
		return r->at;
	if (!view_holds(r->view, &r->key) || get32be((unsigned char *)r->key.mv_data + 12) != uid)
		return MDB_NOTFOUND;
	*value = r->value;
	return 0;
}

static int read_row(struct reader *r, uint32_t number, uint32_t uid, struct pstn_message *out)
{
	struct index *ix = &r->view->store->index;
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
	MDB_val value;
	int rc;

	key_message(key, r->view->account, r->view->folder, uid);
	rc = find_row(r, key, uid, &value);
	if (rc == 0) {
		if (!message_row_get(&row, key, ix->tag, value.mv_data, value.mv_size))
			return meet_damaged(r, number, uid, out);
		fill_row(out, number, uid, &row, false);
		return 0;
	}
	if (rc != MDB_NOTFOUND)
		return rc;
	rc = index_tombstone(ix, r->txn, r->view->account, r->view->folder, uid, &row);
	if (rc == 0)
		fill_row(out, number, uid, &row, true);
	/* Neither here nor gone: the folder's total had counted too many. */
	if (rc != MDB_CORRUPTED && rc != MDB_NOTFOUND)
		return rc;
	fill_damaged(out, number, uid);
	out->zombie = true;
	return 0;
}

static int read_rows(struct reader *r, uint32_t first, struct pstn_message *rows, uint32_t max,
		     uint32_t *count)
{
	struct view *v = r->view;
	int rc = mdb_cursor_open(r->txn, v->store->index.messages, &r->cursor);

	if (rc != 0)
		return rc;
	while (rc == 0 && *count < max && first <= v->messages) {
		uint32_t uid = view_uid(v, first);

		rc = uid ? read_row(r, first, uid, &rows[*count]) : MDB_CORRUPTED;
		if (rc == 0)
			(*count)++;
		first++;
	}
	mdb_cursor_close(r->cursor);
	return rc;
}

static uint32_t last_of(const struct view *v, uint32_t first, uint32_t count)
{
	return count > v->messages - first ? v->messages : first + count - 1;
}

static int read_once(struct view *v, struct leaves *leaves, uint32_t hopeless, uint32_t *damaged,
		     uint32_t first, struct pstn_message *rows, uint32_t max, uint32_t *count)
{
	struct reader r = {.view = v, .leaves = leaves, .hopeless = hopeless};
	int rc = index_read(&v->store->index, &r.txn);

	if (rc != 0)
		return rc;
	if (leaves)
		leaves_begin(leaves, &v->store->index, r.txn, v->account, v->folder,
			     view_uid(v, first), view_uid(v, last_of(v, first, max)));
	rc = read_rows(&r, first, rows, max, count);
	index_read_end(&v->store->index, r.txn);
	*damaged = r.damaged;
	return rc;
}

static int read_and_mend(struct view *v, struct leaves *leaves, uint32_t first,
			 struct pstn_message *rows, uint32_t max, bool may_block, uint32_t *count)
{
	uint32_t hopeless = 0;

	for (;;) {
		struct message_row row;
		uint32_t damaged = 0;
		int rc;

		*count = 0;
		rc = read_once(v, leaves, hopeless, &damaged, first, rows, max, count);
		if (rc != MDB_CORRUPTED || damaged == 0)
			return index_status(rc);
		if (!may_block)
			return VIEW_COLD;
		(void)mend_now(&v->store->index, false, v->account, v->folder, damaged, &row);
		hopeless = damaged;
	}
}

static int list_many(struct view *v, uint32_t first, struct pstn_message *rows, uint32_t max,
		     uint32_t *count)
{
	struct leaves leaves;

	return read_and_mend(v, &leaves, first, rows, max, true, count);
}

int view_list(struct view *v, uint32_t first, struct pstn_message *rows, uint32_t max,
	      bool may_block, uint32_t *count)
{
	*count = 0;
	if (first == 0 || first > v->messages)
		return PSTN_OK;
	if (may_block && max >= LEAVES_ROWS)
		return list_many(v, first, rows, max, count);
	return read_and_mend(v, NULL, first, rows, max, may_block, count);
}

/* ---- ahead ---- */

static void bring(struct view *v, MDB_txn *txn, uint32_t first, uint32_t count, unsigned what)
{
	ahead_messages(&v->store->index, txn, v->account, v->folder, view_uid(v, first),
		       view_uid(v, last_of(v, first, count)), what);
}

void view_bring(struct view *v, uint32_t first, uint32_t count)
{
	MDB_txn *txn;

	if (index_read(&v->store->index, &txn) != 0)
		return;
	bring(v, txn, first, count, AHEAD_ASK);
	if (count <= v->messages - first)
		bring(v, txn, first + count, count, AHEAD_ASK);
	bring(v, txn, first, count, AHEAD_MAP);
	index_read_end(&v->store->index, txn);
}
