/*
 * index_rows.c - single rows of the index, read with their checks and written with them.
 */
#include "index.h"

#include "format/bytes.h"

#include <string.h>
#include <strings.h>

#define STATE_KEY "state"

static int get(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t n, MDB_val *value)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};

	return mdb_get(txn, dbi, &k, value);
}

static int put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t n, const void *row, size_t length)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	MDB_val v = {.mv_size = length, .mv_data = (void *)(uintptr_t)row};

	return mdb_put(txn, dbi, &k, &v, 0);
}

int index_state(struct index *ix, MDB_txn *txn, struct state_row *row)
{
	MDB_val v;
	int rc = get(txn, ix->meta, STATE_KEY, sizeof(STATE_KEY) - 1, &v);

	if (rc != 0)
		return rc;
	return state_row_get(row, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_state_now(struct index *ix, struct state_row *row)
{
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return rc;
	rc = index_state(ix, txn, row);
	index_read_end(ix, txn);
	return rc;
}

int index_put_state(struct index *ix, MDB_txn *txn, const struct state_row *row)
{
	unsigned char bytes[ROW_STATE];

	state_row_put(row, bytes);
	return put(txn, ix->meta, STATE_KEY, sizeof(STATE_KEY) - 1, bytes, sizeof(bytes));
}

int index_segment(struct index *ix, MDB_txn *txn, uint32_t id, struct segment_row *row)
{
	unsigned char key[4];
	MDB_val v;
	int rc;

	put32be(key, id);
	rc = get(txn, ix->segments, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return segment_row_get(row, id, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_segment(struct index *ix, MDB_txn *txn, uint32_t id, const struct segment_row *row)
{
	unsigned char key[4], bytes[ROW_SEGMENT];

	put32be(key, id);
	segment_row_put(row, id, bytes);
	return put(txn, ix->segments, key, sizeof(key), bytes, sizeof(bytes));
}

int index_account(struct index *ix, MDB_txn *txn, uint64_t account, struct account_row *row)
{
	unsigned char key[KEY_ACCOUNT];
	MDB_val v;
	int rc;

	key_account(key, account);
	rc = get(txn, ix->accounts, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return account_row_get(row, key, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_account(struct index *ix, MDB_txn *txn, uint64_t account,
		      const struct account_row *row)
{
	unsigned char key[KEY_ACCOUNT], bytes[ROW_ACCOUNT_MAX];

	key_account(key, account);
	return put(txn, ix->accounts, key, sizeof(key), bytes, account_row_put(row, key, bytes));
}

int index_domain(struct index *ix, MDB_txn *txn, const char *domain, struct domain_row *row)
{
	MDB_val v;
	int rc = get(txn, ix->domains, domain, strlen(domain), &v);

	if (rc != 0)
		return rc;
	return domain_row_get(row, domain, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_folder(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		 struct folder_row *row)
{
	unsigned char key[KEY_FOLDER];
	MDB_val v;
	int rc;

	key_folder(key, account, folder);
	rc = get(txn, ix->folders, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return folder_row_get(row, key, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_folder(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		     const struct folder_row *row)
{
	unsigned char key[KEY_FOLDER], bytes[ROW_FOLDER_MAX];

	key_folder(key, account, folder);
	return put(txn, ix->folders, key, sizeof(key), bytes, folder_row_put(row, key, bytes));
}

static int get_message(struct index *ix, MDB_txn *txn, MDB_dbi dbi,
		       const unsigned char key[KEY_MESSAGE], struct message_row *row)
{
	MDB_val v;
	int rc = get(txn, dbi, key, KEY_MESSAGE, &v);

	if (rc != 0)
		return rc;
	return message_row_get(row, key, ix->tag, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_message(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder, uint32_t uid,
		  struct message_row *row)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, account, folder, uid);
	return get_message(ix, txn, ix->messages, key, row);
}

int index_tombstone(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder, uint32_t uid,
		    struct message_row *row)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, account, folder, uid);
	return get_message(ix, txn, ix->tombstones, key, row);
}

int index_change(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder, uint64_t change,
		 uint32_t uid, struct change_row *row)
{
	unsigned char key[KEY_CHANGE];
	MDB_val v;
	int rc;

	key_change(key, account, folder, change, uid);
	rc = get(txn, ix->changes, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return change_row_get(row, key, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

static bool row_is_called(const MDB_val *k, const MDB_val *v, const char *name)
{
	struct folder_row row;

	return folder_row_get(&row, k->mv_data, v->mv_data, v->mv_size) &&
	       !(row.flags & FOLDER_DELETED) && strcmp(row.name, name) == 0;
}

/* Rows of names have no check of their own: those of the folders decide. */
static int search_folders(struct index *ix, MDB_txn *txn, uint64_t account, const char *name,
			  uint32_t *id)
{
	unsigned char prefix[KEY_FOLDER];
	MDB_val k = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->folders, &c);

	if (rc != 0)
		return rc;
	key_folder(prefix, account, 0);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0) {
		if (k.mv_size != KEY_FOLDER || memcmp(k.mv_data, prefix, KEY_ACCOUNT) != 0) {
			rc = MDB_NOTFOUND;
			break;
		}
		if (row_is_called(&k, &v, name)) {
			*id = get32be((unsigned char *)k.mv_data + KEY_ACCOUNT);
			break;
		}
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc;
}

/* 0: the folder has that name, or nobody can tell: whoever wants it meets its row. MDB_NOTFOUND: it
 * has no row; one that was made in this transaction may have none yet. MDB_KEYEXIST: another name. */
static int judge_name(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t id,
		      const char *name)
{
	struct folder_row row;
	int rc = index_folder(ix, txn, account, id, &row);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? rc : 0;
	return !(row.flags & FOLDER_DELETED) && strcmp(row.name, name) == 0 ? 0 : MDB_KEYEXIST;
}

int index_folder_id(struct index *ix, MDB_txn *txn, uint64_t account, const char *name,
		    uint32_t *id)
{
	unsigned char key[KEY_NAME_MAX];
	int rc, judged = MDB_KEYEXIST;
	uint32_t named = 0;
	MDB_val v;

	*id = strcasecmp(name, "INBOX") == 0 ? FOLDER_INBOX : 0;
	if (*id)
		return 0;
	rc = get(txn, ix->names, key, key_name(key, account, name), &v);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	if (rc == 0 && v.mv_size == 4) {
		named = get32(v.mv_data);
		judged = judge_name(ix, txn, account, named, name);
	}
	rc = judged == 0 ? MDB_NOTFOUND : search_folders(ix, txn, account, name, id);
	if (rc != MDB_NOTFOUND || judged == MDB_KEYEXIST)
		return rc;
	*id = named;
	return 0;
}
