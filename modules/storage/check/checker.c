/*
 * checker.c - the walk itself; judging a message by its record. See checker.h.
 */
#include "checker.h"

#include "format/bytes.h"
#include "store.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS_AT_ONCE 256
#define JUDGE_TRIES  3

struct checked_row {
	unsigned char key[KEY_MESSAGE];
	struct message_row row;
};

int checker_open(struct checker *k, struct store *st)
{
	k->store = st;
	k->window = store_alloc(st, SCAN_WINDOW);
	k->rows = store_alloc(st, ROWS_AT_ONCE * sizeof(struct checked_row));
	k->faults = store_alloc(st, FAULTS_AT_ONCE * sizeof(*k->faults));
	if (k->window && k->rows && k->faults)
		return 0;
	checker_close(k);
	return -1;
}

void checker_close(struct checker *k)
{
	store_free(k->store, k->window);
	store_free(k->store, k->rows);
	store_free(k->store, k->faults);
	k->window = NULL;
	k->rows = NULL;
	k->faults = NULL;
}

void checker_add(struct checker *k, const struct fault *f)
{
	if (k->nfaults < FAULTS_AT_ONCE)
		k->faults[k->nfaults++] = *f;
	k->pass.faults++;
}

void checker_tell(struct checker *k)
{
	for (unsigned i = 0; i < k->nfaults; i++)
		k->found(k, &k->faults[i]);
	k->nfaults = 0;
}

bool checker_ask(struct checker *k)
{
	uint64_t octets = k->octets;

	checker_tell(k);
	k->octets = 0;
	return k->go_on(k, octets) && k->error == 0;
}

bool checker_run(struct checker *k)
{
	while (k->pass.phase == PASS_INDEX) {
		if (check_next_rows(k)) {
			if (!checker_ask(k))
				return false;
			continue;
		}
		if (k->error)
			return false;
		if (!k->only)
			check_domains(k);
		k->pass.phase = k->only || !k->texts ? PASS_DONE : PASS_SEGMENTS;
		if (!checker_ask(k))
			return k->error == 0 && k->pass.phase == PASS_DONE;
	}
	while (k->pass.phase == PASS_SEGMENTS) {
		if (!check_next_segment(k) && k->error == 0) {
			check_strays(k);
			k->pass.phase = PASS_DONE;
		}
		if (!checker_ask(k))
			break;
	}
	return k->error == 0 && k->pass.phase == PASS_DONE;
}

/* ---- one message ---- */

bool checker_reads(void *arg, size_t octets)
{
	struct checker *k = arg;

	k->octets += octets;
	return !k->reading || k->reading(k, octets);
}

static enum fault_kind judge_in(struct checker *k, const struct file *file,
				const unsigned char key[KEY_MESSAGE], const struct message_row *row,
				bool text, struct record *r)
{
	unsigned char head[RECORD_HEAD_MAX];
	struct scan scan;
	struct stat info;
	ssize_t n = pread(file->fd, head, sizeof(head), (off_t)row->offset);

	if (n < RECORD_HEAD || fstat(file->fd, &info) != 0 ||
	    record_decode(r, head, (size_t)n, file->seed, row->offset) != RECORD_OK ||
	    row->offset + record_length(r) > (uint64_t)info.st_size)
		return FAULT_NO_RECORD;
	k->octets += (uint64_t)n;
	if (!message_row_is_of(row, key, r))
		return FAULT_OTHER_RECORD;
	if (!text)
		return FAULT_KINDS;
	scan_begin(&scan, file->fd, (uint64_t)info.st_size, file->seed, row->offset, k->window);
	scan.read = checker_reads;
	scan.arg = k;
	if ((scan_next(&scan) == SCAN_RECORD && scan_verify(&scan)) || scan.stopped)
		return FAULT_KINDS;
	return FAULT_TEXT;
}

enum fault_kind judge_message(struct checker *k, const unsigned char key[KEY_MESSAGE],
			      const struct message_row *row, bool text, struct record *r)
{
	int status;
	struct file *file = files_get(k->store, row->segment, true, &status);
	enum fault_kind kind;

	if (!file)
		return FAULT_SEGMENT_MISSING;
	kind = judge_in(k, file, key, row, text, r);
	file_release(file);
	return kind;
}

/* The row as it is now; false: it is gone, or has become another's. */
static bool look_again(struct checker *k, struct checked_row *row, bool expunged)
{
	struct index *ix = &k->store->index;
	uint64_t account = get64be(row->key);
	uint32_t folder = get32be(row->key + 8), uid = get32be(row->key + 12);
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return false;
	rc = expunged ? index_tombstone(ix, txn, account, folder, uid, &row->row)
		      : index_message(ix, txn, account, folder, uid, &row->row);
	index_read_end(ix, txn);
	return rc == 0;
}

static void check_row(struct checker *k, struct checked_row *row, bool expunged)
{
	struct fault f = {.account = get64be(row->key),
			  .folder = get32be(row->key + 8),
			  .uid = get32be(row->key + 12),
			  .expunged = expunged};
	struct record r;
	bool text = k->texts && k->only;

	f.kind = judge_message(k, row->key, &row->row, text, &r);
	/* Compaction may have moved it, or somebody expunged it, since the row was read. */
	for (int i = 0; f.kind != FAULT_KINDS && i < JUDGE_TRIES; i++) {
		uint32_t segment = row->row.segment;
		uint64_t offset = row->row.offset;

		if (!look_again(k, row, expunged))
			return;
		if (row->row.segment == segment && row->row.offset == offset)
			break;
		f.kind = judge_message(k, row->key, &row->row, text, &r);
	}
	k->pass.messages++;
	if (text)
		k->pass.octets += row->row.octets;
	if (f.kind == FAULT_KINDS)
		return;
	f.segment = row->row.segment;
	f.offset = row->row.offset;
	f.octets = row->row.octets;
	memcpy(f.uidl, row->row.uidl, sizeof(f.uidl));
	checker_add(k, &f);
}

/* The folder's next rows from *uid on, which moves on; 0: no more. */
static unsigned next_rows(struct checker *k, MDB_dbi dbi, uint64_t account, uint32_t folder,
			  uint64_t *uid)
{
	struct index *ix = &k->store->index;
	struct checked_row *rows = k->rows;
	unsigned char key[KEY_MESSAGE];
	MDB_val key_val = {.mv_size = KEY_MESSAGE, .mv_data = key}, v;
	MDB_cursor *c;
	MDB_txn *txn;
	unsigned n = 0;
	int rc;

	if (*uid > UINT32_MAX || (k->error = index_read(ix, &txn)) != 0)
		return 0;
	key_message(key, account, folder, (uint32_t)*uid);
	rc = k->error = mdb_cursor_open(txn, dbi, &c);
	if (rc == 0) {
		rc = mdb_cursor_get(c, &key_val, &v, MDB_SET_RANGE);
		for (; rc == 0 && n < ROWS_AT_ONCE;
		     rc = mdb_cursor_get(c, &key_val, &v, MDB_NEXT)) {
			if (key_val.mv_size != KEY_MESSAGE ||
			    memcmp(key_val.mv_data, key, KEY_FOLDER) != 0)
				break;
			memcpy(rows[n].key, key_val.mv_data, KEY_MESSAGE);
			*uid = (uint64_t)get32be(rows[n].key + 12) + 1;
			/* One that fails its checksum was found when the folder was counted. */
			if (message_row_get(&rows[n].row, rows[n].key, ix->tag, v.mv_data,
					    v.mv_size))
				n++;
		}
		mdb_cursor_close(c);
	}
	index_read_end(ix, txn);
	return n;
}

bool check_messages(struct checker *k, bool expunged)
{
	struct index *ix = &k->store->index;
	struct checked_row *rows = k->rows;
	struct pass *p = &k->pass;
	unsigned n = next_rows(k, expunged ? ix->tombstones : ix->messages, p->account,
			       (uint32_t)p->folder, &p->uid);

	for (unsigned i = 0; i < n; i++)
		check_row(k, &rows[i], expunged);
	return n > 0;
}
