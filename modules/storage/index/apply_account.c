/*
 * apply_account.c - what records about folders, keywords and accounts do to the index.
 */
#include "apply_parts.h"
#include "format/bytes.h"

#include <stdio.h>
#include <string.h>

/* ---- accounts and folders ---- */

/* What an account holds counts for the domain that its name ends in. */
static int count_for_domain(struct apply *a, const struct account_row *row, int sign)
{
	struct domain_row *domain;
	int rc = apply_domain(a, row->name, &domain);

	if (rc == 0 && domain) {
		apply_count(&domain->messages, sign * (int64_t)row->messages);
		apply_count(&domain->octets, sign * (int64_t)row->octets);
	}
	return rc;
}

int apply_account(struct apply *a, uint64_t account, const char *name)
{
	struct account_row *row;
	int rc = apply_owner(a, account, &row);

	if (rc == 0)
		rc = count_for_domain(a, row, -1);
	if (rc != 0)
		return rc;
	snprintf(row->name, sizeof(row->name), "%s", name);
	return count_for_domain(a, row, 1);
}

static int put_name(struct apply *a, uint64_t account, const char *name, uint32_t folder)
{
	unsigned char key[KEY_NAME_MAX], bytes[4];

	put32(bytes, folder);
	return apply_put_row(a, a->index->names, key, key_name(key, account, name), bytes, 4);
}

/* Unless another folder has the name by now: what a deleted folder was called may be told after the
 * folder that took its name, when the record was written again. */
static int drop_name(struct apply *a, uint64_t account, const char *name, uint32_t folder)
{
	unsigned char key[KEY_NAME_MAX];
	size_t n = key_name(key, account, name);
	MDB_val k = {.mv_size = n, .mv_data = key}, v;
	int rc = mdb_get(a->txn, a->index->names, &k, &v);

	if (rc == 0 && v.mv_size == 4 && get32(v.mv_data) != folder)
		return 0;
	return rc == 0 ? apply_drop_row(a, a->index->names, key, n) : rc == MDB_NOTFOUND ? 0 : rc;
}

/* The account's row keeps the next folder's id and the last uidvalidity: neither is used twice. */
static int count_folder(struct apply *a, uint64_t account, uint32_t folder, uint32_t uidvalidity)
{
	struct account_row *row;
	int rc = apply_owner(a, account, &row);

	if (rc != 0)
		return rc;
	if (folder >= row->next_folder)
		row->next_folder = folder + 1;
	if (uidvalidity > row->last_uidvalidity)
		row->last_uidvalidity = uidvalidity;
	return 0;
}

int apply_folder_state(struct apply *a, const struct record *r, const struct folder_row *said)
{
	struct folder_row *f;
	int rc = apply_folder(a, r->account, r->folder, &f);

	if (rc == MDB_NOTFOUND) {
		rc = apply_new_folder(a, r->account, r->folder, said);
		f = &a->folder;
	} else if (rc == 0) {
		if (r->change < f->change)
			return 0;
		rc = drop_name(a, r->account, f->name, r->folder);
		if (said->uidnext > f->uidnext)
			f->uidnext = said->uidnext;
		if (said->forgotten > f->forgotten)
			f->forgotten = said->forgotten;
		if (said->expunge_change > f->expunge_change)
			f->expunge_change = said->expunge_change;
		f->uidvalidity = said->uidvalidity;
		f->flags = said->flags;
		memcpy(f->name, said->name, sizeof(f->name));
	}
	if (rc == 0)
		rc = count_folder(a, r->account, r->folder,
				  r->type == RECORD_FOLDER ? said->uidvalidity : 0);
	apply_advance(f, r);
	if (rc == 0 && r->folder != FOLDER_INBOX && !(said->flags & FOLDER_DELETED))
		rc = put_name(a, r->account, said->name, r->folder);
	return rc;
}

int apply_keyword(struct apply *a, const struct record *r, const char *name)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, r->account, r->folder, r->uid);
	return apply_put_row(a, a->index->keywords, key, sizeof(key), name, strlen(name));
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

		/* One that nobody can read goes as well; a check tells that its segment's totals are off. */
		if (message_row_get(&row, k.mv_data, a->index->tag, v.mv_data, v.mv_size)) {
			rc = apply_segment(a, row.segment, &s);
			if (rc != 0)
				break;
			length = apply_row_length(&row);
			s->live -= length < s->live ? length : s->live;
			s->dead += length;
		}
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
	unsigned char prefix[KEY_ACCOUNT];
	struct account_row *row;
	int rc = kill_messages(a, account);

	if (rc == 0)
		rc = apply_owner(a, account, &row);
	if (rc == 0)
		rc = count_for_domain(a, row, -1);
	/* What is at hand of it is not put back. */
	if (a->account == account)
		a->account = 0;
	a->owner_id = 0;
	key_account(prefix, account);
	for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(*tables); i++)
		rc = apply_drop_prefix(a, tables[i], prefix, sizeof(prefix));
	return rc;
}
