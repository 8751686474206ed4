/*
 * recall.c - a message of a mailbox is brought back, through the same path as any delivery.
 */
#include "recall.h"

#include "segment/fetch.h"
#include "store.h"

#include <string.h>

#define MOVES_MAX 3 /* how often a message is looked for where compaction has put it */

/* ---- beginning and end ---- */

static void settled(void *arg, const struct pending *p, uint64_t uid)
{
	struct recall *r = arg;

	(void)uid;
	if (p->status == PSTN_OK) {
		r->folder->restored++;
		r->folder->octets += p->deliver.record.octets;
		r->folder->keywords_lost += (uint64_t)__builtin_popcountll(p->deliver.no_bit);
	} else if (p->status == PSTN_E_EXISTS) {
		r->folder->kept++;
	} else if (r->status == PSTN_OK) {
		r->status = p->status;
	}
}

bool recall_begin(struct recall *r, struct store *st, struct pstn_call *c, const char *what)
{
	*r = (struct recall){.store = st, .call = c, .what = what};
	r->bundle = (struct bundle){.store = st, .settled = settled, .arg = r};
	r->dry_run = st->host->call->arg(c, "dry-run") != NULL;
	command_origin(st, c, what, r->origin);
	if (!command_account(st, c, &r->account))
		return false;
	r->target = r->account;
	command_over_quota(st, c, &r->target);
	return true;
}

void recall_end(struct recall *r)
{
	uidl_set_free(&r->there);
	store_free(r->store, r->folders);
	r->folders = NULL;
}

static int read_keywords(struct recall *r, uint32_t folder)
{
	struct index *ix = &r->store->index;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = keywords_read(ix, txn, r->account.id, folder, &r->keywords);
	index_read_end(ix, txn);
	return index_status(rc);
}

void recall_begin_folder(struct recall *r, struct recall_folder *f)
{
	r->folder = f;
	uidl_set_free(&r->there);
	r->status = uidl_set_fill(&r->there, r->store, r->target.id, f->name);
	if (r->status == PSTN_OK)
		r->status = read_keywords(r, f->id);
}

void recall_end_folder(struct recall *r)
{
	bundle_commit(&r->bundle);
	r->store->host->call->progress(r->call, r->done, r->total, "messages");
}

bool recall_step(struct recall *r)
{
	const struct pstn_call_ops *call = r->store->host->call;

	r->done++;
	if (r->done % BUNDLE_MAX == 0) {
		call->progress(r->call, r->done, r->total, "messages");
		if (r->status == PSTN_OK && call->cancelled(r->call))
			r->status = PSTN_E_CANCELLED;
	}
	return r->status == PSTN_OK;
}

/* ---- one message ---- */

void recall_lose(struct recall *r, uint32_t uid, const struct message_row *row, int status)
{
	struct recall_lost *l = &r->lost[r->nlost];

	r->folder->lost++;
	if (r->nlost == RECALL_LOST_MAX)
		return;
	l->folder = r->folder;
	l->uid = uid;
	l->status = status;
	memcpy(l->uidl, row->uidl, sizeof(l->uidl));
	r->nlost++;
}

static int take_piece(void *arg, const char *bytes, size_t n)
{
	struct recall *r = arg;

	int status = r->store->host->call->cancelled(r->call)
			 ? PSTN_E_CANCELLED
			 : delivery_write(r->current, bytes, n);

	r->taken = status == PSTN_OK;
	return status;
}

static void drop_current(struct recall *r)
{
	if (r->current)
		delivery_free(r->current);
	r->current = NULL;
}

static int copy_text(struct recall *r, uint32_t uid, const struct message_row *row)
{
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &r->target,
					  .folder = r->folder->name,
					  .expected = row->octets,
					  .received = row->received,
					  .uidl = row->uidl};
	struct fetch_key key = {r->account.id, r->folder->id, uid};
	int status = delivery_begin(r->store, &q, NULL, &r->current);

	r->taken = status == PSTN_OK;
	if (status == PSTN_OK)
		status = fetch_text(r->store, &key, row, take_piece, r);
	return status;
}

/* Where the message is by now; PSTN_E_DAMAGED: where it was. */
static int find_again(struct recall *r, uint32_t uid, struct message_row *row)
{
	struct index *ix = &r->store->index;
	struct message_row now;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = index_tombstone(ix, txn, r->account.id, r->folder->id, uid, &now);
	if (rc == MDB_NOTFOUND)
		rc = index_message(ix, txn, r->account.id, r->folder->id, uid, &now);
	index_read_end(ix, txn);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? PSTN_E_GONE : index_status(rc);
	if (now.segment == row->segment && now.offset == row->offset)
		return PSTN_E_DAMAGED;
	*row = now;
	return PSTN_OK;
}

static int copy(struct recall *r, uint32_t uid, const struct message_row *known)
{
	struct message_row row = *known;
	int status = copy_text(r, uid, &row);

	for (int moves = 0; status == PSTN_E_DAMAGED && moves < MOVES_MAX; moves++) {
		drop_current(r);
		status = find_again(r, uid, &row);
		if (status != PSTN_OK)
			break;
		status = copy_text(r, uid, &row);
	}
	return status;
}

static void add_to_bundle(struct recall *r, struct pending *p, uint32_t uid, uint32_t flags)
{
	bool full;

	p->deliver.known_free = true;
	p->deliver.record.message_flags = flags;
	memcpy(p->origin, r->origin, sizeof(p->origin));
	full = bundle_add(&r->bundle, r->current, p, uid);
	r->current = NULL;
	if (full)
		bundle_commit(&r->bundle);
}

/* It stops only when so many cannot be read that the disk is gone. */
static void leave_unreadable(struct recall *r, uint32_t uid, const struct message_row *row)
{
	recall_lose(r, uid, row, PSTN_E_TEMPORARY);
	if (r->unreadable++ < 5)
		r->store->host->call->note(
		    r->call, "The message %s of %s is left out: the disk does not give it (%s).",
		    row->uidl, r->folder->name, command_reason(PSTN_E_TEMPORARY));
	if (++r->unreadable_in_row == COMMAND_UNREADABLE_MAX)
		r->status = PSTN_E_TEMPORARY;
}

static void bring(struct recall *r, uint32_t uid, const struct message_row *row, uint32_t flags,
		  uint64_t keywords)
{
	struct pending *p = NULL;
	int status = copy(r, uid, row);

	if (status == PSTN_E_TEMPORARY && r->taken) {
		drop_current(r);
		leave_unreadable(r, uid, row);
		return;
	}
	keywords_list(&r->keywords, keywords, &r->names);
	if (status == PSTN_OK)
		status = delivery_keywords(r->current, r->names.text);
	if (status == PSTN_OK)
		p = delivery_seal(r->current, &status);
	if (status != PSTN_E_GONE)
		r->unreadable_in_row = 0;
	if (p) {
		add_to_bundle(r, p, uid, flags);
		return;
	}
	drop_current(r);
	if (status == PSTN_E_GONE)
		r->folder->expired++;
	else if (status == PSTN_E_DAMAGED || status == PSTN_E_TOO_LARGE)
		recall_lose(r, uid, row, status);
	else
		r->status = status;
}

bool recall_message(struct recall *r, uint32_t uid, const struct message_row *row, uint32_t flags,
		    uint64_t keywords)
{
	bool held = false;
	int status = uidl_set_holds(&r->there, row->uidl, &held);

	if (status != PSTN_OK) {
		r->status = status;
	} else if (held) {
		r->folder->kept++;
	} else if (r->dry_run) {
		r->folder->restored++;
		r->folder->octets += row->octets;
	} else {
		bring(r, uid, row, flags, keywords);
	}
	return r->status == PSTN_OK;
}
