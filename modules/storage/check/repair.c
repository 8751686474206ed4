/*
 * repair.c - see repair.h.
 */
#include "repair.h"

#include "checker.h"
#include "format/bytes.h"
#include "index/apply_parts.h"
#include "index/mend.h"
#include "store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define GROW_TRIES 3
#define WALK_MENDS "not mended: storage repair without --user and --quick does it"

/* ---- single rows ---- */

static MDB_dbi table_of(struct apply *a, const struct fault *f)
{
	return f->expunged ? a->index->tombstones : a->index->messages;
}

static int drop_message_row(struct apply *a, const struct fault *f)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, f->account, f->folder, f->uid);
	return apply_drop_row(a, table_of(a, f), key, sizeof(key));
}

static int drop_and_count(struct apply *a, const struct fault *f)
{
	int rc = drop_message_row(a, f);

	if (rc == 0)
		rc = repair_folder_totals(a, f);
	return rc == 0 ? repair_account_totals(a, f) : rc;
}

/* One that is beyond its own help keeps its place until its record is found. */
static int mend_damaged_row(struct repair *r, struct apply *a, const struct fault *f)
{
	struct message_row row;
	int rc = mend_row(a, f->expunged, f->account, f->folder, f->uid, &row);

	if (rc == MDB_CORRUPTED && r->drop_damaged && r->last_round)
		return drop_and_count(a, f);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* A row that leads to another record is of no use; if a record of the message stands anywhere, the
 * walk through the segments finds it unknown and brings it back. */
static int drop_row(struct repair *r, struct apply *a, const struct fault *f)
{
	struct message_row row;
	int rc = f->expunged
		     ? index_tombstone(a->index, a->txn, f->account, f->folder, f->uid, &row)
		     : index_message(a->index, a->txn, f->account, f->folder, f->uid, &row);

	(void)r;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc == 0 && (row.segment != f->segment || row.offset != f->offset))
		return 0; /* moved meanwhile */
	return drop_and_count(a, f);
}

static int put_number(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n,
		      uint32_t value)
{
	unsigned char bytes[4];

	put32(bytes, value);
	return apply_put_row(a, dbi, key, n, bytes, sizeof(bytes));
}

static int mend_uidl_missing(struct repair *r, struct apply *a, const struct fault *f)
{
	unsigned char key[KEY_UIDL_MAX];
	struct message_row row;
	int rc = index_message(a->index, a->txn, f->account, f->folder, f->uid, &row);

	(void)r;
	if (rc != 0 || strcmp(row.uidl, f->uidl) != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	return put_number(a, a->index->uidls, key, key_uidl(key, f->account, f->folder, f->uidl),
			  f->uid);
}

static int mend_uidl_stray(struct repair *r, struct apply *a, const struct fault *f)
{
	unsigned char key[KEY_UIDL_MAX];
	struct message_row row;

	(void)r;
	if (f->uid && index_message(a->index, a->txn, f->account, f->folder, f->uid, &row) == 0 &&
	    strcmp(row.uidl, f->uidl) == 0)
		return 0;
	return apply_drop_row(a, a->index->uidls, key,
			      key_uidl(key, f->account, f->folder, f->uidl));
}

static int mend_name_missing(struct repair *r, struct apply *a, const struct fault *f)
{
	unsigned char key[KEY_NAME_MAX];
	struct folder_row row;
	int rc = index_folder(a->index, a->txn, f->account, f->folder, &row);

	(void)r;
	if (rc != 0 || row.flags & FOLDER_DELETED)
		return rc;
	return put_number(a, a->index->names, key, key_name(key, f->account, row.name), f->folder);
}

static int mend_name_stray(struct repair *r, struct apply *a, const struct fault *f)
{
	unsigned char key[KEY_NAME_MAX];

	(void)r;
	return apply_drop_row(a, a->index->names, key, key_name(key, f->account, f->name));
}

static int mend_change(struct repair *r, struct apply *a, const struct fault *f)
{
	unsigned char key[KEY_CHANGE];

	(void)r;
	key_change(key, f->account, f->folder, f->offset, f->uid);
	return apply_drop_row(a, a->index->changes, key, sizeof(key));
}

static int mend_folder_totals(struct repair *r, struct apply *a, const struct fault *f)
{
	(void)r;
	return repair_folder_totals(a, f);
}

static int mend_account_totals(struct repair *r, struct apply *a, const struct fault *f)
{
	(void)r;
	return repair_account_totals(a, f);
}

static int mend_domain_totals(struct repair *r, struct apply *a, const struct fault *f)
{
	(void)r;
	return repair_domain_totals(a, f);
}

static int mend_segment_totals(struct repair *r, struct apply *a, const struct fault *f)
{
	(void)f;
	return repair_segment_totals(a, r->checker);
}

/* When and by which change the message was expunged, if the history tells. */
static int tell_expunge_of(struct apply *a, struct record *r)
{
	struct change_row row;
	uint64_t change;
	int rc = check_expunge_of(a->index, a->txn, r, &change, &row);

	if (rc == 0) {
		r->expunged_change = change;
		r->expunged_at = row.time;
	}
	return rc;
}

/* The message's own row may be there and damaged: the record takes its place. */
static int make_way(struct apply *a, const struct fault *f, struct record *r)
{
	struct fault row = *f;
	struct message_row known;
	int rc;

	if (r->type != RECORD_MESSAGE)
		return 0;
	row.uid = r->uid;
	row.expunged = false;
	rc = index_message(a->index, a->txn, r->account, r->folder, r->uid, &known);
	if (rc == MDB_NOTFOUND) {
		row.expunged = true;
		rc = index_tombstone(a->index, a->txn, r->account, r->folder, r->uid, &known);
		if (rc == MDB_CORRUPTED && !r->expunged_change && tell_expunge_of(a, r) != 0)
			return MDB_CORRUPTED;
	}
	return rc == MDB_CORRUPTED ? drop_and_count(a, &row) : rc == MDB_NOTFOUND ? 0 : rc;
}

/* What a record says is done to the index by the functions that did it when it was committed. */
static int mend_from_record(struct repair *r, struct apply *a, const struct fault *f)
{
	struct store *st = r->checker->store;
	unsigned char *window = store_alloc(st, SCAN_WINDOW);
	int status, rc = window ? 0 : ENOMEM;
	struct file *file = rc == 0 ? files_get(st, f->segment, true, &status) : NULL;
	const unsigned char *body = NULL;
	struct stat info;
	struct scan s;

	if (rc == 0 && (!file || fstat(file->fd, &info) != 0))
		rc = EIO;
	if (rc == 0) {
		scan_begin(&s, file->fd, (uint64_t)info.st_size, file->seed, f->offset, window);
		if (scan_next(&s) != SCAN_RECORD)
			rc = EIO;
	}
	if (rc == 0 && s.record.type != RECORD_MESSAGE) {
		body = scan_body(&s);
		rc = body ? 0 : EIO;
	}
	if (rc == 0)
		rc = make_way(a, f, &s.record);
	if (rc == 0)
		rc = apply_record(a, &s.record, body, f->segment, f->offset);
	if (file)
		file_release(file);
	store_free(st, window);
	return rc == EINVAL || rc == EEXIST ? 0 : rc;
}

/* ---- transactions ---- */

typedef int mend(struct repair *, struct apply *, const struct fault *);

static int in_transaction(struct repair *r, mend *fn, const struct fault *f)
{
	struct index *ix = &r->checker->store->index;
	int rc = MDB_MAP_FULL;

	for (int tries = 0; tries < GROW_TRIES && rc == MDB_MAP_FULL; tries++) {
		struct apply a;

		rc = apply_begin(&a, ix);
		if (rc != 0)
			return rc;
		rc = fn(r, &a, f);
		if (rc == 0)
			rc = apply_end(&a);
		else
			apply_abort(&a);
		if (rc == MDB_MAP_FULL && index_grow(ix) != 0)
			return rc;
	}
	return rc;
}

/* Through the queue, as a client's: it is a record of the segments. */
static int expunge(struct repair *r, const struct fault *f)
{
	struct uid_range range = {f->uid, 1};
	struct pending p = {.kind = PENDING_EXPUNGE,
			    .account = f->account,
			    .folder = f->folder,
			    .origin = "storage repair"};

	p.expunge.ranges = &range;
	p.expunge.count = 1;
	commit_wait(r->checker->store, &p);
	return p.status;
}

/* ---- which fault is mended how ---- */

static mend *const mends[FAULT_KINDS] = {
    [FAULT_ROW] = mend_damaged_row,
    [FAULT_OTHER_RECORD] = drop_row,
    [FAULT_NO_RECORD] = drop_row,
    [FAULT_SEGMENT_MISSING] = drop_row,
    [FAULT_UNKNOWN] = mend_from_record,
    [FAULT_FLAGS] = mend_from_record,
    [FAULT_EXPUNGED] = mend_from_record,
    [FAULT_FOLDER_TOTALS] = mend_folder_totals,
    [FAULT_ACCOUNT_TOTALS] = mend_account_totals,
    [FAULT_DOMAIN_TOTALS] = mend_domain_totals,
    [FAULT_UIDL_MISSING] = mend_uidl_missing,
    [FAULT_UIDL_STRAY] = mend_uidl_stray,
    [FAULT_NAME_MISSING] = mend_name_missing,
    [FAULT_NAME_STRAY] = mend_name_stray,
    [FAULT_CHANGE] = mend_change,
    [FAULT_SEGMENT_TOTALS] = mend_segment_totals,
};

/* In a folder of which compaction has forgotten something a record without a row is no sign of a
 * lost message: the walk through the segments would not bring it back. */
static bool is_forgetful(struct repair *r, const struct fault *f)
{
	struct index *ix = &r->checker->store->index;
	struct folder_row row;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return true;
	rc = index_folder(ix, txn, f->account, f->folder, &row);
	index_read_end(ix, txn);
	return rc != 0 || row.forgotten > 0;
}

static bool is_damage(enum fault_kind kind)
{
	return kind == FAULT_NO_RECORD || kind == FAULT_SEGMENT_MISSING || kind == FAULT_TEXT;
}

static const char *done(struct repair *r, const struct fault *f, int rc, const char *what)
{
	struct store *st = r->checker->store;
	struct fault_named n;

	if (rc != 0) {
		st->host->log(PSTN_EVENT(st->self, NULL, PSTN_ERROR, "storage-repair-failed",
					 PSTN_S("error", index_error(rc))));
		return "not mended: the log says why";
	}
	r->mended++;
	fault_name(st, f, &n);
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "storage-repaired",
				 PSTN_S("what", n.what), PSTN_S("result", what),
				 PSTN_S("account", n.account), PSTN_S("folder", n.folder),
				 PSTN_U("uid", f->uid), PSTN_S("uidl", f->uidl),
				 PSTN_S("segment", n.segment), PSTN_U("offset", f->offset)));
	return what;
}

static const char *row_is_left(struct repair *r)
{
	if (r->checker->only || !r->checker->texts)
		return WALK_MENDS;
	r->left++;
	return r->last_round ? "not mended: no record of the message was found; --drop-damaged "
			       "removes the row"
			     : "its record is looked for in the segments";
}

const char *repair_fault(struct repair *r, const struct fault *f)
{
	bool damage = is_damage(f->kind);
	mend *fn = mends[f->kind];
	int rc;

	if (damage && !r->drop_damaged)
		return "stays: clients are told that it is damaged; --drop-damaged removes it";
	if (!fn && f->kind != FAULT_TEXT)
		return "not mended";
	/* What a row was is told by the segments alone. */
	if (fn == drop_row && (r->checker->only || !r->checker->texts))
		return WALK_MENDS;
	if (fn == drop_row && !damage && is_forgetful(r, f))
		return "not mended: storage rebuild-index does it, from the segments alone";
	if (f->kind == FAULT_TEXT && f->expunged)
		return "not mended: it was expunged before";
	if (r->dry_run)
		return damage ? "would be removed" : "would be mended";
	if (f->kind == FAULT_TEXT)
		return done(r, f, expunge(r, f) == PSTN_OK ? 0 : EIO, "expunged");
	rc = in_transaction(r, fn, f);
	if (rc == MDB_CORRUPTED && f->kind == FAULT_ROW)
		return row_is_left(r);
	return done(r, f, rc, damage ? "removed: it is lost" : "mended");
}

void repair_end(struct repair *r)
{
	struct store *st = r->checker->store;

	if (r->mended)
		(void)checkpoint_take(&st->checkpoint, &st->index);
}
