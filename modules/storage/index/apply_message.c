/*
 * apply_message.c - what records of messages and expunges do to the index.
 */
#include "apply_parts.h"
#include "format/bytes.h"
#include "mend.h"

#include <postern/maildrop.h>

#include <errno.h>
#include <string.h>

/* ---- single rows ---- */

int apply_put_message(struct apply *a, MDB_dbi dbi, const unsigned char key[KEY_MESSAGE],
		      const struct message_row *row)
{
	unsigned char bytes[ROW_MESSAGE_MAX];
	size_t n = message_row_put(row, key, bytes);

	return apply_put_row(a, dbi, key, KEY_MESSAGE, bytes, n);
}

int apply_put_change(struct apply *a, uint64_t account, uint32_t folder, uint64_t change,
		     uint32_t uid, const struct change_row *row)
{
	unsigned char key[KEY_CHANGE], bytes[ROW_CHANGE];

	key_change(key, account, folder, change, uid);
	change_row_put(row, key, bytes);
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

/* Unless another message has it by now: of two with the same unique id the records may come in any
 * order when an index is made anew. */
static int drop_uidl(struct apply *a, uint64_t account, uint32_t folder, uint32_t uid,
		     const char *uidl)
{
	unsigned char key[KEY_UIDL_MAX];
	size_t n = key_uidl(key, account, folder, uidl);
	MDB_val k = {.mv_size = n, .mv_data = key}, v;
	int rc = mdb_get(a->txn, a->index->uidls, &k, &v);

	if (rc == 0 && v.mv_size == 4 && get32(v.mv_data) != uid)
		return 0;
	return rc == 0 ? apply_drop_row(a, a->index->uidls, key, n) : rc == MDB_NOTFOUND ? 0 : rc;
}

void apply_count(uint64_t *total, int64_t change)
{
	uint64_t less = change < 0 ? -(uint64_t)change : 0;

	*total = less > *total ? 0 : *total + (uint64_t)change;
}

/* The totals of the folder's account and domain follow those of the folder. */
static int count_usage(struct apply *a, uint64_t account, int64_t messages, int64_t octets)
{
	struct account_row *owner;
	struct domain_row *domain = NULL;
	int rc = apply_owner(a, account, &owner);

	if (rc == 0)
		rc = apply_domain(a, owner->name, &domain);
	if (rc != 0)
		return rc;
	apply_count(&owner->messages, messages);
	apply_count(&owner->octets, octets);
	if (domain) {
		apply_count(&domain->messages, messages);
		apply_count(&domain->octets, octets);
	}
	return 0;
}

/* ---- messages ---- */

int apply_look_up(struct apply *a, uint64_t account, uint32_t folder, uint32_t uid,
		  struct message_row *row)
{
	int rc = index_message(a->index, a->txn, account, folder, uid, row);

	return rc == MDB_CORRUPTED ? mend_row(a, false, account, folder, uid, row) : rc;
}

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
	    .state = r->flags & RECORD_NAMED ? MESSAGE_NAMED : 0,
	    .segment = segment,
	    .header_octets = r->header_octets,
	    .dots = r->count,
	    .keywords = r->keywords,
	    .offset = offset,
	    .octets = r->octets,
	    .received = r->received,
	    .stored = r->stored,
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
	int rc = apply_put_message(a, a->index->messages, key, row);

	if (rc == 0 && row->state & MESSAGE_NAMED)
		rc = put_uidl(a, r->account, r->folder, r->uid, row->uidl);
	f->messages++;
	f->octets += row->octets;
	f->unseen += !(row->flags & PSTN_SEEN);
	return rc == 0 ? count_usage(a, r->account, 1, (int64_t)row->octets) : rc;
}

static int enter_tombstone(struct apply *a, const struct record *r, const unsigned char *key,
			   const struct message_row *row, struct folder_row *f)
{
	f->tombstones++;
	f->tombstone_octets += row->octets;
	if (r->expunged_change > f->expunge_change)
		f->expunge_change = r->expunged_change;
	if (r->expunged_change > f->change)
		f->change = r->expunged_change;
	return apply_put_message(a, a->index->tombstones, key, row);
}

/* Octets of a message's record change from one segment's account to another's. */
static int move_octets(struct apply *a, const struct message_row *row, uint32_t segment)
{
	uint64_t length = apply_row_length(row);
	struct segment_row *from, *to;
	int rc = apply_segment(a, row->segment, &from);

	if (rc != 0)
		return rc;
	if (!row->expunged_change) {
		from->live -= length < from->live ? length : from->live;
		from->dead += length;
	}
	from->flags |= SEGMENT_STALE;
	rc = apply_segment(a, segment, &to);
	if (rc == 0 && row->expunged_change)
		to->dead += length;
	else if (rc == 0)
		to->live += length;
	return rc;
}

/* What a moved record says of the message is as late as the record; what came later still says so
 * itself. */
static void take_flags(struct apply *a, const struct record *r, struct message_row *row)
{
	if (r->change <= row->change)
		return;
	if (!row->expunged_change) {
		a->folder.unseen += !(r->message_flags & PSTN_SEEN);
		apply_count(&a->folder.unseen, -!(row->flags & PSTN_SEEN));
	}
	row->flags = r->message_flags;
	row->keywords = r->keywords;
	row->change = r->change;
}

static int bury(struct apply *, const struct record *, uint32_t uid, struct message_row *);

static int bury_moved(struct apply *a, const struct record *r, struct message_row *row)
{
	struct record expunge = {.account = r->account,
				 .folder = r->folder,
				 .change = r->expunged_change,
				 .time = r->expunged_at};

	apply_advance(&a->folder, &expunge);
	if (r->expunged_change > a->folder.expunge_change)
		a->folder.expunge_change = r->expunged_change;
	return bury(a, &expunge, r->uid, row);
}

/* Of the same uid, but given to another: what has the lower sequence could not be read then. */
static bool is_another(const struct record *r, const struct message_row *row)
{
	return strcmp(r->uidl, row->uidl) != 0 || r->octets != row->octets ||
	       r->stored != row->stored;
}

/* The uid is known: a moved record tells the message's new place, any other is a repetition. */
static int move_message(struct apply *a, MDB_dbi dbi, const struct record *r,
			const unsigned char *key, struct message_row *row, uint32_t segment,
			uint64_t offset)
{
	int rc;

	if (a->replay && is_another(r, row))
		return EEXIST;
	if (!(r->flags & RECORD_MOVED) || (row->segment == segment && row->offset == offset))
		return 0;
	rc = move_octets(a, row, segment);
	row->segment = segment;
	row->offset = offset;
	take_flags(a, r, row);
	apply_advance(&a->folder, r);
	if (rc == 0)
		rc = apply_put_message(a, dbi, key, row);
	return rc == 0 && r->expunged_change && !row->expunged_change ? bury_moved(a, r, row) : rc;
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
		rc = apply_look_up(a, r->account, r->folder, r->uid, &row);
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
	/* prepare() lets in none above that; one that is there all the same must not use them up. */
	if (row.serial > a->state.serial && row.serial <= SERIAL_MAX)
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
	if (r->time > s->died)
		s->died = r->time;
	apply_count(&f->messages, -1);
	apply_count(&f->octets, -(int64_t)row->octets);
	apply_count(&f->unseen, -!(row->flags & PSTN_SEEN));
	rc = count_usage(a, r->account, -1, -(int64_t)row->octets);
	if (rc != 0)
		return rc;
	f->tombstones++;
	f->tombstone_octets += row->octets;
	row->expunged_change = r->change;
	row->expunged_at = r->time;
	key_message(key, r->account, r->folder, uid);
	rc = apply_drop_row(a, a->index->messages, key, sizeof(key));
	if (rc == 0 && row->state & MESSAGE_NAMED)
		rc = drop_uidl(a, r->account, r->folder, uid, row->uidl);
	return rc == 0 ? apply_put_message(a, a->index->tombstones, key, row) : rc;
}

static int expunge_range(struct apply *a, const struct record *r, struct uid_range range)
{
	for (uint32_t i = 0; i < range.count; i++) {
		uint32_t uid = range.first + i;
		struct message_row row;
		int rc = apply_look_up(a, r->account, r->folder, uid, &row);

		if (rc == 0)
			rc = bury(a, r, uid, &row);
		/* One that nobody can read: whoever asks for it is told, a replay leaves it to a repair. */
		if (rc != 0 && rc != MDB_NOTFOUND && !(rc == MDB_CORRUPTED && a->replay))
			return rc;
	}
	return 0;
}

static int tell_expunge(struct apply *a, const struct record *r, const struct uid_range *ranges,
			uint32_t n)
{
	struct change_row change = {.kind = CHANGE_EXPUNGE, .time = r->time};
	int rc = 0;

	memcpy(change.origin, r->origin, sizeof(change.origin));
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		change.count = ranges[i].count;
		rc =
		    apply_put_change(a, r->account, r->folder, r->change, ranges[i].first, &change);
	}
	return rc;
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
	if (rc != 0 || (f->messages == before && !a->replay))
		return rc;
	apply_advance(f, r);
	if (r->change > f->expunge_change)
		f->expunge_change = r->change;
	return tell_expunge(a, r, ranges, n);
}
