/*
 * evacuate_record.c - a record of a segment that is emptied: what is needed of it?
 */
#include "evacuate_parts.h"

#include "format/bytes.h"
#include "needed.h"
#include "store.h"

#include <errno.h>
#include <string.h>

static struct move *add_move(struct evacuation *e)
{
	struct move *m = &e->moves[e->count++];

	*m = (struct move){.record = e->scan.record, .offset = e->scan.at};
	return m;
}

static bool touch(struct evacuation *e)
{
	const struct record *r = &e->scan.record;

	return touched_add(&e->touched, e->store, r->account, r->folder) == 0
		   ? true
		   : evacuation_block(e, BLOCKED_NO_MEMORY);
}

static bool find_message(struct evacuation *e, enum needed_as *as, struct message_row *row)
{
	MDB_txn *txn;
	int rc = index_read(&e->store->index, &txn);

	if (rc != 0)
		return evacuation_block(e, BLOCKED_INDEX_FAILED);
	row->segment = 0;
	rc =
	    needed_message(&e->store->index, txn, &e->scan.record, e->segment, e->scan.at, as, row);
	index_read_end(&e->store->index, txn);
	return rc == 0 ? true : evacuation_block(e, BLOCKED_INDEX_FAILED);
}

static bool count_needed(struct evacuation *e, enum needed_as as)
{
	uint64_t length = record_length(&e->scan.record);

	e->needed += length;
	if (as == NEEDED_LIVE)
		e->live += length;
	/* What it says is no matter here, but whether it can be read. */
	scan_verify(&e->scan);
	return e->scan.failed ? evacuation_block(e, BLOCKED_CANNOT_READ) : true;
}

static bool consider_message(struct evacuation *e)
{
	struct message_row row;
	enum needed_as as;
	bool expired;

	if (!find_message(e, &as, &row))
		return false;
	expired =
	    as == NEEDED_EXPUNGED && row.expunged_at < snapshots_expired(e->store, e->retention);
	if (as == NEEDED_NOT)
		return row.segment ? true : touch(e);
	if (!e->moving)
		return expired ? touch(e) : count_needed(e, as);
	if (expired) {
		add_move(e);
		return touch(e);
	}
	e->body_octets += record_length(&e->scan.record);
	return evacuation_load(e, add_move(e));
}

/* The body of an expunge or of flags; NULL: blocked. */
static const unsigned char *change_body(struct evacuation *e, size_t entry)
{
	const struct record *r = &e->scan.record;
	const unsigned char *body = NULL;

	if (scan_verify(&e->scan) && r->body_length == (uint64_t)r->count * entry)
		body = scan_body(&e->scan);
	if (!body)
		evacuation_block(e, e->scan.failed ? BLOCKED_CANNOT_READ : BLOCKED_DAMAGED_RECORD);
	return body;
}

static int ask_ranges(const struct needed *look, const struct record *r, const unsigned char *body,
		      void *out, uint32_t *n, bool *whole)
{
	struct uid_range *ranges = out, *before;
	size_t size = *n * sizeof(*ranges);
	int rc;

	before = store_alloc(look->store, size + 1);
	if (!before)
		return ENOMEM;
	if (!body_get_ranges(body, *n, ranges)) {
		store_free(look->store, before);
		return EINVAL;
	}
	memcpy(before, ranges, size);
	rc = needed_ranges(look, r, ranges, n);
	*whole = *n == r->count && memcmp(before, ranges, size) == 0;
	store_free(look->store, before);
	return rc;
}

static int ask_flags(const struct needed *look, const struct record *r, const unsigned char *body,
		     void *out, uint32_t *n, bool *whole)
{
	int rc;

	body_get_flags(body, *n, out);
	rc = needed_flags(look, r, out, n);
	*whole = *n == r->count;
	return rc;
}

struct change_kind_of {
	size_t entry, memory; /* octets of an entry on disk and in memory */
	int (*ask)(const struct needed *, const struct record *, const unsigned char *body,
		   void *out, uint32_t *n, bool *whole);
};

static const struct change_kind_of expunges = {BODY_RANGE, sizeof(struct uid_range), ask_ranges};
static const struct change_kind_of flag_changes = {BODY_FLAG, sizeof(struct flag_entry), ask_flags};

static bool ask_change(struct evacuation *e, const struct change_kind_of *kind, struct move *m)
{
	struct needed look = {.index = &e->store->index, .leaving = e->segment, .store = e->store};
	const unsigned char *body = change_body(e, kind->entry);
	int rc;

	if (!body)
		return false;
	m->body = store_alloc(e->store, m->record.count * kind->memory + 1);
	if (!m->body)
		return evacuation_block(e, BLOCKED_NO_MEMORY);
	rc = index_read(&e->store->index, &look.txn);
	if (rc != 0)
		return evacuation_block(e, BLOCKED_INDEX_FAILED);
	rc = kind->ask(&look, &e->scan.record, body, m->body, &m->record.count, &m->whole);
	index_read_end(&e->store->index, look.txn);
	if (rc == 0)
		return true;
	return evacuation_block(e, rc == EINVAL   ? BLOCKED_DAMAGED_RECORD
				   : rc == ENOMEM ? BLOCKED_NO_MEMORY
						  : BLOCKED_INDEX_FAILED);
}

static bool consider_change(struct evacuation *e, const struct change_kind_of *kind)
{
	struct move *m = add_move(e);

	if (!ask_change(e, kind, m))
		return false;
	if (!e->moving && m->record.count)
		e->needed += RECORD_CHANGE_HEAD + ALIGN8((uint64_t)m->record.count * kind->entry);
	if (!m->whole && !touch(e))
		return false;
	if (!e->moving)
		evacuation_drop_moves(e);
	return true;
}

/* What an account or a folder is called, and that an account is gone. */
static bool consider_name(struct evacuation *e)
{
	const struct record *r = &e->scan.record;
	struct account_row row;
	MDB_txn *txn;
	int rc;

	if (r->type == RECORD_ACCOUNT_REMOVED && r->account < SCRATCH_FIRST) {
		rc = index_read(&e->store->index, &txn);
		if (rc != 0)
			return evacuation_block(e, BLOCKED_INDEX_FAILED);
		rc = index_account(&e->store->index, txn, r->account, &row);
		index_read_end(&e->store->index, txn);
		/* Told again now it would remove what came after. */
		if (rc != MDB_NOTFOUND)
			return evacuation_block(
			    e, "it says that an account was removed which is there again");
	}
	if (e->moving)
		add_move(e);
	else if (r->account < SCRATCH_FIRST)
		e->needed += record_length(r);
	return true;
}

bool evacuation_consider(struct evacuation *e)
{
	const struct record *r = &e->scan.record;

	if (r->flags & RECORD_SKIPPABLE)
		return evacuation_block(e, BLOCKED_UNKNOWN_RECORD);
	switch (r->type) {
	case RECORD_MESSAGE:
		return consider_message(e);
	case RECORD_EXPUNGE:
		return consider_change(e, &expunges);
	case RECORD_FLAGS:
		return consider_change(e, &flag_changes);
	case RECORD_FOLDER:
		return touch(e);
	case RECORD_KEYWORD:
	case RECORD_ACCOUNT:
	case RECORD_ACCOUNT_REMOVED:
		return consider_name(e);
	case RECORD_STATE:
		return true;
	default:
		return evacuation_block(e, BLOCKED_UNKNOWN_RECORD);
	}
}
