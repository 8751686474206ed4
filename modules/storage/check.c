/*
 * check.c - storage check: every row of the index against its record, every checksum, every
 * folder's totals. Changes nothing; goes through the store in short steps, while it is used.
 */
#include "commands.h"

#include "bytes.h"
#include "scan.h"
#include "store.h"
#include "view.h"

#include <string.h>
#include <sys/stat.h>

#define ROWS_AT_ONCE 256
#define FAULTS_MAX   1000 /* told one by one; more are only counted */

struct checked {
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
};

struct check {
	struct store *store;
	struct pstn_call *call;
	unsigned char *window;
	struct checked *rows;
	uint64_t messages, octets, total, folders, faults;
};

static void fault(struct check *k, uint64_t account, uint32_t folder, uint32_t uid,
		  uint32_t segment, uint64_t offset, const char *what)
{
	const struct pstn_call_ops *call = k->store->host->call;
	char name[SEGMENT_NAME] = "";

	if (++k->faults > FAULTS_MAX)
		return;
	if (segment)
		segment_name(name, segment);
	call->open_object(k->call, NULL);
	call->integer(k->call, "account", (int64_t)account);
	call->integer(k->call, "folder", folder);
	call->integer(k->call, "uid", uid);
	call->text(k->call, "segment", name);
	call->integer(k->call, "offset", (int64_t)offset);
	call->text(k->call, "what", what);
	call->close(k->call);
}

/* ---- messages ---- */

/* The next rows after *key, which moves on; 0: no more. */
static unsigned next_rows(struct check *k, MDB_dbi dbi, unsigned char key[KEY_MESSAGE], bool *begun)
{
	struct index *ix = &k->store->index;
	MDB_val key_val = {.mv_size = KEY_MESSAGE, .mv_data = key}, v;
	MDB_cursor *c;
	MDB_txn *txn;
	unsigned n = 0;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return 0;
	if (mdb_cursor_open(txn, dbi, &c) != 0) {
		index_read_end(ix, txn);
		return 0;
	}
	rc = mdb_cursor_get(c, &key_val, &v, MDB_SET_RANGE);
	if (rc == 0 && *begun && memcmp(key_val.mv_data, key, KEY_MESSAGE) == 0)
		rc = mdb_cursor_get(c, &key_val, &v, MDB_NEXT);
	for (; rc == 0 && n < ROWS_AT_ONCE; rc = mdb_cursor_get(c, &key_val, &v, MDB_NEXT)) {
		struct checked *row = &k->rows[n];

		if (key_val.mv_size != KEY_MESSAGE)
			continue;
		memcpy(row->key, key_val.mv_data, KEY_MESSAGE);
		if (message_row_get(&row->row, row->key, ix->tag, v.mv_data, v.mv_size))
			n++;
		else
			fault(k, get64be(row->key), get32be(row->key + 8), get32be(row->key + 12),
			      0, 0, "the index's row fails its checksum");
	}
	mdb_cursor_close(c);
	index_read_end(ix, txn);
	if (n)
		memcpy(key, k->rows[n - 1].key, KEY_MESSAGE);
	*begun = true;
	return n;
}

static const char *judge(struct check *k, const struct checked *row, const struct file *file)
{
	struct scan scan;
	struct stat info;
	const struct record *r = &scan.record;

	if (fstat(file->fd, &info) != 0)
		return "the segment cannot be read";
	scan_begin(&scan, file->fd, (uint64_t)info.st_size, file->seed, row->row.offset, k->window);
	if (row->row.offset >= scan.size || scan_next(&scan) != SCAN_RECORD)
		return "there is no sound record where the index says";
	if (r->type != RECORD_MESSAGE || r->account != get64be(row->key) ||
	    r->folder != get32be(row->key + 8) || r->uid != get32be(row->key + 12) ||
	    r->octets != row->row.octets || strcmp(r->uidl, row->row.uidl) != 0)
		return "the record is another one than the index says";
	return scan_verify(&scan) ? NULL : "the text fails its checksum";
}

static void check_row(struct check *k, const struct checked *row)
{
	int status;
	const char *what;
	struct file *file = files_get(k->store, row->row.segment, true, &status);

	what = file ? judge(k, row, file) : "its segment is missing or unreadable";
	if (file)
		file_release(file);
	k->messages++;
	k->octets += row->row.octets;
	if (what)
		fault(k, get64be(row->key), get32be(row->key + 8), get32be(row->key + 12),
		      row->row.segment, row->row.offset, what);
}

static void check_table(struct check *k, MDB_dbi dbi)
{
	unsigned char key[KEY_MESSAGE] = {0};
	bool begun = false;
	unsigned n;

	while ((n = next_rows(k, dbi, key, &begun)) > 0) {
		for (unsigned i = 0; i < n; i++)
			check_row(k, &k->rows[i]);
		k->store->host->call->progress(k->call, k->messages, k->total, "messages");
		if (k->store->host->call->cancelled(k->call))
			return;
	}
}

/* ---- folders ---- */

static void check_totals(struct check *k, MDB_txn *txn, uint64_t account, uint32_t folder,
			 const struct folder_row *f)
{
	struct index *ix = &k->store->index;
	unsigned char prefix[KEY_MESSAGE];
	MDB_val key = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	uint64_t messages = 0, octets = 0;
	uint32_t last = 0;
	MDB_cursor *c;

	if (mdb_cursor_open(txn, ix->messages, &c) != 0)
		return;
	key_message(prefix, account, folder, 0);
	for (MDB_cursor_op op = MDB_SET_RANGE; mdb_cursor_get(c, &key, &v, op) == 0;
	     op = MDB_NEXT) {
		struct message_row row;

		if (memcmp(key.mv_data, prefix, KEY_FOLDER) != 0)
			break;
		if (!message_row_get(&row, key.mv_data, ix->tag, v.mv_data, v.mv_size))
			continue;
		messages++;
		octets += row.octets;
		last = get32be((unsigned char *)key.mv_data + 12);
	}
	mdb_cursor_close(c);
	if (messages != f->messages || octets != f->octets || last >= f->uidnext)
		fault(k, account, folder, last, 0, 0,
		      "the folder's totals are not those of its messages");
}

static void check_folders(struct check *k)
{
	struct index *ix = &k->store->index;
	MDB_val key, v;
	MDB_cursor *c;
	MDB_txn *txn;

	if (index_read(ix, &txn) != 0)
		return;
	if (mdb_cursor_open(txn, ix->folders, &c) == 0) {
		for (MDB_cursor_op op = MDB_FIRST; mdb_cursor_get(c, &key, &v, op) == 0;
		     op = MDB_NEXT) {
			struct folder_row row;

			if (key.mv_size != KEY_FOLDER)
				continue;
			k->folders++;
			if (folder_row_get(&row, key.mv_data, v.mv_data, v.mv_size)) {
				k->total += row.messages + row.tombstones;
				check_totals(k, txn, get64be(key.mv_data),
					     get32be((unsigned char *)key.mv_data + 8), &row);
			} else {
				fault(k, get64be(key.mv_data), 0, 0, 0, 0,
				      "the folder's row fails its checksum");
			}
		}
		mdb_cursor_close(c);
	}
	index_read_end(ix, txn);
}

/* ---- the command ---- */

void command_check(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	const struct pstn_call_ops *call = st->host->call;
	struct check k = {.store = st, .call = c};

	k.window = store_alloc(st, SCAN_WINDOW);
	k.rows = store_alloc(st, ROWS_AT_ONCE * sizeof(*k.rows));
	if (k.window && k.rows) {
		call->open_object(c, NULL);
		call->open_array(c, "damage");
		check_folders(&k);
		check_table(&k, st->index.messages);
		check_table(&k, st->index.tombstones);
		call->close(c);
		call->integer(c, "folders", (int64_t)k.folders);
		call->integer(c, "messages", (int64_t)k.messages);
		call->integer(c, "octets", (int64_t)k.octets);
		call->integer(c, "faults", (int64_t)k.faults);
		call->close(c);
	} else {
		call->fail(c, "There is not enough memory to check the store.");
	}
	store_free(st, k.window);
	store_free(st, k.rows);
}
