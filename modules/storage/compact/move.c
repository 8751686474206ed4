/*
 * move.c - under the write lock: records of a segment that is being emptied are written again,
 * with their present state, if the index still needs them; what has expired is forgotten.
 *
 * Every record is decided here once more: between reading it and this group others have committed.
 */
#include "move.h"

#include "format/bytes.h"
#include "index/apply_parts.h"
#include "needed.h"
#include "store.h"

#include <errno.h>
#include <string.h>

struct moving {
	struct apply *apply;
	struct batch *batch;
	uint32_t log;
	struct pending *pending;
	uint64_t expired; /* what was expunged before can go */
};

static int write_again(struct moving *m, struct record *r, const void *body, const uint64_t *dots,
		       uint64_t *offset)
{
	int rc;

	r->flags |= RECORD_MOVED;
	rc = batch_add(m->batch, r, body, dots, offset);
	m->pending->move.octets += record_length(r);
	return rc;
}

/* The index has changed in a way that no record tells: the segment has to go before any other. */
static int mark_stale(struct moving *m)
{
	struct segment_row *row;
	int rc = apply_segment(m->apply, m->pending->move.segment, &row);

	if (rc == 0)
		row->flags |= SEGMENT_STALE;
	m->pending->silent = true;
	return rc;
}

/* ---- messages ---- */

static int forget_message(struct moving *m, const struct record *r, const struct message_row *row)
{
	unsigned char key[KEY_MESSAGE];
	struct folder_row *f;
	int rc = apply_folder(m->apply, r->account, r->folder, &f);

	if (rc != 0)
		return rc;
	f->tombstones -= f->tombstones > 0;
	f->tombstone_octets -=
	    row->octets < f->tombstone_octets ? row->octets : f->tombstone_octets;
	if (row->expunged_change > f->forgotten)
		f->forgotten = row->expunged_change;
	key_message(key, r->account, r->folder, r->uid);
	rc = apply_drop_row(m->apply, m->apply->index->tombstones, key, sizeof(key));
	return rc == 0 ? mark_stale(m) : rc;
}

static int move_message(struct moving *m, const struct move *move)
{
	struct apply *a = m->apply;
	struct record r = move->record;
	struct message_row row;
	enum needed_as as;
	uint64_t offset;
	int rc =
	    needed_message(a->index, a->txn, &r, m->pending->move.segment, move->offset, &as, &row);

	if (rc != 0 || as == NEEDED_NOT)
		return rc;
	if (as == NEEDED_EXPUNGED && row.expunged_at < m->expired) {
		/* It expired just now: the folder was not noted as one to be told of again. */
		m->pending->move.again |= move->loaded;
		return move->loaded ? 0 : forget_message(m, &r, &row);
	}
	if (!move->loaded) {
		m->pending->move.again = true;
		return 0;
	}
	r.message_flags = row.flags;
	r.keywords = row.keywords;
	r.change = row.change;
	r.stored = row.stored;
	r.expunged_change = row.expunged_change;
	r.expunged_at = row.expunged_at;
	rc = write_again(m, &r, move->body, move->dots, &offset);
	return rc == 0 ? apply_message(a, &r, m->log, offset) : rc;
}

/* ---- changes ---- */

/* The rows of a change go; a folder without a row has none. */
static int forget_change(struct moving *m, const struct record *r)
{
	struct apply *a = m->apply;
	unsigned char key[KEY_CHANGE];
	struct folder_row *f;
	int rc = apply_folder(a, r->account, r->folder, &f);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (r->change > f->forgotten)
		f->forgotten = r->change;
	key_change(key, r->account, r->folder, r->change, 0);
	rc = apply_drop_prefix(a, a->index->changes, key, KEY_CHANGE - 4);
	return rc == 0 ? mark_stale(m) : rc;
}

static int keep_change(struct moving *m, const struct record *r, uint32_t uid,
		       const struct change_row *row)
{
	unsigned char key[KEY_CHANGE], bytes[ROW_CHANGE];

	key_change(key, r->account, r->folder, r->change, uid);
	change_row_put(row, key, bytes);
	return apply_put_row(m->apply, m->apply->index->changes, key, sizeof(key), bytes,
			     sizeof(bytes));
}

static int keep_ranges(struct moving *m, const struct record *r, const struct uid_range *ranges)
{
	struct change_row row = {.kind = CHANGE_EXPUNGE, .time = r->time};
	int rc = 0;

	memcpy(row.origin, r->origin, sizeof(row.origin));
	for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
		row.count = ranges[i].count;
		rc = keep_change(m, r, ranges[i].first, &row);
	}
	return rc;
}

static int move_expunge(struct moving *m, const struct move *move)
{
	const struct needed look = {
	    .index = m->apply->index, .txn = m->apply->txn, .leaving = m->pending->move.segment};
	struct record r = move->record;
	uint32_t n = r.count;
	size_t size = (size_t)n * BODY_RANGE;
	struct uid_range *ranges = batch_alloc(m->batch, size);
	unsigned char *body = batch_alloc(m->batch, size);
	uint64_t offset;
	int rc = 0;

	if (!ranges || !body)
		return ENOMEM;
	if (n)
		memcpy(ranges, move->body, size);
	rc = needed_ranges(&look, &r, ranges, &n);
	/* An open session finds what was expunged since by these rows. */
	if (rc == 0 && r.time < m->expired &&
	    (n == 0 || n < r.count || !move->whole || memcmp(ranges, move->body, size) != 0))
		rc = forget_change(m, &r);
	if (rc != 0 || n == 0)
		return rc;
	r.count = n;
	r.body_length = body_put_ranges(ranges, n, body);
	rc = keep_ranges(m, &r, ranges);
	return rc == 0 ? write_again(m, &r, body, NULL, &offset) : rc;
}

static int keep_flags(struct moving *m, const struct record *r, const struct flag_entry *entries)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
		struct change_row row = {.kind = CHANGE_FLAGS,
					 .count = 1,
					 .time = r->time,
					 .before = entries[i].before,
					 .after = entries[i].flags,
					 .keywords_before = entries[i].keywords_before};

		memcpy(row.origin, r->origin, sizeof(row.origin));
		rc = keep_change(m, r, entries[i].uid, &row);
	}
	return rc;
}

static int move_flags(struct moving *m, const struct move *move)
{
	const struct needed look = {
	    .index = m->apply->index, .txn = m->apply->txn, .leaving = m->pending->move.segment};
	struct record r = move->record;
	uint32_t n = r.count;
	struct flag_entry *entries = batch_alloc(m->batch, n * sizeof(*entries));
	unsigned char *body = batch_alloc(m->batch, (size_t)n * BODY_FLAG);
	uint64_t offset;
	int rc = 0;

	if (!entries || !body)
		return ENOMEM;
	if (n)
		memcpy(entries, move->body, n * sizeof(*entries));
	rc = needed_flags(&look, &r, entries, &n);
	if (rc == 0 && (n == 0 || n < r.count || !move->whole))
		rc = forget_change(m, &r);
	if (rc != 0 || n == 0)
		return rc;
	r.count = n;
	r.body_length = body_put_flags(entries, n, body);
	rc = keep_flags(m, &r, entries);
	return rc == 0 ? write_again(m, &r, body, NULL, &offset) : rc;
}

/* ---- what folders and accounts are at present ---- */

static int tell_folder(struct moving *m, const struct record *which)
{
	struct folder_row *f;
	struct record r = {
	    .type = RECORD_FOLDER, .account = which->account, .folder = which->folder};
	unsigned char *body = batch_alloc(m->batch, BODY_FOLDER_MAX);
	uint64_t offset;
	int rc = body ? apply_folder(m->apply, r.account, r.folder, &f) : ENOMEM;

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	r.uid = f->uidnext;
	r.change = f->change;
	r.time = m->batch->time;
	r.body_length = body_put_folder(f, body);
	return write_again(m, &r, body, NULL, &offset);
}

static int tell_keyword(struct moving *m, const struct record *which)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	struct record r = *which;
	void *body;
	uint64_t offset;
	int rc;

	key_message(key, r.account, r.folder, r.uid);
	rc = mdb_get(m->apply->txn, m->apply->index->keywords, &k, &v);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	body = batch_alloc(m->batch, v.mv_size + 1);
	if (!body)
		return ENOMEM;
	memcpy(body, v.mv_data, v.mv_size);
	r.body_length = v.mv_size;
	return write_again(m, &r, body, NULL, &offset);
}

static int tell_account(struct moving *m, const struct record *which)
{
	struct account_row row, *owner;
	struct record r = {.type = RECORD_ACCOUNT, .account = which->account};
	char *body;
	uint64_t offset;
	int rc = index_account(m->apply->index, m->apply->txn, r.account, &row);

	/* A row that is not there yet must not come from being asked for. */
	if (rc == 0)
		rc = apply_owner(m->apply, r.account, &owner);
	if (rc != 0 || !*owner->name)
		return rc == MDB_NOTFOUND ? 0 : rc;
	r.time = m->batch->time;
	r.body_length = strlen(owner->name);
	body = batch_alloc(m->batch, r.body_length + 1);
	if (!body)
		return ENOMEM;
	memcpy(body, owner->name, r.body_length);
	return write_again(m, &r, body, NULL, &offset);
}

/* What older segments hold of the account must not come back; of self-tests nothing ever does. */
static int tell_removed(struct moving *m, const struct record *which)
{
	struct record r = *which;
	uint64_t offset;

	return r.account >= SCRATCH_FIRST ? 0 : write_again(m, &r, NULL, NULL, &offset);
}

static int move_one(struct moving *m, const struct move *move)
{
	switch (move->record.type) {
	case RECORD_MESSAGE:
		return move_message(m, move);
	case RECORD_EXPUNGE:
		return move_expunge(m, move);
	case RECORD_FLAGS:
		return move_flags(m, move);
	case RECORD_FOLDER:
		return tell_folder(m, &move->record);
	case RECORD_KEYWORD:
		return tell_keyword(m, &move->record);
	case RECORD_ACCOUNT:
		return tell_account(m, &move->record);
	case RECORD_ACCOUNT_REMOVED:
		return tell_removed(m, &move->record);
	default:
		return 0;
	}
}

int prepare_move(struct apply *a, struct batch *b, uint32_t log, struct pending *p)
{
	struct moving m = {.apply = a, .batch = b, .log = log, .pending = p};
	int rc = 0;

	m.expired = snapshots_expired(b->store, p->move.retention);
	p->move.octets = 0;
	p->move.again = p->silent = false;
	for (uint32_t i = 0; rc == 0 && i < p->move.count; i++)
		rc = move_one(&m, &p->move.moves[i]);
	return rc;
}

/* ---- what becomes of the segment ---- */

static int tell_state(struct apply *a, struct batch *b)
{
	struct record r = {.type = RECORD_STATE, .flags = RECORD_MOVED, .time = b->time};
	unsigned char *body = batch_alloc(b, BODY_STATE);
	uint64_t offset;

	if (!body)
		return ENOMEM;
	r.body_length = body_put_state(&a->state, body);
	return batch_add(b, &r, body, NULL, &offset);
}

static int decide(struct apply *a, struct pending *p, uint32_t log, uint32_t id)
{
	struct segment_row *row;
	int rc;

	if (p->segments.fate == SEGMENT_REMOVED)
		return apply_drop_segment(a, id);
	rc = apply_segment(a, id, &row);
	if (rc != 0)
		return rc;
	if (id == log)
		p->status = PSTN_E_FULL; /* no other could be begun */
	else if (p->segments.fate == SEGMENT_TO_SEAL)
		row->flags |= SEGMENT_SEALED;
	else if (!(row->flags & SEGMENT_SEALED) || row->end != p->segments.end)
		p->status = PSTN_E_BUSY; /* somebody writes to it */
	else if (row->live)
		p->status = PSTN_E_DAMAGED;
	else
		row->flags =
		    (row->flags | SEGMENT_SEALED | SEGMENT_GONE) & ~(uint32_t)SEGMENT_STALE;
	return 0;
}

int prepare_segments(struct apply *a, struct batch *b, uint32_t log, struct pending *p)
{
	int rc = 0;

	p->silent = true;
	for (uint32_t i = 0; rc == 0 && i < p->segments.count; i++)
		rc = decide(a, p, log, p->segments.ids[i]);
	if (rc == 0 && p->segments.fate == SEGMENT_TO_GO)
		rc = tell_state(a, b);
	return rc;
}
