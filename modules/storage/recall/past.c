/*
 * past.c - a folder as it stood at an earlier moment.
 */
#include "past.h"

#include "command/folder_rows.h"
#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 256

/* ---- changes of a folder, from one on; MDB_NOTFOUND: that is enough ---- */

typedef int each_change(void *arg, uint64_t change, uint32_t uid, const struct change_row *);

static int walk(struct store *st, uint64_t account, uint32_t folder, uint64_t from,
		each_change *each, void *arg)
{
	unsigned char key[KEY_CHANGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	if (rc != 0)
		return rc;
	key_change(key, account, folder, from, 0);
	rc = mdb_cursor_open(txn, st->index.changes, &c);
	if (rc != 0) {
		index_read_end(&st->index, txn);
		return rc;
	}
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_CHANGE && memcmp(k.mv_data, key, KEY_FOLDER) == 0) {
		struct change_row row;

		if (!change_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			rc = MDB_CORRUPTED;
		else
			rc = each(arg, get64be((unsigned char *)k.mv_data + KEY_FOLDER),
				  get32be((unsigned char *)k.mv_data + KEY_MESSAGE + 4), &row);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	index_read_end(&st->index, txn);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- how far back it is known ---- */

static int first_time(void *arg, uint64_t change, uint32_t uid, const struct change_row *row)
{
	uint64_t *time = arg;

	(void)change;
	(void)uid;
	*time = row->time;
	return MDB_NOTFOUND;
}

/* Messages that came after all that is forgotten tell so, too. */
static int first_delivery(struct folder_rows *w, uint64_t forgotten, uint64_t *time)
{
	const struct message_row *row;
	uint32_t uid;
	int rc;

	while ((row = folder_rows_peek(w, &uid, &rc))) {
		if (!folder_rows_damaged(w) && row->change > forgotten && row->stored < *time)
			*time = row->stored;
		folder_rows_skip(w);
	}
	return rc;
}

static int look_back(struct store *st, uint64_t account, uint32_t folder, uint64_t forgotten,
		     uint64_t *earliest)
{
	struct folder_rows *w = store_alloc(st, sizeof(*w));
	int rc;

	if (!w)
		return ENOMEM;
	*earliest = store_time();
	rc = walk(st, account, folder, forgotten + 1, first_time, earliest);
	folder_rows_begin(w, st, st->index.messages, account, folder, 1);
	if (rc == 0)
		rc = first_delivery(w, forgotten, earliest);
	store_free(st, w);
	return rc;
}

int past_earliest(struct store *st, uint64_t account, uint32_t folder, uint64_t *earliest)
{
	struct folder_row row;
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	*earliest = 0;
	if (rc != 0)
		return index_status(rc);
	rc = index_folder(&st->index, txn, account, folder, &row);
	index_read_end(&st->index, txn);
	/* What is forgotten came before the first thing that is not. */
	if (rc == 0 && row.forgotten)
		rc = look_back(st, account, folder, row.forgotten, earliest);
	return index_status(rc);
}

/* ---- flags ---- */

static int by_uid(const void *x, const void *y)
{
	const struct past_flags *a = x, *b = y;

	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	return a->change < b->change ? -1 : a->change > b->change;
}

/* Of each message the first change stays. */
static void settle(struct past *p)
{
	size_t kept = 0;

	if (p->count)
		qsort(p->flags, p->count, sizeof(*p->flags), by_uid);
	for (size_t i = 0; i < p->count; i++) {
		if (i == 0 || p->flags[i].uid != p->flags[kept - 1].uid)
			p->flags[kept++] = p->flags[i];
	}
	p->count = kept;
}

/* A message whose flags change all the time takes no more room than another. */
static int make_room(struct past *p)
{
	size_t room = p->room ? p->room * 2 : ROOM_MIN;
	struct past_flags *larger;

	settle(p);
	if (p->room && p->count <= p->room / 2)
		return 0;
	larger = store_alloc(p->store, room * sizeof(*larger));
	if (!larger)
		return ENOMEM;
	if (p->count)
		memcpy(larger, p->flags, p->count * sizeof(*larger));
	store_free(p->store, p->flags);
	p->flags = larger;
	p->room = room;
	return 0;
}

static int note_flags(void *arg, uint64_t change, uint32_t uid, const struct change_row *row)
{
	struct past *p = arg;
	int rc = 0;

	if (row->kind != CHANGE_FLAGS || row->time <= p->moment)
		return 0;
	if (p->count == p->room)
		rc = make_room(p);
	if (rc == 0)
		p->flags[p->count++] = (struct past_flags){.uid = uid,
							   .flags = row->before,
							   .keywords = row->keywords_before,
							   .change = change};
	return rc;
}

int past_fill(struct past *p, struct store *st, uint64_t account, uint32_t folder, uint64_t moment)
{
	int rc;

	*p = (struct past){.store = st, .moment = moment};
	rc = walk(st, account, folder, 1, note_flags, p);
	settle(p);
	return index_status(rc);
}

void past_free(struct past *p)
{
	if (p->store)
		store_free(p->store, p->flags);
	*p = (struct past){0};
}

bool past_held(const struct past *p, const struct message_row *row)
{
	return row->stored <= p->moment && (!row->expunged_change || row->expunged_at > p->moment);
}

static const struct past_flags *find(const struct past *p, uint32_t uid)
{
	const struct past_flags wanted = {.uid = uid};
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_uid(&p->flags[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && p->flags[low].uid == uid ? &p->flags[low] : NULL;
}

void past_flags_of(const struct past *p, uint32_t uid, const struct message_row *row,
		   uint32_t *flags, uint64_t *keywords)
{
	const struct past_flags *before = find(p, uid);

	*flags = before ? before->flags : row->flags;
	*keywords = before ? before->keywords : row->keywords;
}
