/*
 * history_events.c - what happened in a folder, from its end backwards, so that the newest events
 * are found without reading all the others.
 */
#include "history_events.h"

#include "command/folder_rows.h"
#include "format/bytes.h"
#include "index/mend.h"
#include "store.h"

#include <errno.h>
#include <string.h>

/* ---- one table of the folder, backwards ---- */

struct backwards {
	MDB_cursor *cursor;
	unsigned char prefix[KEY_FOLDER];
	MDB_val key, value;
	bool there; /* key and value are a row of the folder */
};

static int settle(struct backwards *b, int rc)
{
	b->there = rc == 0 && b->key.mv_size >= KEY_FOLDER &&
		   memcmp(b->key.mv_data, b->prefix, KEY_FOLDER) == 0;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int step_back(struct backwards *b)
{
	return settle(b, mdb_cursor_get(b->cursor, &b->key, &b->value, MDB_PREV));
}

static int begin_back(struct backwards *b, MDB_txn *txn, MDB_dbi table, uint64_t account,
		      uint32_t folder)
{
	unsigned char next[KEY_FOLDER];
	int rc = mdb_cursor_open(txn, table, &b->cursor);

	if (rc != 0)
		return rc;
	key_folder(b->prefix, account, folder);
	key_folder(next, account, folder + 1);
	b->key = (MDB_val){.mv_size = sizeof(next), .mv_data = next};
	rc = mdb_cursor_get(b->cursor, &b->key, &b->value, MDB_SET_RANGE);
	if (rc == 0)
		return step_back(b);
	if (rc != MDB_NOTFOUND)
		return rc;
	return settle(b, mdb_cursor_get(b->cursor, &b->key, &b->value, MDB_LAST));
}

static uint32_t uid_of(const struct backwards *b)
{
	return b->there ? get32be((unsigned char *)b->key.mv_data + KEY_FOLDER) : 0;
}

/* ---- a folder ---- */

struct reading {
	struct history *history;
	MDB_txn *txn;
	uint32_t folder;
	struct backwards live, dead, changes;
	struct event *out; /* newest first */
	uint32_t count;
	uint32_t hopeless; /* from this uid on damaged rows have been tried to mend */
	uint32_t damaged;  /* uid of the row that made reading stop, one of the tombstones? */
	bool damaged_dead;
	uint32_t left_out;
	/* the next of each kind; uid 0: there is none */
	struct event delivery, change;
	uint32_t left; /* uids of the change's range below change.uid */
};

static bool is_asked_for(const struct history *h, uint32_t uid)
{
	if (!h->uidl)
		return true;
	for (uint32_t i = 0; i < h->nuids; i++) {
		if (h->uids[i] == uid)
			return true;
	}
	return false;
}

static int meet_damaged(struct reading *r, uint32_t uid, bool dead)
{
	if (uid >= r->hopeless) {
		r->left_out++;
		return 0;
	}
	r->damaged = uid;
	r->damaged_dead = dead;
	return MDB_CORRUPTED;
}

/* The message with the highest uid of those that are there and those that are not. */
static int next_delivery(struct reading *r)
{
	int rc = 0;

	r->delivery.uid = 0;
	while (rc == 0 && (r->live.there || r->dead.there)) {
		bool dead = uid_of(&r->dead) > uid_of(&r->live);
		struct backwards *b = dead ? &r->dead : &r->live;
		uint32_t uid = uid_of(b);
		struct message_row row;
		bool sound = message_row_get(&row, b->key.mv_data, r->history->store->index.tag,
					     b->value.mv_data, b->value.mv_size);

		if (!sound)
			rc = meet_damaged(r, uid, dead);
		if (rc == 0)
			rc = step_back(b);
		if (rc == 0 && sound && is_asked_for(r->history, uid)) {
			r->delivery = (struct event){.time = row.stored,
						     .kind = EVENT_DELIVERED,
						     .folder = r->folder,
						     .uid = uid};
			return 0;
		}
	}
	return rc;
}

/* Whether the message really went with this change: a range may name one that had gone before. Of
 * one whose row is damaged it is believed. */
static int went_then(struct reading *r, const struct event *e, bool *then)
{
	struct history *h = r->history;
	struct message_row row;
	int rc = index_tombstone(&h->store->index, r->txn, h->account, r->folder, e->uid, &row);

	*then = rc == MDB_CORRUPTED || (rc == 0 && row.expunged_change == e->change);
	return rc == MDB_NOTFOUND || rc == MDB_CORRUPTED ? 0 : rc;
}

static int load_change(struct reading *r)
{
	struct backwards *b = &r->changes;
	struct change_row row;

	if (b->key.mv_size != KEY_CHANGE ||
	    !change_row_get(&row, b->key.mv_data, b->value.mv_data, b->value.mv_size))
		return MDB_CORRUPTED;
	r->change = (struct event){
	    .time = row.time,
	    .change = get64be((unsigned char *)b->key.mv_data + KEY_FOLDER),
	    .kind = row.kind == CHANGE_EXPUNGE ? EVENT_EXPUNGED : EVENT_FLAGS,
	    .folder = r->folder,
	    .first = get32be((unsigned char *)b->key.mv_data + KEY_CHANGE - 4),
	};
	r->left = row.count;
	return step_back(b);
}

static int next_change(struct reading *r)
{
	for (;;) {
		bool counts = true;
		int rc = 0;

		if (r->left == 0) {
			r->change.uid = 0;
			if (!r->changes.there)
				return 0;
			rc = load_change(r);
			if (rc != 0)
				return rc;
			continue;
		}
		r->change.uid = r->change.first + --r->left;
		if (!is_asked_for(r->history, r->change.uid))
			continue;
		if (r->change.kind == EVENT_EXPUNGED)
			rc = went_then(r, &r->change, &counts);
		if (rc != 0 || counts)
			return rc;
	}
}

static int read_back(struct reading *r)
{
	struct history *h = r->history;
	int rc = next_delivery(r);

	if (rc == 0)
		rc = next_change(r);
	while (rc == 0 && r->count < h->limit && (r->delivery.uid || r->change.uid)) {
		bool delivery =
		    !r->change.uid || (r->delivery.uid && r->delivery.time > r->change.time);
		struct event *next = delivery ? &r->delivery : &r->change;

		if (next->time < h->since)
			return 0;
		r->out[r->count++] = *next;
		rc = delivery ? next_delivery(r) : next_change(r);
	}
	return rc;
}

static int read_folder(struct reading *r)
{
	struct history *h = r->history;
	struct index *ix = &h->store->index;
	int rc = begin_back(&r->live, r->txn, ix->messages, h->account, r->folder);

	if (rc == 0)
		rc = begin_back(&r->dead, r->txn, ix->tombstones, h->account, r->folder);
	if (rc == 0)
		rc = begin_back(&r->changes, r->txn, ix->changes, h->account, r->folder);
	if (rc == 0)
		rc = read_back(r);
	if (r->live.cursor)
		mdb_cursor_close(r->live.cursor);
	if (r->dead.cursor)
		mdb_cursor_close(r->dead.cursor);
	if (r->changes.cursor)
		mdb_cursor_close(r->changes.cursor);
	return rc;
}

/* ---- the messages with a unique id ---- */

static int find_uids(struct history *h, struct folder_rows *w, MDB_dbi table, uint32_t folder)
{
	const struct message_row *row;
	uint32_t uid;
	int rc;

	folder_rows_begin(w, h->store, table, h->account, folder, 1);
	while ((row = folder_rows_peek(w, &uid, &rc))) {
		if (strcmp(row->uidl, h->uidl) == 0) {
			h->uids[h->nuids % HISTORY_COPIES] = uid;
			h->nuids++;
		}
		folder_rows_skip(w);
	}
	return rc;
}

static int find_message(struct history *h, uint32_t folder)
{
	struct folder_rows *w = store_alloc(h->store, sizeof(*w));
	int rc;

	if (!w)
		return ENOMEM;
	h->nuids = 0;
	rc = find_uids(h, w, h->store->index.tombstones, folder);
	if (rc == 0)
		rc = find_uids(h, w, h->store->index.messages, folder);
	if (h->nuids > HISTORY_COPIES)
		h->nuids = HISTORY_COPIES;
	store_free(h->store, w);
	return rc;
}

/* ---- all folders ---- */

/* Two lists, newest first, become one. */
static uint32_t merge(const struct history *h, const struct event *x, uint32_t nx,
		      const struct event *y, uint32_t ny, struct event *out)
{
	uint32_t n = 0, i = 0, k = 0;

	while (n < h->limit && (i < nx || k < ny)) {
		if (k == ny || (i < nx && x[i].time >= y[k].time))
			out[n++] = x[i++];
		else
			out[n++] = y[k++];
	}
	return n;
}

static int read_once(struct reading *r)
{
	struct index *ix = &r->history->store->index;
	int rc = index_read(ix, &r->txn);

	if (rc != 0)
		return rc;
	rc = read_folder(r);
	index_read_end(ix, r->txn);
	return rc;
}

static int read_and_mend(struct reading *r)
{
	const struct reading begin = *r;
	struct history *h = r->history;

	for (;;) {
		struct message_row row;
		int rc = read_once(r);
		uint32_t uid = r->damaged;
		bool dead = r->damaged_dead;

		if (rc != MDB_CORRUPTED || uid == 0)
			return rc;
		(void)mend_now(&h->store->index, dead, h->account, r->folder, uid, &row);
		*r = begin;
		r->hopeless = uid;
	}
}

static int add_events(struct history *h, uint32_t folder, struct event *fresh)
{
	struct reading r = {.history = h, .folder = folder, .out = fresh, .hopeless = UINT32_MAX};
	struct event *merged;
	int rc = read_and_mend(&r);

	h->damaged += r.left_out;
	h->count = merge(h, fresh, r.count, h->events, h->count, h->others);
	merged = h->others;
	h->others = h->events;
	h->events = merged;
	return rc;
}

int history_add(struct history *h, uint32_t folder)
{
	struct event *fresh = store_alloc(h->store, h->limit * sizeof(*fresh));
	int rc = fresh ? 0 : ENOMEM;

	if (rc == 0 && h->uidl)
		rc = find_message(h, folder);
	if (rc == 0)
		rc = add_events(h, folder, fresh);
	store_free(h->store, fresh);
	return index_status(rc);
}

int history_begin(struct history *h, struct store *st, uint64_t account, uint32_t limit)
{
	*h = (struct history){.store = st, .account = account, .limit = limit};
	h->events = store_alloc(st, limit * sizeof(*h->events));
	h->others = store_alloc(st, limit * sizeof(*h->others));
	return h->events && h->others ? PSTN_OK : PSTN_E_NO_MEMORY;
}

void history_free(struct history *h)
{
	if (!h->store)
		return;
	store_free(h->store, h->events);
	store_free(h->store, h->others);
	*h = (struct history){0};
}
