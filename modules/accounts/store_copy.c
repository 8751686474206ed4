/*
 * store_copy.c - all domains and accounts to a file, and those of such a file that are missing back.
 *
 * Rows are copied as they stand, so that what later versions put into them goes along.
 */
#include "copy_file.h"
#include "store_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- saving ---- */

static int save_table(MDB_txn *txn, MDB_dbi table, enum copy_kind kind, struct copy_file *c)
{
	MDB_cursor *cursor;
	MDB_val key, data;
	int rc = mdb_cursor_open(txn, table, &cursor);

	if (rc != 0)
		return rc;
	while (rc == 0 && (rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0)
		rc = copy_write(c, kind, key.mv_data, key.mv_size, data.mv_data, data.mv_size);
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_save(struct store *st, int fd)
{
	struct copy_file *c = st->host->alloc(st->self, sizeof(*c));
	MDB_txn *txn = NULL;
	int rc;

	if (!c)
		return PSTN_E_NO_MEMORY;
	rc = copy_write_begin(c, fd);
	if (rc == PSTN_OK)
		rc = store_begin(st, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = save_table(txn, st->domains, COPY_DOMAIN, c);
	if (rc == 0)
		rc = save_table(txn, st->accounts, COPY_ACCOUNT, c);
	if (txn)
		mdb_txn_abort(txn);
	if (rc == 0)
		rc = copy_write_end(c);
	copy_clear(c);
	st->host->free(st->self, c);
	return store_end(st, NULL, rc, "copying the accounts");
}

/* ---- loading ---- */

struct load {
	struct store *st;
	MDB_txn *txn;
	const char *name; /* of the only account that is wanted; NULL: all */
	uint64_t *ids;    /* of the accounts that are there, ascending */
	size_t nids;
	uint64_t highest; /* id that was added */
	uint64_t added, refused;
};

static int by_number(const void *x, const void *y)
{
	uint64_t a, b;

	memcpy(&a, x, sizeof(a));
	memcpy(&b, y, sizeof(b));
	return a < b ? -1 : a > b;
}

/* A row that cannot be read has an id that nobody knows: it hides no other. */
static int gather_ids(struct load *l)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, data;
	MDB_stat stat;
	struct row row;
	int rc = mdb_stat(l->txn, l->st->accounts, &stat);

	if (rc == 0 && stat.ms_entries)
		l->ids = l->st->host->alloc(l->st->self, stat.ms_entries * sizeof(*l->ids));
	if (rc != 0 || (stat.ms_entries && !l->ids))
		return rc ? rc : PSTN_E_NO_MEMORY;
	rc = mdb_cursor_open(l->txn, l->st->accounts, &cursor);
	while (rc == 0 && (rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0)
		if (l->nids < stat.ms_entries && !row_decode(data.mv_data, data.mv_size, &row))
			l->ids[l->nids++] = row.id;
	if (cursor)
		mdb_cursor_close(cursor);
	explicit_bzero(&row, sizeof(row));
	if (l->nids)
		qsort(l->ids, l->nids, sizeof(*l->ids), by_number);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static bool id_is_taken(const struct load *l, uint64_t id)
{
	return l->nids && bsearch(&id, l->ids, l->nids, sizeof(id), by_number);
}

/* Its accounts are counted as they are added. */
static int load_domain(struct load *l, struct copy_file *c)
{
	enum { COUNT_AT = 8, COUNT_SIZE = 8 };
	MDB_val key = {c->key_length, c->key}, data = {c->value_length, c->value};
	char name[NAME_SIZE];
	int rc;

	if (name_domain((const char *)c->key, name) || strlen(name) != c->key_length ||
	    c->value_length < COUNT_AT + COUNT_SIZE) {
		l->refused++;
		return 0;
	}
	memset(c->value + COUNT_AT, 0, COUNT_SIZE);
	rc = mdb_put(l->txn, l->st->domains, &key, &data, MDB_NOOVERWRITE);
	return rc == MDB_KEYEXIST ? 0 : rc;
}

static int add_account(struct load *l, const char *name, struct row *row)
{
	unsigned char octets[ROW_SIZE_MAX];
	MDB_val key = store_key(name), data = {0, octets};
	bool new_domain;
	int rc;

	/* What a worker remembers of a password is good for one revision. */
	row->revision = mdb_txn_id(l->txn);
	data.mv_size = row_encode(row, octets);
	rc = mdb_put(l->txn, l->st->accounts, &key, &data, MDB_NOOVERWRITE);
	explicit_bzero(octets, sizeof(octets));
	if (rc == 0)
		rc = store_domain_count(l->st, l->txn, name, 1, &new_domain);
	if (rc == 0)
		l->added++;
	if (row->id > l->highest)
		l->highest = row->id;
	return rc;
}

static int load_account(struct load *l, struct copy_file *c)
{
	const char *text = (const char *)c->key;
	MDB_val key = {c->key_length, c->key}, data;
	char name[NAME_SIZE];
	struct row row;
	int rc = mdb_get(l->txn, l->st->accounts, &key, &data);

	if (rc != MDB_NOTFOUND)
		return rc;
	rc = 0;
	if (name_account(text, "", name) || strcmp(text, name) != 0 ||
	    strlen(text) != c->key_length || row_decode(c->value, c->value_length, &row) ||
	    id_is_taken(l, row.id))
		l->refused++;
	else
		rc = add_account(l, name, &row);
	explicit_bzero(&row, sizeof(row));
	return rc;
}

static bool is_wanted(const struct load *l, const struct copy_file *c)
{
	const char *text = (const char *)c->key, *domain = l->name ? strrchr(l->name, '@') : NULL;

	if (c->kind == COPY_DOMAIN)
		return !domain || strcmp(text, domain + 1) == 0;
	return !l->name || strcmp(text, l->name) == 0;
}

static int load_rows(struct load *l, struct copy_file *c, int fd)
{
	int rc = copy_read_begin(c, fd);

	while (rc == PSTN_OK && (rc = copy_read(c)) == PSTN_OK && c->kind != COPY_END)
		if (is_wanted(l, c))
			rc = c->kind == COPY_DOMAIN ? load_domain(l, c) : load_account(l, c);
	return rc;
}

/* Accounts made later must not get an id that was brought back. */
static int raise_next_id(struct load *l)
{
	uint64_t next;
	int rc = store_number_get(l->st, l->txn, "next_id", &next);

	if (rc == 0 && l->highest >= next)
		rc = store_number_put(l->st, l->txn, "next_id", l->highest + 1);
	return rc;
}

/* The checksum stands at the end: if it is wrong, the transaction never was. */
int store_load(struct store *st, int fd, const char *name, uint64_t *added, uint64_t *refused)
{
	struct load l = {.st = st, .name = name};
	struct copy_file *c = st->host->alloc(st->self, sizeof(*c));
	int rc;

	*added = *refused = 0;
	if (!c)
		return PSTN_E_NO_MEMORY;
	rc = store_begin(st, 0, &l.txn);
	if (rc == 0)
		rc = gather_ids(&l);
	if (rc == 0)
		rc = load_rows(&l, c, fd);
	if (rc == 0)
		rc = raise_next_id(&l);
	copy_clear(c);
	st->host->free(st->self, c);
	st->host->free(st->self, l.ids);
	rc = store_end(st, l.txn, rc, "loading accounts");
	if (rc == PSTN_OK) {
		*added = l.added;
		*refused = l.refused;
	}
	return rc;
}
