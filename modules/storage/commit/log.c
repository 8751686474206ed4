/*
 * log.c - the segment that this process appends to: finding one, rolling it, and cutting back what
 * another process left of its own when it died.
 */
#include "log.h"

#include "format/bytes.h"
#include "store.h"
#include "trouble.h"

#include <errno.h>
#include <unistd.h>

/* ---- the segment this process appends to ---- */

struct segment_choice {
	uint32_t id;
	uint64_t end;
};

static unsigned list_choices(struct store *st, MDB_txn *txn, struct segment_choice *choices,
			     unsigned max)
{
	MDB_cursor *c;
	MDB_val k, v;
	unsigned n = 0;

	if (mdb_cursor_open(txn, st->index.segments, &c) != 0)
		return 0;
	for (MDB_cursor_op op = MDB_LAST; n < max; op = MDB_PREV) {
		struct segment_row row;
		uint32_t id;

		if (mdb_cursor_get(c, &k, &v, op) != 0 || k.mv_size != 4)
			break;
		id = get32be(k.mv_data);
		if (segment_row_get(&row, id, v.mv_data, v.mv_size) && row.kind == SEGMENT_LOG &&
		    row.flags == 0 && row.end < st->options.segment_size)
			choices[n++] = (struct segment_choice){id, row.end};
	}
	mdb_cursor_close(c);
	return n;
}

/* The newest segment that nobody writes and that has room. */
static int resume_some(struct store *st, struct segment *out)
{
	struct segment_choice choices[16];
	MDB_txn *txn;
	unsigned n;
	int rc = index_read(&st->index, &txn);

	if (rc != 0)
		return index_status(rc);
	n = list_choices(st, txn, choices, 16);
	index_read_end(&st->index, txn);
	for (unsigned i = 0; i < n; i++) {
		if (segment_resume(st, choices[i].id, choices[i].end, out) != PSTN_OK)
			continue;
		/* Whoever writes next cuts what the dead process left here, and must get at it. */
		if (atomic_load(&st->shared->inflight) != choices[i].id)
			return PSTN_OK;
		segment_close(out, false);
		out->fd = -1;
	}
	return PSTN_E_NOT_FOUND;
}

int log_ready(struct store *st)
{
	struct segment s = {.fd = -1};
	int status;

	if (st->log.fd >= 0)
		return PSTN_OK;
	status = resume_some(st, &s);
	if (status != PSTN_OK)
		status = segment_create(st, SEGMENT_LOG, &s);
	if (status != PSTN_OK)
		return status;
	pthread_mutex_lock(&st->commit.log);
	st->log = s;
	pthread_mutex_unlock(&st->commit.log);
	return PSTN_OK;
}

/* A full segment is sealed and another one begun. On a full disk the old one serves on. */
int log_roll(struct store *st, struct apply *a)
{
	struct segment next;
	struct segment_row *row;
	int rc, status;

	if (st->log.end < st->options.segment_size && !atomic_exchange(&st->commit.roll, false))
		return PSTN_OK;
	status = segment_create(st, SEGMENT_LOG, &next);
	if (status != PSTN_OK)
		return status == PSTN_E_FULL ? PSTN_OK : status;
	rc = apply_segment(a, st->log.id, &row);
	if (rc != 0) {
		segment_discard(st, &next);
		return index_status(rc);
	}
	row->flags |= SEGMENT_SEALED;
	pthread_mutex_lock(&st->commit.log);
	segment_close(&st->log, false);
	st->log = next;
	pthread_mutex_unlock(&st->commit.log);
	return PSTN_OK;
}

/* ---- a group that failed ---- */

int log_take_back(struct store *st, struct segment *large, bool *unsure)
{
	unsigned char none[RECORD_HEAD] = {0};
	struct iovec v = {none, sizeof(none)};
	int rc;

	pthread_mutex_lock(&st->commit.log);
	rc = segment_cut(&st->log, st->log.end, unsure);
	pthread_mutex_unlock(&st->commit.log);
	if (rc == 0 && large)
		rc = segment_write(large, &v, 1, SEGMENT_HEAD);
	/* If this fails its file can go as a whole. */
	if (rc == 0 && large)
		rc = segment_sync(large);
	return rc;
}

/* A large message that no index knows. */
static int drop_large(struct store *st, struct apply *a, uint32_t id)
{
	struct segment_row known;
	char name[SEGMENT_NAME];
	int rc = index_segment(a->index, a->txn, id, &known);

	if (rc != MDB_NOTFOUND)
		return index_status(rc);
	segment_name(name, id);
	if ((unlinkat(st->segment_dir, name, 0) != 0 && errno != ENOENT) ||
	    fsync(st->segment_dir) != 0)
		return PSTN_E_TEMPORARY;
	return PSTN_OK;
}

/* What could not be taken back when it failed. */
static int cut_own(struct store *st, struct apply *a)
{
	uint32_t large = (uint32_t)atomic_load(&st->shared->inflight_large);
	bool unsure;
	int rc;

	pthread_mutex_lock(&st->commit.log);
	rc = segment_cut(&st->log, st->log.end, &unsure);
	pthread_mutex_unlock(&st->commit.log);
	if (unsure)
		trouble_broken(st, rc, TROUBLE_NOT_TAKEN_BACK);
	if (rc != 0 || (large && drop_large(st, a, large) != PSTN_OK))
		return PSTN_E_TEMPORARY;
	atomic_store(&st->shared->inflight, 0);
	atomic_store(&st->shared->inflight_large, 0);
	trouble_cut(st);
	return PSTN_OK;
}

void log_cut_now(struct store *st)
{
	struct apply a;

	if (!st->commit.uncut || st->commit.broken || apply_begin(&a, &st->index) != 0)
		return;
	log_heal(st, &a);
	apply_abort(&a);
}

/* ---- what another process left ---- */

static int cut_log(struct store *st, struct apply *a, uint32_t id)
{
	struct segment_row *row;
	struct segment dead;
	bool unsure;
	int rc = apply_segment(a, id, &row), status;

	if (rc != 0)
		return index_status(rc);
	status = segment_resume(st, id, row->end, &dead);
	if (status == PSTN_E_NOT_FOUND)
		return PSTN_OK;
	if (status == PSTN_OK) {
		rc = segment_cut(&dead, row->end, &unsure);
		if (unsure)
			trouble_broken(st, rc, TROUBLE_NOT_TAKEN_BACK);
		status = rc == 0 ? PSTN_OK : PSTN_E_TEMPORARY;
		segment_close(&dead, false);
	}
	return status;
}

/* The segment's writer lives. Usually it has just committed and will clear the page; if its commit
 * failed, it is cutting its segment back, and nobody may write before that is done. */
static bool owner_is_through(struct store *st, struct apply *a, uint32_t id)
{
	struct segment_row *row;

	return apply_segment(a, id, &row) == 0 &&
	       row->end >= atomic_load(&st->shared->inflight_end);
}

/* Whatever is behind what the index knows was not acknowledged, and its uids will be given again:
 * it must be gone, durably, before this process writes. */
int log_heal(struct store *st, struct apply *a)
{
	uint32_t id = (uint32_t)atomic_load(&st->shared->inflight);
	uint32_t large = (uint32_t)atomic_load(&st->shared->inflight_large);
	int status = PSTN_OK;

	if (st->commit.uncut)
		return cut_own(st, a);
	if ((id == 0 && large == 0) || id == st->log.id)
		return PSTN_OK;
	if (id)
		status = cut_log(st, a, id);
	if (status == PSTN_E_BUSY)
		return owner_is_through(st, a, id) ? PSTN_OK : PSTN_E_BUSY;
	if (status == PSTN_OK && large)
		status = drop_large(st, a, large);
	if (status == PSTN_OK) {
		atomic_store(&st->shared->inflight, 0);
		atomic_store(&st->shared->inflight_large, 0);
	}
	return status;
}
