/*
 * backup_accounts.c - whose mail a restore brings back, and the accounts themselves.
 */
#include "backup_restore.h"

#include "format/bytes.h"
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- which accounts ---- */

static bool is_scratch(uint64_t account)
{
	return account > SCRATCH_ACCOUNT - UINT32_MAX;
}

static uint64_t name_sum(const char *name)
{
	return record_sum(name, strlen(name), 0);
}

static int by_owner(const void *x, const void *y)
{
	const struct owner *a = x, *b = y;

	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void walk_accounts(struct restore *r, restore_account *each)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(r->txn, r->replay.index.accounts, &c);

	if (rc != 0) {
		r->status = index_status(rc);
		return;
	}
	while (!restore_stopped(r) && mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		struct account_row row;

		if (k.mv_size == KEY_ACCOUNT && !is_scratch(get64be(k.mv_data)) &&
		    account_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			each(r, get64be(k.mv_data), &row);
	}
	mdb_cursor_close(c);
}

static void add_owner(struct restore *r, uint64_t id, const struct account_row *row)
{
	r->owners[r->nowners++] = (struct owner){name_sum(row->name), id};
}

/* Whether nobody of that name came later. */
static bool is_last_owner(const struct restore *r, uint64_t id, const char *name)
{
	uint64_t sum = name_sum(name);
	size_t low = 0, high = r->nowners;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->owners[middle].name <= sum)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && r->owners[low - 1].id == id;
}

/* Mail of an account that was gone already belongs to nobody who has its name later, unless the
 * administrator says so by naming it. */
static bool is_wanted(const struct restore *r, uint64_t id, const struct account_row *row)
{
	if (r->user)
		return strcasecmp(row->name, r->user_name) == 0 && is_last_owner(r, id, row->name);
	return manifest_has_account(&r->manifest, id);
}

static void count_wanted(struct restore *r, uint64_t id, const struct account_row *row)
{
	if (!is_wanted(r, id, row))
		return;
	r->wanted++;
	r->total += row->messages;
}

bool restore_gather_owners(struct restore *r)
{
	MDB_stat stat;

	if (mdb_stat(r->txn, r->replay.index.accounts, &stat) != 0)
		return false;
	r->owners = store_alloc(r->backup.store, (stat.ms_entries + 1) * sizeof(*r->owners));
	if (!r->owners)
		return false;
	walk_accounts(r, add_owner);
	qsort(r->owners, r->nowners, sizeof(*r->owners), by_owner);
	walk_accounts(r, count_wanted);
	return r->status == PSTN_OK;
}

static void take_wanted(struct restore *r, uint64_t id, const struct account_row *row)
{
	if (is_wanted(r, id, row))
		r->each(r, id, row);
	else if (!r->user)
		r->left_out += row->messages;
}

void restore_each_account(struct restore *r, restore_account *each)
{
	r->each = each;
	walk_accounts(r, take_wanted);
}

/* ---- the accounts themselves ---- */

static bool load_accounts(struct restore *r, const char *name)
{
	const struct backup *b = &r->backup;
	struct store *st = b->store;
	uint64_t length, sum, refused = 0;
	char path[BACKUP_PATH];
	int fd, status = PSTN_E_DAMAGED;

	backup_snapshot_path(r->manifest.name, ".accounts", path);
	fd = backup_open(b, path, PSTN_FILE_READ);
	if (fd >= 0 && backup_sum(st, fd, &length, &sum) == 0 &&
	    length == r->manifest.accounts_length && sum == r->manifest.accounts_sum)
		status =
		    st->directory->load(st->directory_inst, fd, name, &r->accounts_added, &refused);
	if (fd >= 0)
		close(fd);
	if (refused)
		b->ops->note(b->call,
			     "%s/%s: %" PRIu64 " accounts or domains were not added: their ids are "
			     "taken by others, or they are of a later version of the server",
			     b->path, path, refused);
	if (status == PSTN_E_DAMAGED)
		b->ops->note(b->call,
			     "%s/%s is missing or damaged; accounts that are missing are not added",
			     b->path, path);
	else if (status != PSTN_OK)
		backup_fail(b, path, "the accounts could not be added; the log has more");
	return status == PSTN_OK || status == PSTN_E_DAMAGED;
}

/* --user is one that exists, or one that was there. */
bool restore_prepare_accounts(struct restore *r)
{
	struct store *st = r->backup.store;
	struct pstn_account known = {.size = sizeof(known)};
	int status = PSTN_E_NOT_FOUND;

	if (r->user) {
		status = st->directory->lookup(st->directory_inst, r->user, &known);
		snprintf(r->user_name, sizeof(r->user_name), "%s",
			 status == PSTN_OK ? known.name : r->user);
	}
	if (r->dry_run || r->into || status == PSTN_OK)
		return true;
	return load_accounts(r, r->user ? r->user_name : NULL);
}

bool restore_check_into(struct restore *r)
{
	struct pstn_account known = {.size = sizeof(known)};
	struct store *st = r->backup.store;

	if (!r->into)
		return true;
	if (!r->user) {
		r->backup.ops->fail(r->backup.call, "--into needs --user: whose mail goes there.");
		return false;
	}
	if (st->directory->lookup(st->directory_inst, r->into, &known) == PSTN_OK)
		return true;
	r->backup.ops->fail(r->backup.call,
			    "There is no account \"%s\". `account list` shows all, `account add` "
			    "makes one.",
			    r->into);
	return false;
}
