/*
 * apply_flags.c - what records of changed flags do to the index.
 */
#include "apply_parts.h"
#include "format/bytes.h"

#include <postern/maildrop.h>

#include <string.h>

static int tell_flags(struct apply *a, const struct record *r, const struct flag_entry *e)
{
	struct change_row change = {.kind = CHANGE_FLAGS,
				    .count = 1,
				    .time = r->time,
				    .before = e->before,
				    .after = e->flags,
				    .keywords_before = e->keywords_before};

	memcpy(change.origin, r->origin, sizeof(change.origin));
	return apply_put_change(a, r->account, r->folder, r->change, e->uid, &change);
}

/* Compaction may write a change of flags again behind the expunge of its message. */
static int set_flags_of_expunged(struct apply *a, const struct record *r,
				 const struct flag_entry *e)
{
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
	int rc = index_tombstone(a->index, a->txn, r->account, r->folder, e->uid, &row);

	if (rc != 0 || row.change >= r->change)
		return rc == MDB_NOTFOUND ? 0 : rc;
	row.flags = e->flags;
	row.keywords = e->keywords;
	row.change = r->change;
	key_message(key, r->account, r->folder, e->uid);
	return apply_put_message(a, a->index->tombstones, key, &row);
}

static int set_flags(struct apply *a, const struct record *r, const struct flag_entry *e)
{
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
	int rc = apply_look_up(a, r->account, r->folder, e->uid, &row);

	if (rc == MDB_NOTFOUND && a->replay) {
		rc = set_flags_of_expunged(a, r, e);
		return rc == 0 ? tell_flags(a, r, e) : rc;
	}
	if (rc == MDB_NOTFOUND || (rc == 0 && row.change >= r->change))
		return a->replay ? tell_flags(a, r, e) : 0;
	if (rc != 0)
		return rc == MDB_CORRUPTED ? 0 : rc;
	a->folder.unseen += !(e->flags & PSTN_SEEN);
	apply_count(&a->folder.unseen, -!(row.flags & PSTN_SEEN));
	row.flags = e->flags;
	row.keywords = e->keywords;
	row.change = r->change;
	key_message(key, r->account, r->folder, e->uid);
	rc = apply_put_message(a, a->index->messages, key, &row);
	return rc == 0 ? tell_flags(a, r, e) : rc;
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
