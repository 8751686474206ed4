/*
 * prepare.c - a change that waits becomes a record and is applied to the index.
 */
#include "prepare.h"

#include "compact/move.h"
#include "format/bytes.h"
#include "index/mend.h"
#include "segment/segment.h"

#include <postern/maildrop.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RANGES_AT_ONCE ((uint32_t)(RECORD_SMALL_MAX / BODY_RANGE))

/* ---- accounts and folders where they are first used ---- */

static int name_account(struct apply *a, struct batch *b, uint64_t account, const char *name)
{
	struct account_row *row;
	struct record r = {.type = RECORD_ACCOUNT, .account = account};
	uint64_t offset;
	char *body;
	int rc = apply_owner(a, account, &row);

	if (rc != 0 || strcmp(row->name, name) == 0)
		return rc;
	r.body_length = strlen(name);
	body = batch_alloc(b, r.body_length + 1);
	if (!body)
		return ENOMEM;
	memcpy(body, name, r.body_length);
	rc = batch_add(b, &r, body, NULL, &offset);
	return rc == 0 ? apply_account(a, account, name) : rc;
}

static int make_folder(struct apply *a, struct batch *b, uint64_t account, const char *name,
		       uint32_t *folder)
{
	struct account_row *owner;
	struct folder_row row = {.uidnext = 1};
	struct record r = {.type = RECORD_FOLDER, .account = account, .change = 1};
	uint32_t now = (uint32_t)(b->time / 1000);
	uint64_t offset;
	unsigned char *body = batch_alloc(b, BODY_FOLDER_MAX);
	int rc = body ? apply_owner(a, account, &owner) : ENOMEM;

	if (rc != 0)
		return rc;
	if (*folder != FOLDER_INBOX)
		*folder = owner->next_folder;
	r.folder = *folder;
	r.uid = row.uidnext;
	row.uidvalidity = now > owner->last_uidvalidity ? now : owner->last_uidvalidity + 1;
	snprintf(row.name, sizeof(row.name), "%s", *folder == FOLDER_INBOX ? "INBOX" : name);
	r.body_length = body_put_folder(&row, body);
	rc = batch_add(b, &r, body, NULL, &offset);
	return rc == 0 ? apply_folder_state(a, &r, &row) : rc;
}

/* MDB_NOTFOUND: there is none of that name yet. */
static int find_folder(struct apply *a, const struct pending *p, uint32_t *folder,
		       struct folder_row **row)
{
	int rc;

	*folder = 0;
	rc = index_folder_id(a->index, a->txn, p->account, p->deliver.folder_name, folder);
	return rc == 0 ? apply_folder(a, p->account, *folder, row) : rc;
}

/* ---- deliveries ---- */

/* What makes a delivery impossible. f NULL: there is no such folder yet. */
static int judge(struct apply *a, struct pending *p, uint32_t folder, const struct folder_row *f)
{
	int rc = 0;

	if (f && f->uidnext == UINT32_MAX)
		p->status = PSTN_E_FULL;
	else
		rc = prepare_uidl(a, p, f ? folder : 0);
	if (rc != 0 || p->status != PSTN_OK)
		return rc;
	return quota_judge(a, p->account, &p->quota, 1, p->deliver.record.octets, &p->status);
}

/* The folder for a delivery that is possible; with another p->status nothing is made. */
static int admit(struct apply *a, struct batch *b, struct pending *p, uint32_t *folder,
		 struct folder_row **f)
{
	int rc = name_account(a, b, p->account, p->deliver.account_name);
	bool missing;

	if (rc == 0)
		rc = find_folder(a, p, folder, f);
	missing = rc == MDB_NOTFOUND;
	if (rc == 0 || missing)
		rc = judge(a, p, *folder, missing ? NULL : *f);
	if (rc != 0 || p->status != PSTN_OK || !missing)
		return rc;
	rc = make_folder(a, b, p->account, p->deliver.folder_name, folder);
	return rc == 0 ? apply_folder(a, p->account, *folder, f) : rc;
}

static int place(struct apply *a, struct batch *b, uint32_t log, struct pending *p)
{
	struct record *r = &p->deliver.record;
	uint64_t offset = SEGMENT_HEAD;
	int rc = 0;

	if (p->deliver.large) {
		r->head_length = record_head_length(r);
		batch_stamp(b, r, SEGMENT_HEAD);
		p->deliver.large->end = SEGMENT_HEAD + record_length(r);
		log = p->deliver.large->id;
	} else {
		rc = batch_add(b, r, p->deliver.body, p->deliver.dots, &offset);
	}
	return rc == 0 ? apply_message(a, r, log, offset) : rc;
}

static int prepare_delivery(struct apply *a, struct batch *b, uint32_t log, struct pending *p)
{
	struct record *r = &p->deliver.record;
	struct folder_row *f;
	uint32_t folder;
	int rc;

	if (prepare_imported(a, p, &rc)) {
		p->status = PSTN_E_EXISTS;
		return 0;
	}
	if (rc == 0)
		rc = admit(a, b, p, &folder, &f);
	if (rc != 0 || p->status != PSTN_OK)
		return rc;
	r->type = RECORD_MESSAGE;
	r->account = p->account;
	r->folder = folder;
	rc = prepare_keywords(a, b, p);
	if (rc != 0)
		return rc;
	r->uid = f->uidnext;
	r->change = f->change + 1;
	r->stored = b->time;
	r->flags = p->deliver.named ? RECORD_NAMED : 0;
	memcpy(r->origin, p->origin, sizeof(r->origin));
	if (!p->deliver.named)
		uidl_format(r->uidl, a->index->tag, ++a->state.serial);
	return place(a, b, log, p);
}

static int prepare_folder(struct apply *a, struct batch *b, struct pending *p)
{
	struct folder_row *f;
	uint32_t folder;
	int rc = name_account(a, b, p->account, p->deliver.account_name);

	if (rc == 0)
		rc = find_folder(a, p, &folder, &f);
	if (rc == MDB_NOTFOUND)
		rc = make_folder(a, b, p->account, p->deliver.folder_name, &folder);
	return rc;
}

/* ---- expunges ---- */

static int expunge_some(struct apply *a, struct batch *b, const struct pending *p,
			const struct uid_range *ranges, uint32_t n)
{
	struct record r = {.type = RECORD_EXPUNGE, .account = p->account, .folder = p->folder};
	struct folder_row *f;
	uint64_t before, offset;
	unsigned char *body;
	int rc = apply_folder(a, p->account, p->folder, &f);

	if (rc != 0)
		return rc;
	r.count = n;
	r.change = f->change + 1;
	r.time = b->time;
	memcpy(r.origin, p->origin, sizeof(r.origin));
	before = f->messages;
	rc = apply_expunge(a, &r, ranges, n);
	if (rc != 0 || f->messages == before)
		return rc;
	body = batch_alloc(b, (size_t)n * BODY_RANGE);
	if (!body)
		return ENOMEM;
	r.body_length = body_put_ranges(ranges, n, body);
	return batch_add(b, &r, body, NULL, &offset);
}

/* Of a range the parts whose rows can be read. */
static int sift_range(struct apply *a, const struct pending *p, struct uid_range range,
		      struct batch *b)
{
	struct uid_range part = {.first = range.first};
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < range.count; i++) {
		struct message_row row;
		uint32_t uid = range.first + i;

		if (mend_row(a, false, p->account, p->folder, uid, &row) != MDB_CORRUPTED) {
			part.count++;
			continue;
		}
		if (part.count)
			rc = expunge_some(a, b, p, &part, 1);
		part = (struct uid_range){.first = uid + 1};
	}
	return rc == 0 && part.count ? expunge_some(a, b, p, &part, 1) : rc;
}

static int sift(struct apply *a, struct batch *b, const struct pending *p)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < p->expunge.count; i++)
		rc = sift_range(a, p, p->expunge.ranges[i], b);
	return rc;
}

static int prepare_expunge(struct apply *a, struct batch *b, struct pending *p)
{
	const struct uid_range *ranges = p->expunge.ranges;
	uint32_t left = p->expunge.sift ? 0 : p->expunge.count;
	int rc = p->expunge.sift ? sift(a, b, p) : 0;

	while (rc == 0 && left > 0) {
		uint32_t n = left < RANGES_AT_ONCE ? left : RANGES_AT_ONCE;

		rc = expunge_some(a, b, p, ranges, n);
		ranges += n;
		left -= n;
	}
	/* No folder: nobody ever delivered there, and nothing is to be removed. */
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- flags ---- */

/* What an earlier change of the same group has made of it. */
static struct flag_entry *collected(struct flag_entry *entries, uint32_t n, uint32_t uid)
{
	for (uint32_t i = 0; i < n; i++) {
		if (entries[i].uid == uid)
			return &entries[i];
	}
	return NULL;
}

static int collect_flags(struct apply *a, const struct pending *p, struct flag_entry *entries,
			 uint32_t *n)
{
	*n = 0;
	for (uint32_t i = 0; i < p->flags.count; i++) {
		const struct flag_change *f = &p->flags.changes[i];
		struct flag_entry *before = collected(entries, *n, f->uid);
		struct message_row row;
		uint32_t flags;
		int rc;

		if (before) {
			before->flags = (before->flags | f->add) & ~f->remove;
			continue;
		}
		rc = index_message(a->index, a->txn, p->account, p->folder, f->uid, &row);
		if (rc == MDB_CORRUPTED)
			rc = mend_row(a, false, p->account, p->folder, f->uid, &row);
		if (rc == MDB_NOTFOUND || rc == MDB_CORRUPTED)
			continue;
		if (rc != 0)
			return rc;
		flags = (row.flags | f->add) & ~f->remove;
		if (flags != row.flags)
			entries[(*n)++] = (struct flag_entry){.uid = f->uid,
							      .flags = flags,
							      .before = row.flags,
							      .keywords = row.keywords,
							      .keywords_before = row.keywords};
	}
	return 0;
}

static int prepare_flags(struct apply *a, struct batch *b, struct pending *p)
{
	struct record r = {.type = RECORD_FLAGS, .account = p->account, .folder = p->folder};
	struct flag_entry *entries = batch_alloc(b, p->flags.count * sizeof(*entries));
	unsigned char *body = batch_alloc(b, (size_t)p->flags.count * BODY_FLAG);
	struct folder_row *f;
	uint64_t offset;
	int rc = entries && body ? apply_folder(a, p->account, p->folder, &f) : ENOMEM;

	if (rc == 0)
		rc = collect_flags(a, p, entries, &r.count);
	if (rc != 0 || r.count == 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	r.change = f->change + 1;
	r.time = p->flags.time ? p->flags.time : b->time;
	memcpy(r.origin, p->origin, sizeof(r.origin));
	r.body_length = body_put_flags(entries, r.count, body);
	rc = batch_add(b, &r, body, NULL, &offset);
	return rc == 0 ? apply_flags(a, &r, entries, r.count) : rc;
}

/* ---- accounts that go ---- */

static int prepare_forget(struct apply *a, struct batch *b, const struct pending *p)
{
	struct record r = {.type = RECORD_ACCOUNT_REMOVED, .account = p->account};
	uint64_t offset;
	int rc = batch_add(b, &r, NULL, NULL, &offset);

	return rc == 0 ? apply_account_removed(a, p->account) : rc;
}

int prepare(struct apply *a, struct batch *b, uint32_t log, struct pending *p)
{
	switch (p->kind) {
	case PENDING_DELIVER:
		return prepare_delivery(a, b, log, p);
	case PENDING_FOLDER:
		return prepare_folder(a, b, p);
	case PENDING_EXPUNGE:
		return prepare_expunge(a, b, p);
	case PENDING_FLAGS:
		return prepare_flags(a, b, p);
	case PENDING_FORGET:
		return prepare_forget(a, b, p);
	case PENDING_MOVE:
		return prepare_move(a, b, log, p);
	case PENDING_SEGMENT:
		return prepare_segments(a, b, log, p);
	}
	return EINVAL;
}
