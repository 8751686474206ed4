/*
 * store_accounts.c - reading and changing the rows of accounts.
 */
#include "store_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void report_row(struct store *st, const char *name, const char *why)
{
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_ERROR, "account_damaged",
				 PSTN_S("file", st->path), PSTN_S("account", name),
				 PSTN_S("error", why)));
}

/* LMDB's code, or PSTN_E_DAMAGED. */
static int get_row(struct store *st, MDB_txn *txn, const char *name, struct row *row)
{
	MDB_val key = store_key(name), data;
	const char *why;
	int rc = mdb_get(txn, st->accounts, &key, &data);

	if (rc != 0)
		return rc;
	why = row_decode(data.mv_data, data.mv_size, row);
	if (!why)
		return store_domain_limits(st, txn, name, row);
	report_row(st, name, why);
	return PSTN_E_DAMAGED;
}

static int put_row(struct store *st, MDB_txn *txn, const char *name, struct row *row,
		   unsigned flags)
{
	unsigned char octets[ROW_SIZE_MAX];
	MDB_val key = store_key(name), data;

	row->revision = mdb_txn_id(txn);
	row->changed = (uint64_t)time(NULL);
	data = (MDB_val){row_encode(row, octets), octets};
	return mdb_put(txn, st->accounts, &key, &data, flags);
}

int store_find(struct store *st, const char *name, struct row *row, uint64_t *version)
{
	static const char doing[] = "looking up an account";
	MDB_txn *txn;
	int rc = store_begin(st, MDB_RDONLY, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	*version = mdb_txn_id(txn);
	rc = get_row(st, txn, name, row);
	return store_end(st, txn, rc, doing);
}

/* Ids count up and are never given back. */
static int next_id(struct store *st, MDB_txn *txn, uint64_t *id)
{
	int rc = store_number_get(st, txn, "next_id", id);

	if (rc == 0 && *id == 0)
		rc = MDB_CORRUPTED;
	return rc == 0 ? store_number_put(st, txn, "next_id", *id + 1) : rc;
}

int store_add(struct store *st, const char *name, struct row *row, bool *new_domain)
{
	static const char doing[] = "adding an account";
	MDB_txn *txn;
	int rc = store_begin(st, 0, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	rc = next_id(st, txn, &row->id);
	row->created = (uint64_t)time(NULL);
	if (rc == 0)
		rc = put_row(st, txn, name, row, MDB_NOOVERWRITE);
	if (rc == 0)
		rc = store_domain_count(st, txn, name, 1, new_domain);
	if (rc == 0)
		rc = store_domain_limits(st, txn, name, row);
	return store_end(st, txn, rc, doing);
}

int store_change(struct store *st, const char *name, int (*edit)(void *arg, struct row *),
		 void *arg, struct row *row)
{
	static const char doing[] = "changing an account";
	MDB_txn *txn;
	int rc = store_begin(st, 0, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	rc = get_row(st, txn, name, row);
	if (rc == 0)
		rc = edit(arg, row);
	if (rc == 0)
		rc = put_row(st, txn, name, row, 0);
	return store_end(st, txn, rc, doing);
}

int store_remove(struct store *st, const char *name, uint64_t *id)
{
	static const char doing[] = "removing an account";
	MDB_val key = store_key(name);
	struct row row;
	bool new_domain;
	MDB_txn *txn;
	int rc = store_begin(st, 0, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	/* A damaged row can be removed as well; its id is then unknown. */
	rc = get_row(st, txn, name, &row);
	*id = rc == 0 ? row.id : 0;
	if (rc == 0 || rc == PSTN_E_DAMAGED)
		rc = mdb_del(txn, st->accounts, &key, NULL);
	if (rc == 0)
		rc = store_domain_count(st, txn, name, -1, &new_domain);
	return store_end(st, txn, rc, doing);
}

/* ---- all of them, a few at a time ---- */

enum { BATCH = 32 };

struct batch {
	unsigned n;
	bool end;
	struct {
		char name[NAME_SIZE];
		struct row row;
	} at[BATCH];
};

bool store_key_name(const MDB_val *key, char *name)
{
	if (key->mv_size >= NAME_SIZE || memchr(key->mv_data, '\0', key->mv_size))
		return false;
	memcpy(name, key->mv_data, key->mv_size);
	name[key->mv_size] = '\0';
	return true;
}

int store_seek(MDB_cursor *cursor, const char *after, MDB_val *key, MDB_val *data)
{
	int rc;

	*key = store_key(after);
	rc = mdb_cursor_get(cursor, key, data, *after ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && key->mv_size == strlen(after) &&
	    memcmp(key->mv_data, after, key->mv_size) == 0)
		rc = mdb_cursor_get(cursor, key, data, MDB_NEXT);
	return rc;
}

/* The rows after `after`, which is replaced by the last name seen. Damaged ones are left out. */
static int fill(struct store *st, MDB_cursor *cursor, struct batch *b, char *after)
{
	MDB_txn *txn = mdb_cursor_txn(cursor);
	MDB_val key, data;
	const char *why;
	int rc = store_seek(cursor, after, &key, &data);

	while (rc == 0) {
		if (!store_key_name(&key, after))
			return MDB_CORRUPTED;
		why = row_decode(data.mv_data, data.mv_size, &b->at[b->n].row);
		if (why)
			report_row(st, after, why);
		else
			rc = store_domain_limits(st, txn, after, &b->at[b->n].row);
		if (rc != 0)
			return rc;
		if (!why)
			memcpy(b->at[b->n++].name, after, NAME_SIZE);
		if (b->n == BATCH)
			return 0;
		rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	b->end = true;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int next_batch(struct store *st, struct batch *b, char *after)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc = store_begin(st, MDB_RDONLY, &txn);

	b->n = 0;
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, st->accounts, &cursor);
	if (rc == 0) {
		rc = fill(st, cursor, b, after);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return rc;
}

int store_each(struct store *st, bool (*each)(void *, const char *name, const struct row *),
	       void *arg)
{
	struct batch *b = st->host->alloc(st->self, sizeof(*b));
	char after[NAME_SIZE] = "";
	bool go_on = true;
	int rc = 0;

	if (!b)
		return PSTN_E_NO_MEMORY;
	while (rc == 0 && go_on && !b->end) {
		rc = next_batch(st, b, after);
		for (unsigned i = 0; rc == 0 && go_on && i < b->n; i++)
			go_on = each(arg, b->at[i].name, &b->at[i].row);
	}
	explicit_bzero(b, sizeof(*b));
	st->host->free(st->self, b);
	return store_end(st, NULL, rc, "listing accounts");
}
