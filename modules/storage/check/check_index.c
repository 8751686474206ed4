/*
 * check_index.c - the index's phase of a check, account by account: totals, names, unique ids, the
 * history, and each message's row against the head of its record.
 */
#include "checker.h"

#include "format/bytes.h"
#include "store.h"

#include <postern/maildrop.h>

#include <errno.h>
#include <string.h>

struct counted {
	uint64_t messages, octets, unseen, tombstones, tombstone_octets;
	uint32_t last; /* uid */
	bool unsure;   /* a row could not be read: it counts, but nobody knows its size */
};

/* ---- cursors over the rows that begin with a key ---- */

static int first_with(MDB_cursor *c, const void *prefix, size_t n, MDB_val *k, MDB_val *v)
{
	*k = (MDB_val){.mv_size = n, .mv_data = (void *)(uintptr_t)prefix};
	int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);

	return rc == 0 && (k->mv_size < n || memcmp(k->mv_data, prefix, n) != 0) ? MDB_NOTFOUND
										 : rc;
}

static int next_with(MDB_cursor *c, const void *prefix, size_t n, MDB_val *k, MDB_val *v)
{
	int rc = mdb_cursor_get(c, k, v, MDB_NEXT);

	return rc == 0 && (k->mv_size < n || memcmp(k->mv_data, prefix, n) != 0) ? MDB_NOTFOUND
										 : rc;
}

static bool is_scratch(uint64_t account)
{
	return account > SCRATCH_ACCOUNT - UINT32_MAX;
}

/* The smallest number at `at` of keys that begin with prefix and are not below `from`, over two
 * tables; false: none. */
static bool next_account(struct checker *k, uint64_t from, uint64_t *found)
{
	struct index *ix = &k->store->index;
	const MDB_dbi tables[] = {ix->accounts, ix->folders, ix->messages, ix->tombstones};
	unsigned char key[KEY_ACCOUNT];
	MDB_txn *txn;

	*found = UINT64_MAX;
	k->error = index_read(ix, &txn);
	if (k->error)
		return false;
	key_account(key, from);
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key}, v;
		MDB_cursor *c;

		if (mdb_cursor_open(txn, tables[i], &c) != 0)
			continue;
		if (mdb_cursor_get(c, &key_val, &v, MDB_SET_RANGE) == 0 &&
		    key_val.mv_size >= KEY_ACCOUNT && get64be(key_val.mv_data) < *found)
			*found = get64be(key_val.mv_data);
		mdb_cursor_close(c);
	}
	index_read_end(ix, txn);
	return *found != UINT64_MAX && !is_scratch(*found);
}

static bool next_folder(struct checker *k, uint64_t account, uint64_t from, uint32_t *found)
{
	struct index *ix = &k->store->index;
	const MDB_dbi tables[] = {ix->folders, ix->messages, ix->tombstones};
	unsigned char key[KEY_FOLDER];
	bool any = false;
	MDB_txn *txn;

	if (from > UINT32_MAX || (k->error = index_read(ix, &txn)) != 0)
		return false;
	key_folder(key, account, (uint32_t)from);
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		MDB_val key_val, v;
		MDB_cursor *c;
		uint32_t folder;

		if (mdb_cursor_open(txn, tables[i], &c) != 0)
			continue;
		key_val = (MDB_val){.mv_size = sizeof(key), .mv_data = key};
		if (mdb_cursor_get(c, &key_val, &v, MDB_SET_RANGE) == 0 &&
		    key_val.mv_size >= KEY_FOLDER && get64be(key_val.mv_data) == account) {
			folder = get32be((unsigned char *)key_val.mv_data + 8);
			*found = !any || folder < *found ? folder : *found;
			any = true;
		}
		mdb_cursor_close(c);
	}
	index_read_end(ix, txn);
	return any;
}

/* ---- one folder, in one transaction ---- */

struct folder_check {
	struct checker *k;
	MDB_txn *txn;
	uint64_t account;
	uint32_t folder;
	unsigned char prefix[KEY_FOLDER];
};

static void found(struct folder_check *fc, enum fault_kind kind, uint32_t uid, const char *uidl,
		  uint64_t change)
{
	struct fault f = {.kind = kind,
			  .account = fc->account,
			  .folder = fc->folder,
			  .uid = uid,
			  .offset = change};

	if (uidl)
		memcpy(f.uidl, uidl, strnlen(uidl, UIDL_MAX));
	checker_add(fc->k, &f);
}

/* The unique id that a message brought along has to lead to it. */
static void check_named(struct folder_check *fc, uint32_t uid, const struct message_row *row)
{
	struct index *ix = &fc->k->store->index;
	unsigned char key[KEY_UIDL_MAX];
	MDB_val k = {.mv_data = key}, v;
	struct message_row other;
	uint32_t at;

	k.mv_size = key_uidl(key, fc->account, fc->folder, row->uidl);
	if (mdb_get(fc->txn, ix->uidls, &k, &v) != 0 || v.mv_size != 4) {
		found(fc, FAULT_UIDL_MISSING, uid, row->uidl, 0);
		return;
	}
	at = get32(v.mv_data);
	if (at == uid)
		return;
	if (index_message(ix, fc->txn, fc->account, fc->folder, at, &other) == 0 &&
	    strcmp(other.uidl, row->uidl) == 0)
		found(fc, FAULT_UIDL_TWICE, uid, row->uidl, 0);
	else
		found(fc, FAULT_UIDL_MISSING, uid, row->uidl, 0);
}

static void count_rows(struct folder_check *fc, bool expunged, struct counted *n)
{
	struct index *ix = &fc->k->store->index;
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(fc->txn, expunged ? ix->tombstones : ix->messages, &c);

	if (rc != 0)
		return;
	for (rc = first_with(c, fc->prefix, KEY_FOLDER, &k, &v); rc == 0;
	     rc = next_with(c, fc->prefix, KEY_FOLDER, &k, &v)) {
		uint32_t uid =
		    k.mv_size == KEY_MESSAGE ? get32be((unsigned char *)k.mv_data + 12) : 0;
		struct message_row row;

		if (uid > n->last)
			n->last = uid;
		if (!uid || !message_row_get(&row, k.mv_data, ix->tag, v.mv_data, v.mv_size)) {
			struct fault f = {.kind = FAULT_ROW,
					  .account = fc->account,
					  .folder = fc->folder,
					  .uid = uid,
					  .expunged = expunged};
			checker_add(fc->k, &f);
			n->unsure = true;
			*(expunged ? &n->tombstones : &n->messages) += uid != 0;
			continue;
		}
		*(expunged ? &n->tombstones : &n->messages) += 1;
		*(expunged ? &n->tombstone_octets : &n->octets) += row.octets;
		n->unseen += !expunged && !(row.flags & PSTN_SEEN);
		if (!expunged && row.state & MESSAGE_NAMED)
			check_named(fc, uid, &row);
	}
	mdb_cursor_close(c);
}

/* Each unique id's row has to lead to a message that has it. */
static void check_uidls(struct folder_check *fc)
{
	struct index *ix = &fc->k->store->index;
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(fc->txn, ix->uidls, &c);

	if (rc != 0)
		return;
	for (rc = first_with(c, fc->prefix, KEY_FOLDER, &k, &v); rc == 0;
	     rc = next_with(c, fc->prefix, KEY_FOLDER, &k, &v)) {
		char uidl[UIDL_MAX + 1] = "";
		struct message_row row;
		size_t n = k.mv_size - KEY_FOLDER;

		memcpy(uidl, (unsigned char *)k.mv_data + KEY_FOLDER, n < UIDL_MAX ? n : UIDL_MAX);
		if (v.mv_size != 4 ||
		    index_message(ix, fc->txn, fc->account, fc->folder, get32(v.mv_data), &row) !=
			0 ||
		    strcmp(row.uidl, uidl) != 0)
			found(fc, FAULT_UIDL_STRAY, v.mv_size == 4 ? get32(v.mv_data) : 0, uidl, 0);
	}
	mdb_cursor_close(c);
}

static void check_changes(struct folder_check *fc)
{
	struct index *ix = &fc->k->store->index;
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(fc->txn, ix->changes, &c);

	if (rc != 0)
		return;
	for (rc = first_with(c, fc->prefix, KEY_FOLDER, &k, &v); rc == 0;
	     rc = next_with(c, fc->prefix, KEY_FOLDER, &k, &v)) {
		const unsigned char *key = k.mv_data;
		struct change_row row;

		if (k.mv_size != KEY_CHANGE || !change_row_get(&row, key, v.mv_data, v.mv_size))
			found(fc, FAULT_CHANGE, k.mv_size == KEY_CHANGE ? get32be(key + 20) : 0,
			      NULL, k.mv_size == KEY_CHANGE ? get64be(key + 12) : 0);
	}
	mdb_cursor_close(c);
}

static void check_name(struct folder_check *fc, const struct folder_row *row)
{
	unsigned char key[KEY_NAME_MAX];
	MDB_val k = {.mv_data = key}, v;

	if (fc->folder == FOLDER_INBOX || row->flags & FOLDER_DELETED)
		return;
	k.mv_size = key_name(key, fc->account, row->name);
	if (mdb_get(fc->txn, fc->k->store->index.names, &k, &v) != 0 || v.mv_size != 4 ||
	    get32(v.mv_data) != fc->folder)
		found(fc, FAULT_NAME_MISSING, 0, NULL, 0);
}

static bool totals_differ(const struct counted *n, const struct folder_row *row)
{
	if (n->messages != row->messages || n->tombstones != row->tombstones ||
	    (n->last >= row->uidnext && n->last))
		return true;
	return !n->unsure && (n->octets != row->octets || n->unseen != row->unseen ||
			      n->tombstone_octets != row->tombstone_octets);
}

static void count_folder(struct folder_check *fc)
{
	struct index *ix = &fc->k->store->index;
	struct counted n = {0};
	struct folder_row row;
	int rc = index_folder(ix, fc->txn, fc->account, fc->folder, &row);

	if (rc != 0) {
		found(fc, FAULT_FOLDER_ROW, 0, NULL, 0);
		return;
	}
	count_rows(fc, false, &n);
	count_rows(fc, true, &n);
	if (totals_differ(&n, &row))
		found(fc, FAULT_FOLDER_TOTALS, 0, NULL, 0);
	check_uidls(fc);
	check_changes(fc);
	check_name(fc, &row);
}

static void check_folder(struct checker *k, uint64_t account, uint32_t folder)
{
	struct folder_check fc = {.k = k, .account = account, .folder = folder};

	k->error = index_read(&k->store->index, &fc.txn);
	if (k->error)
		return;
	key_folder(fc.prefix, account, folder);
	count_folder(&fc);
	index_read_end(&k->store->index, fc.txn);
	k->pass.folders++;
}

/* ---- one account ---- */

static void check_names(struct checker *k, MDB_txn *txn, uint64_t account)
{
	struct index *ix = &k->store->index;
	unsigned char prefix[KEY_ACCOUNT];
	MDB_cursor *c;
	MDB_val key, v;
	int rc = mdb_cursor_open(txn, ix->names, &c);

	if (rc != 0)
		return;
	key_account(prefix, account);
	for (rc = first_with(c, prefix, KEY_ACCOUNT, &key, &v); rc == 0;
	     rc = next_with(c, prefix, KEY_ACCOUNT, &key, &v)) {
		struct fault f = {.kind = FAULT_NAME_STRAY, .account = account};
		size_t n = key.mv_size - KEY_ACCOUNT;
		struct folder_row row;

		memcpy(f.name, (unsigned char *)key.mv_data + KEY_ACCOUNT,
		       n < FOLDER_NAME_MAX ? n : FOLDER_NAME_MAX);
		if (v.mv_size != 4 || index_folder(ix, txn, account, get32(v.mv_data), &row) != 0 ||
		    row.flags & FOLDER_DELETED || strcmp(row.name, f.name) != 0)
			checker_add(k, &f);
	}
	mdb_cursor_close(c);
}

/* An account's own totals and those of its folders are read in one transaction. */
static void check_account(struct checker *k, uint64_t account)
{
	struct index *ix = &k->store->index;
	struct fault f = {.kind = FAULT_ACCOUNT_TOTALS, .account = account};
	unsigned char prefix[KEY_ACCOUNT];
	uint64_t messages = 0, octets = 0;
	struct account_row row;
	MDB_cursor *c;
	MDB_val key, v;
	MDB_txn *txn;
	int rc = k->error = index_read(ix, &txn);

	if (rc != 0)
		return;
	key_account(prefix, account);
	if (mdb_cursor_open(txn, ix->folders, &c) == 0) {
		for (rc = first_with(c, prefix, KEY_ACCOUNT, &key, &v); rc == 0;
		     rc = next_with(c, prefix, KEY_ACCOUNT, &key, &v)) {
			struct folder_row folder;

			if (folder_row_get(&folder, key.mv_data, v.mv_data, v.mv_size)) {
				messages += folder.messages;
				octets += folder.octets;
			}
		}
		mdb_cursor_close(c);
	}
	rc = index_account(ix, txn, account, &row);
	if (rc != 0)
		f.kind = FAULT_ACCOUNT_ROW;
	if (rc != 0 || row.messages != messages || row.octets != octets)
		checker_add(k, &f);
	check_names(k, txn, account);
	index_read_end(ix, txn);
	k->pass.accounts++;
}

/* ---- step by step ---- */

static bool begin_account(struct checker *k)
{
	struct pass *p = &k->pass;
	uint64_t account;

	if (k->only && p->account >= k->only)
		return false;
	if (!next_account(k, k->only ? k->only : p->account + 1, &account) ||
	    (k->only && account != k->only))
		return false;
	check_account(k, account);
	p->account = account;
	p->folder = 0;
	p->step = STEP_FOLDER;
	return true;
}

static void begin_folder(struct checker *k)
{
	struct pass *p = &k->pass;
	uint32_t folder;

	if (!next_folder(k, p->account, p->folder, &folder)) {
		p->step = STEP_ACCOUNT;
		return;
	}
	check_folder(k, p->account, folder);
	p->folder = folder;
	p->uid = 0;
	p->step = STEP_MESSAGES;
}

bool check_next_rows(struct checker *k)
{
	struct pass *p = &k->pass;

	switch (p->step) {
	case STEP_ACCOUNT:
		return begin_account(k) && k->error == 0;
	case STEP_FOLDER:
		begin_folder(k);
		break;
	case STEP_MESSAGES:
		if (!check_messages(k, false)) {
			p->uid = 0;
			p->step = STEP_TOMBSTONES;
		}
		break;
	default:
		if (!check_messages(k, true)) {
			p->folder++;
			p->step = STEP_FOLDER;
		}
		break;
	}
	return k->error == 0;
}
