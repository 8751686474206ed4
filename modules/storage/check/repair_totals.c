/*
 * repair_totals.c - totals are counted anew from the rows that they are totals of.
 */
#include "repair.h"

#include "checker.h"
#include "format/bytes.h"
#include "index/apply_parts.h"
#include "store.h"

#include <postern/maildrop.h>

#include <string.h>

/* Calls each() for the rows whose keys begin with prefix. */
static int each_row(struct apply *a, MDB_dbi dbi, const void *prefix, size_t n,
		    void (*each)(struct apply *, const MDB_val *k, const MDB_val *v, void *arg),
		    void *arg)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(a->txn, dbi, &c);

	if (rc != 0)
		return rc;
	for (rc = mdb_cursor_get(c, &k, &v, n ? MDB_SET_RANGE : MDB_FIRST);
	     rc == 0 && k.mv_size >= n && memcmp(k.mv_data, prefix, n) == 0;
	     rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
		each(a, &k, &v, arg);
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* What a row of the folder has to be counted as; false: as none. One that cannot be read is there all
 * the same and has a number in listings: it counts, without size and as read. */
static bool read_counted(struct apply *a, const MDB_val *k, const MDB_val *v, struct folder_row *f,
			 struct message_row *row)
{
	uint32_t uid =
	    k->mv_size == KEY_MESSAGE ? get32be((const unsigned char *)k->mv_data + KEY_FOLDER) : 0;

	if (uid == 0)
		return false;
	if (uid >= f->uidnext && uid < UINT32_MAX)
		f->uidnext = uid + 1;
	if (!message_row_get(row, k->mv_data, a->index->tag, v->mv_data, v->mv_size))
		*row = (struct message_row){.flags = PSTN_SEEN};
	return true;
}

static void add_message(struct apply *a, const MDB_val *k, const MDB_val *v, void *arg)
{
	struct folder_row *f = arg;
	struct message_row row;

	if (!read_counted(a, k, v, f, &row))
		return;
	if (row.change > f->change)
		f->change = row.change;
	f->messages++;
	f->octets += row.octets;
	f->unseen += !(row.flags & PSTN_SEEN);
}

static void add_tombstone(struct apply *a, const MDB_val *k, const MDB_val *v, void *arg)
{
	struct folder_row *f = arg;
	struct message_row row;

	if (!read_counted(a, k, v, f, &row))
		return;
	f->tombstones++;
	f->tombstone_octets += row.octets;
}

int repair_folder_totals(struct apply *a, const struct fault *fault)
{
	unsigned char prefix[KEY_FOLDER];
	struct folder_row *f;
	int rc = apply_folder(a, fault->account, fault->folder, &f);

	if (rc != 0)
		return rc;
	key_folder(prefix, fault->account, fault->folder);
	f->messages = f->octets = f->unseen = f->tombstones = f->tombstone_octets = 0;
	rc = each_row(a, a->index->messages, prefix, sizeof(prefix), add_message, f);
	if (rc == 0)
		rc = each_row(a, a->index->tombstones, prefix, sizeof(prefix), add_tombstone, f);
	return rc;
}

static void add_folder(struct apply *a, const MDB_val *k, const MDB_val *v, void *arg)
{
	struct account_row *row = arg;
	struct folder_row f;

	(void)a;
	if (k->mv_size != KEY_FOLDER || !folder_row_get(&f, k->mv_data, v->mv_data, v->mv_size))
		return;
	row->messages += f.messages;
	row->octets += f.octets;
}

int repair_account_totals(struct apply *a, const struct fault *fault)
{
	unsigned char prefix[KEY_ACCOUNT];
	struct account_row *row, known;
	int rc = index_account(a->index, a->txn, fault->account, &known);

	if (rc == 0)
		rc = apply_owner(a, fault->account, &row);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	key_account(prefix, fault->account);
	row->messages = row->octets = 0;
	return each_row(a, a->index->folders, prefix, sizeof(prefix), add_folder, row);
}

static void add_account(struct apply *a, const MDB_val *k, const MDB_val *v, void *arg)
{
	struct account_row row;
	const char *domain;

	(void)arg;
	if (k->mv_size != KEY_ACCOUNT || !account_row_get(&row, k->mv_data, v->mv_data, v->mv_size))
		return;
	domain = check_domain_of(row.name);
	if (!domain || strcmp(domain, a->domain_name) != 0)
		return;
	a->domain.messages += row.messages;
	a->domain.octets += row.octets;
}

int repair_domain_totals(struct apply *a, const struct fault *fault)
{
	memcpy(a->domain_name, fault->name, sizeof(a->domain_name));
	a->domain = (struct domain_row){0};
	return each_row(a, a->index->accounts, "", 0, add_account, NULL);
}

int repair_segment_totals(struct apply *a, const struct checker *k)
{
	const struct checker_segment *cs = &k->segment;
	struct segment_row *row;
	int rc = apply_segment(a, cs->id, &row);

	/* Somebody changed it since it was read: another round will tell. */
	if (rc != 0 || memcmp(row, &cs->row, sizeof(*row)) != 0)
		return rc;
	row->live = cs->live;
	row->dead = cs->dead;
	row->other = row->end - SEGMENT_HEAD - row->live - row->dead;
	return 0;
}
