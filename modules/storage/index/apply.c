/*
 * apply.c - the transaction in which records change the index, and the rows it keeps at hand.
 */
#include "apply_parts.h"
#include "format/bytes.h"
#include "store.h"

#include <string.h>

/* ---- the transaction and the rows it keeps at hand ---- */

int apply_begin(struct apply *a, struct index *ix)
{
	int rc;

	memset(a, 0, sizeof(*a));
	a->index = ix;
	rc = index_write(ix, &a->txn);
	if (rc != 0)
		return rc;
	rc = index_state(ix, a->txn, &a->state);
	if (rc != 0)
		index_abort(ix, a->txn);
	return rc;
}

void apply_abort(struct apply *a)
{
	index_abort(a->index, a->txn);
}

static int put_folder(struct apply *a)
{
	return a->account ? index_put_folder(a->index, a->txn, a->account, a->folder_id, &a->folder)
			  : 0;
}

static int put_owner(struct apply *a)
{
	return a->owner_id ? index_put_account(a->index, a->txn, a->owner_id, &a->owner) : 0;
}

static int put_domain(struct apply *a)
{
	unsigned char bytes[ROW_DOMAIN];

	if (!*a->domain_name)
		return 0;
	domain_row_put(&a->domain, a->domain_name, bytes);
	return apply_put_row(a, a->index->domains, (const unsigned char *)a->domain_name,
			     strlen(a->domain_name), bytes, sizeof(bytes));
}

static int put_segment(struct apply *a, struct apply_segment *s)
{
	return s->id ? index_put_segment(a->index, a->txn, s->id, &s->row) : 0;
}

int apply_end(struct apply *a)
{
	int rc = put_folder(a);

	if (rc == 0)
		rc = put_owner(a);
	if (rc == 0)
		rc = put_domain(a);
	for (unsigned i = 0; rc == 0 && i < APPLY_SEGMENTS; i++)
		rc = put_segment(a, &a->segments[i]);
	if (rc == 0)
		rc = index_put_state(a->index, a->txn, &a->state);
	if (rc == 0)
		return index_commit(a->index, a->txn);
	apply_abort(a);
	return rc;
}

int apply_folder(struct apply *a, uint64_t account, uint32_t folder, struct folder_row **out)
{
	struct folder_row row;
	int rc = 0;

	*out = &a->folder;
	if (a->account == account && a->folder_id == folder)
		return 0;
	rc = index_folder(a->index, a->txn, account, folder, &row);
	if (rc == 0)
		rc = put_folder(a);
	if (rc != 0)
		return rc;
	a->folder = row;
	a->account = account;
	a->folder_id = folder;
	return 0;
}

/* A folder that has no row yet takes its place at hand; the row is put with the others. */
int apply_new_folder(struct apply *a, uint64_t account, uint32_t folder,
		     const struct folder_row *row)
{
	int rc = put_folder(a);

	a->folder = *row;
	a->account = account;
	a->folder_id = folder;
	return rc;
}

int apply_owner(struct apply *a, uint64_t account, struct account_row **out)
{
	struct account_row row;
	int rc;

	*out = &a->owner;
	if (a->owner_id == account)
		return 0;
	rc = index_account(a->index, a->txn, account, &row);
	if (rc == MDB_NOTFOUND) {
		row = (struct account_row){.next_folder = FOLDER_INBOX + 1};
		rc = 0;
	}
	if (rc == 0)
		rc = put_owner(a);
	if (rc != 0)
		return rc;
	a->owner = row;
	a->owner_id = account;
	return 0;
}

int apply_domain(struct apply *a, const char *account_name, struct domain_row **out)
{
	const char *at = strrchr(account_name, '@');
	struct domain_row row = {0};
	int rc;

	*out = NULL;
	if (!at || !at[1] || strlen(at + 1) > DOMAIN_MAX)
		return 0;
	*out = &a->domain;
	if (strcmp(a->domain_name, at + 1) == 0)
		return 0;
	rc = index_domain(a->index, a->txn, at + 1, &row);
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = put_domain(a);
	if (rc != 0)
		return rc;
	a->domain = row;
	memcpy(a->domain_name, at + 1, strlen(at + 1) + 1);
	return 0;
}

static struct apply_segment *place_for_segment(struct apply *a)
{
	for (unsigned i = 0; i < APPLY_SEGMENTS; i++) {
		if (a->segments[i].id == 0)
			return &a->segments[i];
	}
	a->evict = (a->evict + 1) % APPLY_SEGMENTS;
	return &a->segments[a->evict];
}

int apply_segment(struct apply *a, uint32_t id, struct segment_row **out)
{
	struct apply_segment *s;
	struct segment_row row = {.end = SEGMENT_HEAD};
	int rc;

	for (unsigned i = 0; i < APPLY_SEGMENTS; i++) {
		if (a->segments[i].id == id) {
			*out = &a->segments[i].row;
			return 0;
		}
	}
	rc = index_segment(a->index, a->txn, id, &row);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	s = place_for_segment(a);
	rc = put_segment(a, s);
	*s = (struct apply_segment){.id = id, .row = row};
	*out = &s->row;
	return rc;
}

int apply_drop_segment(struct apply *a, uint32_t id)
{
	unsigned char key[4];

	for (unsigned i = 0; i < APPLY_SEGMENTS; i++) {
		if (a->segments[i].id == id)
			a->segments[i].id = 0;
	}
	put32be(key, id);
	return apply_drop_row(a, a->index->segments, key, sizeof(key));
}

/* ---- single rows ---- */

int apply_put_row(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n, const void *row,
		  size_t length)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	MDB_val v = {.mv_size = length, .mv_data = (void *)(uintptr_t)row};

	return mdb_put(a->txn, dbi, &k, &v, 0);
}

/* Deletes what may not be there. */
int apply_drop_row(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	int rc = mdb_del(a->txn, dbi, &k, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

int apply_drop_prefix(struct apply *a, MDB_dbi dbi, const unsigned char *prefix, size_t n)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(a->txn, dbi, &c);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size >= n && memcmp(k.mv_data, prefix, n) == 0) {
		rc = mdb_cursor_del(c, 0);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}
