/*
 * mend.c - see mend.h.
 */
#include "mend.h"

#include "apply_parts.h"
#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct row_id {
	uint64_t account;
	uint32_t folder, uid;
};

/* ---- telling ---- */

/* Every listing meets the row again: the log hears of it once, as long as few are damaged. */
static bool is_news(struct store *st, const struct row_id *id)
{
	uint64_t hash = (id->account * 31 + id->folder) * 31 + id->uid + 1;

	return atomic_exchange(&st->damaged_rows[hash % DAMAGED_SLOTS], hash) != hash;
}

static void tell(struct apply *a, const struct row_id *id, bool mended)
{
	struct store *st = a->index->store;
	struct account_row account = {.name = ""};
	struct folder_row folder = {.name = ""};

	if (!mended && !is_news(st, id))
		return;
	(void)index_account(a->index, a->txn, id->account, &account);
	(void)index_folder(a->index, a->txn, id->account, id->folder, &folder);
	st->host->log(PSTN_EVENT(
	    st->self, NULL, mended ? PSTN_WARNING : PSTN_ERROR,
	    mended ? "index-row-mended" : "index-row-damaged", PSTN_S("path", st->path),
	    PSTN_S("account", account.name), PSTN_U("account_id", id->account),
	    PSTN_S("folder", folder.name), PSTN_U("folder_id", id->folder), PSTN_U("uid", id->uid),
	    PSTN_S("hint", mended ? "The memory or the disk of the index may be failing: run "
				    "`storage check`."
				  : "The message cannot be read until `storage repair` has found "
				    "its record.")));
	if (!mended)
		st->host->count(st->self, METRIC_DAMAGED, 1);
}

void mend_tell_total(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		     uint64_t total)
{
	const struct row_id id = {account, folder, 0};
	struct store *st = ix->store;
	struct account_row owner = {.name = ""};
	struct folder_row row = {.name = ""};

	if (!is_news(st, &id))
		return;
	(void)index_account(ix, txn, account, &owner);
	(void)index_folder(ix, txn, account, folder, &row);
	st->host->log(PSTN_EVENT(
	    st->self, NULL, PSTN_ERROR, "folder-total-wrong", PSTN_S("path", st->path),
	    PSTN_S("account", owner.name), PSTN_U("account_id", account),
	    PSTN_S("folder", row.name), PSTN_U("folder_id", folder), PSTN_U("total", total),
	    PSTN_S("hint", "The messages that are there are served, a session never more than it "
			   "was told of; `storage repair --quick` sets the total right.")));
}

/* ---- mending ---- */

static bool has_its_record(struct store *st, const unsigned char key[KEY_MESSAGE],
			   const struct message_row *row)
{
	unsigned char head[RECORD_HEAD_MAX];
	struct record r;
	int status;
	struct file *file = files_get(st, row->segment, true, &status);
	ssize_t n;
	bool it;

	if (!file)
		return false;
	n = pread(file->fd, head, sizeof(head), (off_t)row->offset);
	it = n >= RECORD_HEAD &&
	     record_decode(&r, head, (size_t)n, file->seed, row->offset) == RECORD_OK &&
	     message_row_is_of(row, key, &r);
	file_release(file);
	return it;
}

static int correct(struct apply *a, MDB_dbi dbi, const unsigned char key[KEY_MESSAGE],
		   const MDB_val *damaged, struct message_row *row)
{
	unsigned char bytes[ROW_MESSAGE_MAX];

	if (damaged->mv_size > sizeof(bytes))
		return MDB_CORRUPTED;
	memcpy(bytes, damaged->mv_data, damaged->mv_size);
	if (!message_row_correct(key, bytes, damaged->mv_size) ||
	    !message_row_get(row, key, a->index->tag, bytes, damaged->mv_size) ||
	    !has_its_record(a->index->store, key, row))
		return MDB_CORRUPTED;
	return apply_put_row(a, dbi, key, KEY_MESSAGE, bytes, damaged->mv_size);
}

int mend_row(struct apply *a, bool expunged, uint64_t account, uint32_t folder, uint32_t uid,
	     struct message_row *row)
{
	const struct row_id id = {account, folder, uid};
	MDB_dbi dbi = expunged ? a->index->tombstones : a->index->messages;
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	int rc;

	key_message(key, account, folder, uid);
	rc = mdb_get(a->txn, dbi, &k, &v);
	if (rc != 0 || message_row_get(row, key, a->index->tag, v.mv_data, v.mv_size))
		return rc;
	rc = correct(a, dbi, key, &v, row);
	if (rc == 0 || rc == MDB_CORRUPTED)
		tell(a, &id, rc == 0);
	return rc;
}

int mend_now(struct index *ix, bool expunged, uint64_t account, uint32_t folder, uint32_t uid,
	     struct message_row *row)
{
	struct apply a;
	int rc = atomic_load(&ix->store->shared->unsynced) ? EIO : apply_begin(&a, ix);

	if (rc != 0)
		return rc;
	rc = mend_row(&a, expunged, account, folder, uid, row);
	if (rc == 0)
		return apply_end(&a);
	apply_abort(&a);
	return rc;
}
