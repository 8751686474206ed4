/*
 * apply.c - what a record does to the index.
 */
#include "apply.h"

#include "bytes.h"
#include "store.h"

#include <postern/maildrop.h>

#include <stdio.h>
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
static int new_folder(struct apply *a, uint64_t account, uint32_t folder,
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

static int put_row(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n,
		   const void *row, size_t length)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	MDB_val v = {.mv_size = length, .mv_data = (void *)(uintptr_t)row};

	return mdb_put(a->txn, dbi, &k, &v, 0);
}

/* Deletes what may not be there. */
static int drop_row(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n)
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

	return put_row(a, dbi, key, KEY_MESSAGE, bytes, n);
}

static int put_change(struct apply *a, uint64_t account, uint32_t folder, uint64_t change,
		      uint32_t uid, struct change_row row)
{
	unsigned char key[KEY_CHANGE], bytes[ROW_CHANGE];

	key_change(key, account, folder, change, uid);
	change_row_put(&row, key, bytes);
	return put_row(a, a->index->changes, key, sizeof(key), bytes, sizeof(bytes));
}

static int put_uidl(struct apply *a, uint64_t account, uint32_t folder, uint32_t uid,
		    const char *uidl)
{
	unsigned char key[KEY_UIDL_MAX], bytes[4];

	put32(bytes, uid);
	return put_row(a, a->index->uidls, key, key_uidl(key, account, folder, uidl), bytes, 4);
}

static int drop_uidl(struct apply *a, uint64_t account, uint32_t folder, const char *uidl)
{
	unsigned char key[KEY_UIDL_MAX];

	return drop_row(a, a->index->uidls, key, key_uidl(key, account, folder, uidl));
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

static void advance(struct folder_row *f, const struct record *r)
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
	advance(f, r);
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
		rc = put_row(a, a->index->imports, import, sizeof(import), "", 0);
	}
	return rc;
}

static uint64_t row_length(const struct message_row *row)
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
	uint64_t length = row_length(row);
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
	rc = drop_row(a, a->index->messages, key, sizeof(key));
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
	advance(f, r);
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
	advance(f, r);
	return rc;
}

/* ---- folders and accounts ---- */

int apply_account(struct apply *a, uint64_t account, const char *name)
{
	struct account_row row;
	int rc = index_account(a->index, a->txn, account, &row);

	if (rc == MDB_NOTFOUND)
		row = (struct account_row){.next_folder = FOLDER_INBOX + 1};
	else if (rc != 0)
		return rc;
	snprintf(row.name, sizeof(row.name), "%s", name);
	return index_put_account(a->index, a->txn, account, &row);
}

static int put_name(struct apply *a, uint64_t account, const char *name, uint32_t folder)
{
	unsigned char key[KEY_NAME_MAX], bytes[4];

	put32(bytes, folder);
	return put_row(a, a->index->names, key, key_name(key, account, name), bytes, 4);
}

static int drop_name(struct apply *a, uint64_t account, const char *name)
{
	unsigned char key[KEY_NAME_MAX];

	return drop_row(a, a->index->names, key, key_name(key, account, name));
}

/* The account's row keeps the next folder's id and the last uidvalidity: neither is used twice. */
static int count_folder(struct apply *a, uint64_t account, uint32_t folder, uint32_t uidvalidity)
{
	struct account_row row;
	int rc = index_account(a->index, a->txn, account, &row);

	if (rc == MDB_NOTFOUND)
		row = (struct account_row){.next_folder = FOLDER_INBOX + 1};
	else if (rc != 0)
		return rc;
	if (folder >= row.next_folder)
		row.next_folder = folder + 1;
	if (uidvalidity > row.last_uidvalidity)
		row.last_uidvalidity = uidvalidity;
	return index_put_account(a->index, a->txn, account, &row);
}

int apply_folder_state(struct apply *a, const struct record *r, const struct folder_row *said)
{
	struct folder_row *f;
	int rc = apply_folder(a, r->account, r->folder, &f);

	if (rc == MDB_NOTFOUND) {
		rc = new_folder(a, r->account, r->folder, said);
		f = &a->folder;
	} else if (rc == 0) {
		if (r->change < f->change)
			return 0;
		rc = drop_name(a, r->account, f->name);
		if (said->uidnext > f->uidnext)
			f->uidnext = said->uidnext;
		f->uidvalidity = said->uidvalidity;
		f->flags = said->flags;
		memcpy(f->name, said->name, sizeof(f->name));
	}
	if (rc == 0)
		rc = count_folder(a, r->account, r->folder, said->uidvalidity);
	advance(f, r);
	if (rc == 0 && r->folder != FOLDER_INBOX && !(said->flags & FOLDER_DELETED))
		rc = put_name(a, r->account, said->name, r->folder);
	return rc;
}

int apply_keyword(struct apply *a, const struct record *r, const char *name)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, r->account, r->folder, r->uid);
	return put_row(a, a->index->keywords, key, sizeof(key), name, strlen(name));
}

/* Deletes all rows of a table whose keys begin with the account. */
static int drop_account_rows(struct apply *a, MDB_dbi dbi, uint64_t account)
{
	unsigned char prefix[KEY_ACCOUNT];
	MDB_val k = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(a->txn, dbi, &c);

	if (rc != 0)
		return rc;
	key_account(prefix, account);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size >= KEY_ACCOUNT && memcmp(k.mv_data, prefix, KEY_ACCOUNT) == 0) {
		rc = mdb_cursor_del(c, 0);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Octets of the account's live messages become dead before their rows go. */
static int kill_messages(struct apply *a, uint64_t account)
{
	unsigned char prefix[KEY_ACCOUNT];
	MDB_val k = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(a->txn, a->index->messages, &c);

	if (rc != 0)
		return rc;
	key_account(prefix, account);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_MESSAGE && memcmp(k.mv_data, prefix, KEY_ACCOUNT) == 0) {
		struct message_row row;
		struct segment_row *s;
		uint64_t length;

		if (!message_row_get(&row, k.mv_data, a->index->tag, v.mv_data, v.mv_size)) {
			rc = MDB_CORRUPTED;
			break;
		}
		rc = apply_segment(a, row.segment, &s);
		if (rc != 0)
			break;
		length = row_length(&row);
		s->live -= length < s->live ? length : s->live;
		s->dead += length;
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int apply_account_removed(struct apply *a, uint64_t account)
{
	struct index *ix = a->index;
	const MDB_dbi tables[] = {ix->accounts, ix->folders,    ix->names,
				  ix->messages, ix->tombstones, ix->changes,
				  ix->uidls,    ix->imports,    ix->keywords};
	int rc = kill_messages(a, account);

	if (a->account == account)
		a->account = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(*tables); i++)
		rc = drop_account_rows(a, tables[i], account);
	return rc;
}
