/*
 * restore_exact.c - what makes a folder exactly what it was, once all that was there is there
 * again: later messages are expunged, which can be undone like any other, and flags set back.
 *
 * A message that was brought back came later too, but its unique id was there at the moment.
 */
#include "restore.h"

#include "store.h"

#include <string.h>

#define ALL_FLAGS UINT32_MAX
#define RANGE_MAX 256 /* removed in one go: 64 of these, so that others get their turn */

static struct pending change_of(struct restore *s, enum pending_kind kind)
{
	struct pending p = {
	    .kind = kind, .account = s->recall.account.id, .folder = s->recall.folder->id};

	memcpy(p.origin, s->recall.origin, sizeof(p.origin));
	return p;
}

static void commit(struct restore *s, struct pending *p)
{
	commit_wait(s->recall.store, p);
	if (p->status != PSTN_OK && s->recall.status == PSTN_OK)
		s->recall.status = p->status;
}

/* ---- flags ---- */

static void flush_flags(struct restore *s)
{
	struct pending p = change_of(s, PENDING_FLAGS);

	if (s->nflags && !s->recall.dry_run) {
		p.flags.changes = s->flags;
		p.flags.count = p.flags.room = s->nflags;
		commit(s, &p);
	}
	s->recall.folder->reset += s->nflags;
	s->nflags = 0;
}

static void set_flags(struct restore *s, uint32_t uid, uint32_t flags)
{
	s->flags[s->nflags++] =
	    (struct flag_change){.uid = uid, .add = flags, .remove = ALL_FLAGS & ~flags};
	if (s->nflags == RESTORE_CHANGES)
		flush_flags(s);
}

/* ---- what came later ---- */

static void flush_ranges(struct restore *s)
{
	struct pending p = change_of(s, PENDING_EXPUNGE);

	if (s->nranges && !s->recall.dry_run) {
		p.expunge.ranges = s->ranges;
		p.expunge.count = s->nranges;
		commit(s, &p);
	}
	for (uint32_t i = 0; i < s->nranges; i++)
		s->recall.folder->removed += s->ranges[i].count;
	s->nranges = 0;
}

static void remove_message(struct restore *s, uint32_t uid)
{
	struct uid_range *last = s->nranges ? &s->ranges[s->nranges - 1] : NULL;

	if (last && last->first + last->count == uid && last->count < RANGE_MAX) {
		last->count++;
		return;
	}
	if (s->nranges == RESTORE_CHANGES)
		flush_ranges(s);
	s->ranges[s->nranges++] = (struct uid_range){uid, 1};
}

/* ---- one message that is there ---- */

/* The tombstone of which it is a copy, with its flags at the moment; *uid 0: it is none. */
static int find_original(struct restore *s, const char *uidl, uint32_t *uid, uint32_t *flags)
{
	struct recall *r = &s->recall;
	struct index *ix = &r->store->index;
	struct message_row row;
	uint64_t keywords;
	MDB_txn *txn;
	int rc = burials_find(&s->held, uidl, uid);

	if (rc != 0 || *uid == 0)
		return rc;
	rc = index_read(ix, &txn);
	if (rc != 0)
		return rc;
	rc = index_tombstone(ix, txn, r->account.id, r->folder->id, *uid, &row);
	index_read_end(ix, txn);
	if (rc == 0)
		past_flags_of(&s->past, *uid, &row, flags, &keywords);
	else if (rc == MDB_NOTFOUND)
		*uid = 0;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int set_back(struct restore *s, uint32_t uid, const struct message_row *row)
{
	uint32_t flags, original;
	uint64_t keywords;
	int rc = 0;

	if (past_held(&s->past, row)) {
		past_flags_of(&s->past, uid, row, &flags, &keywords);
	} else {
		rc = find_original(s, row->uidl, &original, &flags);
		if (rc == 0 && original == 0)
			remove_message(s, uid);
		if (rc != 0 || original == 0)
			return rc;
	}
	if (flags != row->flags)
		set_flags(s, uid, flags);
	return 0;
}

/* ---- one folder ---- */

static int note_held(struct restore *s)
{
	struct recall *r = &s->recall;
	const struct message_row *row;
	struct past then = {.moment = s->moment};
	uint32_t uid;
	int rc;

	folder_rows_begin(&s->dead, r->store, r->store->index.tombstones, r->account.id,
			  r->folder->id, 1);
	while ((row = folder_rows_peek(&s->dead, &uid, &rc))) {
		if (!folder_rows_damaged(&s->dead) && past_held(&then, row))
			rc = burials_add(&s->held, row->uidl, uid);
		if (rc != 0)
			break;
		folder_rows_skip(&s->dead);
	}
	return rc;
}

int restore_exact_begin(struct restore *s)
{
	struct recall *r = &s->recall;
	struct folder_row row;
	MDB_txn *txn;
	int rc = index_read(&r->store->index, &txn);

	burials_begin(&s->held, r->store, r->account.id, r->folder->id);
	if (rc != 0)
		return index_status(rc);
	rc = index_folder(&r->store->index, txn, r->account.id, r->folder->id, &row);
	index_read_end(&r->store->index, txn);
	s->uidnext = row.uidnext;
	r->total += row.messages;
	return index_status(rc == 0 ? note_held(s) : rc);
}

void restore_exact(struct restore *s)
{
	struct recall *r = &s->recall;
	const struct message_row *row;
	uint32_t uid;
	int rc;

	s->nflags = s->nranges = 0;
	folder_rows_begin(&s->live, r->store, r->store->index.messages, r->account.id,
			  r->folder->id, 1);
	while ((row = folder_rows_peek(&s->live, &uid, &rc)) && uid < s->uidnext) {
		rc = folder_rows_damaged(&s->live) ? 0 : set_back(s, uid, row);
		if (rc != 0 || !recall_step(r))
			break;
		folder_rows_skip(&s->live);
	}
	if (rc != 0)
		r->status = index_status(rc);
	if (r->status != PSTN_OK)
		return;
	flush_flags(s);
	flush_ranges(s);
}

void restore_exact_end(struct restore *s)
{
	burials_free(&s->held);
}
