/*
 * apply.c - what a record does to the index.
 */
#include "apply_parts.h"
#include "bytes.h"
#include "store.h"

#include <postern/maildrop.h>

#include <string.h>

/* ---- the transaction and the rows it keeps at hand ---- */

int apply_begin(struct apply *a, struct index *ix)
{
	int rc;

	memset(a, 0, sizeof(*a));
	a->index = ix;
	rc = index_write(ix, &a->txn);
	if (rc != 0)
		return rc;
	rc = index_state(ix, a->txn, &a->state);
	if (rc != 0)
		index_abort(ix, a->txn);
	return rc;
}

void apply_abort(struct apply *a)
{
	index_abort(a->index, a->txn);
}

static int put_folder(struct apply *a)
{
	return a->account ? index_put_folder(a->index, a->txn, a->account, a->folder_id, &a->folder)
			  : 0;
}

static int put_segment(struct apply *a, struct apply_segment *s)
{
	return s->id ? index_put_segment(a->index, a->txn, s->id, &s->row) : 0;
}

int apply_end(struct apply *a)
{
	int rc = put_folder(a);

	for (unsigned i = 0; rc == 0 && i < APPLY_SEGMENTS; i++)
		rc = put_segment(a, &a->segments[i]);
	if (rc == 0)
		rc = index_put_state(a->index, a->txn, &a->state);
	if (rc == 0)
		return index_commit(a->index, a->txn);
	apply_abort(a);
	return rc;
}

int apply_folder(struct apply *a, uint64_t account, uint32_t folder, struct folder_row **out)
{
	struct folder_row row;
	int rc = 0;

	*out = &a->folder;
	if (a->account == account && a->folder_id == folder)
		return 0;
	rc = index_folder(a->index, a->txn, account, folder, &row);
	if (rc == 0)
		rc = put_folder(a);
	if (rc != 0)
		return rc;
	a->folder = row;
	a->account = account;
	a->folder_id = folder;
	return 0;
}

/* A folder that has no row yet takes its place at hand; the row is put with the others. */
int apply_new_folder(struct apply *a, uint64_t account, uint32_t folder,
		     const struct folder_row *row)
{
	int rc = put_folder(a);

	a->folder = *row;
	a->account = account;
	a->folder_id = folder;
	return rc;
}

static struct apply_segment *place_for_segment(struct apply *a)
{
	for (unsigned i = 0; i < APPLY_SEGMENTS; i++) {
		if (a->segments[i].id == 0)
			return &a->segments[i];
	}
	a->evict = (a->evict + 1) % APPLY_SEGMENTS;
	return &a->segments[a->evict];
}

int apply_segment(struct apply *a, uint32_t id, struct segment_row **out)
{
	struct apply_segment *s;
	struct segment_row row = {.end = SEGMENT_HEAD};
	int rc;

	for (unsigned i = 0; i < APPLY_SEGMENTS; i++) {
		if (a->segments[i].id == id) {
			*out = &a->segments[i].row;
			return 0;
		}
	}
	rc = index_segment(a->index, a->txn, id, &row);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	s = place_for_segment(a);
	rc = put_segment(a, s);
	*s = (struct apply_segment){.id = id, .row = row};
	*out = &s->row;
	return rc;
}

/* ---- single rows ---- */

int apply_put_row(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n, const void *row,
		  size_t length)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	MDB_val v = {.mv_size = length, .mv_data = (void *)(uintptr_t)row};

	return mdb_put(a->txn, dbi, &k, &v, 0);
}

/* Deletes what may not be there. */
int apply_drop_row(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	int rc = mdb_del(a->txn, dbi, &k, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_message(struct apply *a, MDB_dbi dbi, const unsigned char key[KEY_MESSAGE],
		       const struct message_row *row)
{
	unsigned char bytes[ROW_MESSAGE_MAX];
	size_t n = message_row_put(row, key, bytes);

	return apply_put_row(a, dbi, key, KEY_MESSAGE, bytes, n);
}

static int put_change(struct apply *a, uint64_t account, uint32_t folder, uint64_t change,
		      uint32_t uid, struct change_row row)
{
	unsigned char key[KEY_CHANGE], bytes[ROW_CHANGE];

	key_change(key, account, folder, change, uid);
	change_row_put(&row, key, bytes);
	return apply_put_row(a, a->index->changes, key, sizeof(key), bytes, sizeof(bytes));
}

static int put_uidl(struct apply *a, uint64_t account, uint32_t folder, uint32_t uid,
		    const char *uidl)
{
	unsigned char key[KEY_UIDL_MAX], bytes[4];

	put32(bytes, uid);
	return apply_put_row(a, a->index->uidls, key, key_uidl(key, account, folder, uidl), bytes,
			     4);
}

static int drop_uidl(struct apply *a, uint64_t account, uint32_t folder, const char *uidl)
{
	unsigned char key[KEY_UIDL_MAX];

	return apply_drop_row(a, a->index->uidls, key, key_uidl(key, account, folder, uidl));
}

/* ---- messages ---- */

static bool is_import(const struct record *r)
{
	static const unsigned char none[16];

	return memcmp(r->import_key, none, sizeof(none)) != 0;
}

static void row_of(struct message_row *row, const struct record *r, uint32_t segment,
		   uint64_t offset, uint32_t tag)
{
	*row = (struct message_row){
	    .flags = r->message_flags,
	    .segment = segment,
	    .header_octets = (uint32_t)r->header_octets,
	    .dots = r->count,
	    .keywords = r->keywords,
	    .offset = offset,
	    .octets = r->octets,
	    .received = r->received,
	    .change = r->change,
	    .serial = uidl_serial(r->uidl, tag),
	    .expunged_change = r->expunged_change,
	    .expunged_at = r->expunged_at,
	};
	memcpy(row->uidl, r->uidl, sizeof(row->uidl));
}

void apply_advance(struct folder_row *f, const struct record *r)
{
	if (r->change > f->change)
		f->change = r->change;
}

static int enter_live(struct apply *a, const struct record *r, const unsigned char *key,
		      const struct message_row *row, struct folder_row *f)
{
	int rc = put_message(a, a->index->messages, key, row);

	if (rc == 0 && !row->serial)
		rc = put_uidl(a, r->account, r->folder, r->uid, row->uidl);
	f->messages++;
	f->octets += row->octets;
	f->unseen += !(row->flags & PSTN_SEEN);
	return rc;
}

static int enter_tombstone(struct apply *a, const struct record *r, const unsigned char *key,
			   const struct message_row *row, struct folder_row *f)
{
	f->tombstones++;
	f->tombstone_octets += row->octets;
	if (r->expunged_change > f->expunge_change)
		f->expunge_change = r->expunged_change;
	return put_message(a, a->index->tombstones, key, row);
}

/* The message is known: a moved record tells its new place, any other is a repetition. */
static int move_message(struct apply *a, MDB_dbi dbi, const struct record *r,
			const unsigned char *key, struct message_row *row, uint32_t segment,
			uint64_t offset)
{
	if (!(r->flags & RECORD_MOVED))
		return 0;
	row->segment = segment;
	row->offset = offset;
	return put_message(a, dbi, key, row);
}

int apply_message(struct apply *a, const struct record *r, uint32_t segment, uint64_t offset)
{
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
	struct folder_row *f;
	struct segment_row *s;
	int rc = apply_folder(a, r->account, r->folder, &f);

	if (rc == 0)
		rc = apply_segment(a, segment, &s);
	if (rc != 0)
		return rc;
	key_message(key, r->account, r->folder, r->uid);
	/* Above the folder's next uid nothing can be there: the usual case costs no look-up. */
	if (r->uid < f->uidnext) {
		rc = index_message(a->index, a->txn, r->account, r->folder, r->uid, &row);
		if (rc == 0)
			return move_message(a, a->index->messages, r, key, &row, segment, offset);
		if (rc == MDB_NOTFOUND)
			rc = index_tombstone(a->index, a->txn, r->account, r->folder, r->uid, &row);
		if (rc == 0)
			return move_message(a, a->index->tombstones, r, key, &row, segment, offset);
		if (rc != MDB_NOTFOUND)
			return rc;
	}
	row_of(&row, r, segment, offset, a->index->tag);
	if (row.serial > a->state.serial)
		a->state.serial = row.serial;
	if (r->uid >= f->uidnext)
		f->uidnext = r->uid + 1;
	apply_advance(f, r);
	if (row.expunged_change) {
		s->dead += record_length(r);
		rc = enter_tombstone(a, r, key, &row, f);
	} else {
		s->live += record_length(r);
		rc = enter_live(a, r, key, &row, f);
	}
	if (rc == 0 && is_import(r)) {
		unsigned char import[KEY_IMPORT];

		key_import(import, r->account, r->import_key);
		rc = apply_put_row(a, a->index->imports, import, sizeof(import), "", 0);
	}
	return rc;
}

uint64_t apply_row_length(const struct message_row *row)
{
	struct record r = {.type = RECORD_MESSAGE, .body_length = row->octets, .count = row->dots};

	memcpy(r.uidl, row->uidl, sizeof(r.uidl));
	r.head_length = record_head_length(&r);
	return record_length(&r);
}

/* ---- expunge ---- */

static int bury(struct apply *a, const struct record *r, uint32_t uid, struct message_row *row)
{
	unsigned char key[KEY_MESSAGE];
	struct segment_row *s;
	struct folder_row *f = &a->folder;
	uint64_t length = apply_row_length(row);
	int rc = apply_segment(a, row->segment, &s);

	if (rc != 0)
		return rc;
	s->live -= length < s->live ? length : s->live;
	s->dead += length;
	f->messages--;
	f->octets -= row->octets;
	f->unseen -= !(row->flags & PSTN_SEEN);
	f->tombstones++;
	f->tombstone_octets += row->octets;
	row->expunged_change = r->change;
	row->expunged_at = r->time;
	key_message(key, r->account, r->folder, uid);
	rc = apply_drop_row(a, a->index->messages, key, sizeof(key));
	if (rc == 0 && !row->serial)
		rc = drop_uidl(a, r->account, r->folder, row->uidl);
	return rc == 0 ? put_message(a, a->index->tombstones, key, row) : rc;
}

static int expunge_range(struct apply *a, const struct record *r, struct uid_range range)
{
	bool any = false;

	for (uint32_t i = 0; i < range.count; i++) {
		uint32_t uid = range.first + i;
		struct message_row row;
		int rc = index_message(a->index, a->txn, r->account, r->folder, uid, &row);

		if (rc == 0)
			rc = bury(a, r, uid, &row);
		else if (rc == MDB_NOTFOUND)
			continue;
		if (rc != 0)
			return rc;
		any = true;
	}
	if (!any)
		return 0;
	return put_change(a, r->account, r->folder, r->change, range.first,
			  (struct change_row){CHANGE_EXPUNGE, range.count});
}

int apply_expunge(struct apply *a, const struct record *r, const struct uid_range *ranges,
		  uint32_t n)
{
	struct folder_row *f;
	uint64_t before;
	int rc = apply_folder(a, r->account, r->folder, &f);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	before = f->messages;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = expunge_range(a, r, ranges[i]);
	if (rc != 0 || f->messages == before)
		return rc;
	apply_advance(f, r);
	if (r->change > f->expunge_change)
		f->expunge_change = r->change;
	return 0;
}

/* ---- flags ---- */

static int set_flags(struct apply *a, const struct record *r, const struct flag_entry *e)
{
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
	int rc = index_message(a->index, a->txn, r->account, r->folder, e->uid, &row);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (row.change >= r->change)
		return 0;
	a->folder.unseen += !(e->flags & PSTN_SEEN);
	a->folder.unseen -= !(row.flags & PSTN_SEEN);
	row.flags = e->flags;
	row.keywords = e->keywords;
	row.change = r->change;
	key_message(key, r->account, r->folder, e->uid);
	rc = put_message(a, a->index->messages, key, &row);
	if (rc != 0)
		return rc;
	return put_change(a, r->account, r->folder, r->change, e->uid,
			  (struct change_row){CHANGE_FLAGS, 1});
}

int apply_flags(struct apply *a, const struct record *r, const struct flag_entry *entries,
		uint32_t n)
{
	struct folder_row *f;
	int rc = apply_folder(a, r->account, r->folder, &f);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = set_flags(a, r, &entries[i]);
	apply_advance(f, r);
	return rc;
}
