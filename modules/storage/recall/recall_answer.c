/*
 * recall_answer.c - which folders messages are brought back to, and what has become of them.
 */
#include "format/bytes.h"
#include "recall.h"
#include "store.h"

#include <errno.h>
#include <string.h>

/* ---- folders ---- */

static int add_folder(struct recall *r, uint32_t id, const struct folder_row *row)
{
	struct recall_folder *larger = store_alloc(r->store, (r->nfolders + 1) * sizeof(*larger));

	if (!larger)
		return ENOMEM;
	if (r->nfolders)
		memcpy(larger, r->folders, r->nfolders * sizeof(*larger));
	store_free(r->store, r->folders);
	r->folders = larger;
	larger[r->nfolders].id = id;
	memcpy(larger[r->nfolders++].name, row->name, sizeof(row->name));
	r->total += row->tombstones + (r->live_too ? row->messages : 0);
	return 0;
}

static int add_all(struct recall *r, MDB_txn *txn)
{
	unsigned char key[KEY_FOLDER];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, r->store->index.folders, &c);

	if (rc != 0)
		return rc;
	key_folder(key, r->account.id, 0);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_FOLDER && memcmp(k.mv_data, key, KEY_ACCOUNT) == 0) {
		struct folder_row row;

		if (!folder_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			rc = MDB_CORRUPTED;
		else if (!(row.flags & FOLDER_DELETED))
			rc = add_folder(r, get32be((unsigned char *)k.mv_data + KEY_ACCOUNT), &row);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int add_named(struct recall *r, MDB_txn *txn, const char *name)
{
	struct index *ix = &r->store->index;
	struct folder_row row;
	uint32_t id;
	int rc = index_folder_id(ix, txn, r->account.id, name, &id);

	if (rc == 0)
		rc = index_folder(ix, txn, r->account.id, id, &row);
	return rc == 0 ? add_folder(r, id, &row) : rc;
}

int recall_find_folders(struct recall *r, const char *name)
{
	MDB_txn *txn;
	int rc = index_read(&r->store->index, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = name ? add_named(r, txn, name) : add_all(r, txn);
	index_read_end(&r->store->index, txn);
	return index_status(rc);
}

/* ---- the answer ---- */

static void answer_folder(struct recall *r, const struct recall_folder *f)
{
	const struct pstn_call_ops *call = r->store->host->call;

	call->open_object(r->call, NULL);
	call->text(r->call, "folder", f->name);
	call->integer(r->call, "restored", (int64_t)f->restored);
	call->integer(r->call, "octets", (int64_t)f->octets);
	call->integer(r->call, "kept", (int64_t)f->kept);
	call->integer(r->call, "removed", (int64_t)f->removed);
	call->integer(r->call, "flags_reset", (int64_t)f->reset);
	call->integer(r->call, "keywords_left_out", (int64_t)f->keywords_lost);
	call->integer(r->call, "not_restored", (int64_t)(f->lost + f->expired));
	call->close(r->call);
}

static void answer_lost(struct recall *r, const struct recall_lost *l)
{
	const struct pstn_call_ops *call = r->store->host->call;

	call->open_object(r->call, NULL);
	call->text(r->call, "folder", l->folder->name);
	call->integer(r->call, "uid", l->uid);
	call->text(r->call, "uidl", l->uidl);
	call->text(r->call, "reason", command_reason(l->status));
	call->close(r->call);
}

void recall_answer(struct recall *r)
{
	const struct pstn_call_ops *call = r->store->host->call;

	call->open_array(r->call, "folders");
	for (uint32_t i = 0; i < r->nfolders; i++)
		answer_folder(r, &r->folders[i]);
	call->close(r->call);
	if (!r->nlost)
		return;
	call->open_array(r->call, "not_restored");
	for (unsigned i = 0; i < r->nlost; i++)
		answer_lost(r, &r->lost[i]);
	call->close(r->call);
}

void recall_fail(struct recall *r)
{
	uint64_t restored = 0, kept = 0, lost = 0;

	for (uint32_t i = 0; i < r->nfolders; i++) {
		restored += r->folders[i].restored;
		kept += r->folders[i].kept;
		lost += r->folders[i].lost;
	}
	if (r->status == PSTN_OK) {
		r->store->host->call->fail_as(
		    r->call, PSTN_E_TEMPORARY,
		    "mailbox %s left out %llu messages of %s that the disk does not give (%s). "
		    "Brought back: %llu, there already: %llu. Run it again to try those once "
		    "more; nothing comes back twice.",
		    r->what, (unsigned long long)r->unreadable, r->account.name,
		    command_reason(PSTN_E_TEMPORARY), (unsigned long long)restored,
		    (unsigned long long)kept);
		return;
	}
	r->store->host->call->fail(
	    r->call,
	    "mailbox %s stopped at folder %s of %s: %s. Brought back: %llu, there already: %llu, "
	    "not to be brought back: %llu. Run it again to go on; nothing comes back twice.",
	    r->what, r->folder ? r->folder->name : "-", r->account.name, command_reason(r->status),
	    (unsigned long long)restored, (unsigned long long)kept, (unsigned long long)lost);
}
