/*
 * recover.c - from segments to index. The segments are merged by the sequence number of their
 * groups; every record goes through apply.c, as it did when it was committed.
 */
#include "recover.h"

#include "commit/log.h"
#include "format/bytes.h"
#include "numbers.h"
#include "selftest.h"
#include "source.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_AT_ONCE       2000
#define BATCHES_TO_CHECKPOINT 8

/* The index on disk says that nothing of the segment is needed. */
static int drop_gone(struct recovery *r, uint32_t id)
{
	char name[SEGMENT_NAME];

	segment_name(name, id);
	if (unlinkat(r->store->segment_dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* Its row says that nothing in it counts; compaction tries again and goes no further. */
	r->store->host->log(PSTN_EVENT(r->store->self, NULL, PSTN_WARNING, "segment-not-removed",
				       PSTN_S("path", r->store->path), PSTN_S("segment", name),
				       PSTN_S("error", strerror(errno))));
	return 0;
}

static int add_source(struct recovery *r, uint32_t id)
{
	struct segment_row row = {.end = SEGMENT_HEAD};
	struct source *s;
	MDB_txn *txn;
	int rc = index_read(&r->store->index, &txn);

	if (rc != 0)
		return recovery_fail(r, id, index_error(rc));
	rc = index_segment(&r->store->index, txn, id, &row);
	index_read_end(&r->store->index, txn);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return recovery_fail(r, id, index_error(rc));
	if (row.flags & SEGMENT_GONE)
		return drop_gone(r, id);
	if (id > r->highest)
		r->highest = id;
	if (row.flags & SEGMENT_SEALED)
		return 0;
	s = store_alloc(r->store, sizeof(*s));
	if (!s)
		return recovery_fail(r, id, "no memory to read it");
	s->id = id;
	s->fd = -1;
	s->from = row.end;
	s->next = r->sources;
	r->sources = s;
	rc = source_begin(r, s);
	if (rc == 0 && !s->done)
		r->total += s->size - s->from;
	return rc;
}

/* Which group comes first in each segment is known now. */
static int find_first_records(struct recovery *r)
{
	int rc = 0;

	for (struct source *s = r->sources; rc == 0 && s; s = s->next) {
		if (s->done)
			continue;
		rc = source_unpark(r, s);
		if (rc == 0)
			source_park(r, s);
	}
	return rc;
}

static void tell_stray(const struct store *st, const char *name)
{
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "segment-stray",
				 PSTN_S("path", st->path), PSTN_S("file", name),
				 PSTN_S("hint", "It is none of the store's and is left alone; a "
						"segment's name is its number with eight digits "
						"and .seg.")));
}

static int each_file(struct recovery *r, int (*segment)(struct recovery *, uint32_t id))
{
	struct store *st = r->store;
	int fd = openat(st->segment_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (!dir) {
		snprintf(r->err, r->err_size, "%s/segments: %s", st->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		uint32_t id = segment_number(e->d_name);

		if (id)
			rc = segment(r, id);
		else if (strncmp(e->d_name, SEGMENT_TEMPORARY, strlen(SEGMENT_TEMPORARY)) == 0)
			segment_sweep(st, e->d_name);
		else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			tell_stray(st, e->d_name);
	}
	closedir(dir);
	return rc;
}

/* ---- merging ---- */

/* The one whose next record was committed first; within a group the log comes before large
 * messages, because it tells of accounts and folders. */
static struct source *first_of(struct recovery *r)
{
	struct source *best = NULL;

	for (struct source *s = r->sources; s; s = s->next) {
		if (!s->has_record)
			continue;
		if (!best || s->sequence < best->sequence ||
		    (s->sequence == best->sequence && s->kind < best->kind))
			best = s;
	}
	return best;
}

static void drop_done(struct recovery *r)
{
	struct source **at = &r->sources;

	while (*at) {
		struct source *s = *at;

		if (!s->done) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->next = r->kept;
		if (s->keep || s->doubtful)
			r->kept = s;
		else
			store_free(r->store, s);
	}
}

static int apply_one(struct recovery *r, struct source *s)
{
	const struct record *rec = &s->scan.record;
	const unsigned char *body = NULL;
	struct segment_row *row;
	int rc;

	if (rec->type != RECORD_MESSAGE) {
		body = scan_body(&s->scan);
		if (!body)
			return EIO;
	}
	rc = apply_record(&r->apply, rec, body, s->id, s->scan.at);
	if (rc == EEXIST)
		rc = numbers_anew(r, s);
	if (rc == EINVAL) {
		recovery_tell_damage(r, s);
		rc = 0;
	}
	if (rc == 0)
		rc = apply_segment(&r->apply, s->id, &row);
	if (rc != 0)
		return rc;
	row->kind = s->kind;
	row->end = s->scan.next;
	if (rec->time > row->last)
		row->last = rec->time;
	if (s->id > r->apply.state.segment)
		r->apply.state.segment = s->id;
	if (s->kind == SEGMENT_LARGE)
		row->flags |= SEGMENT_SEALED;
	row->other = row->end - SEGMENT_HEAD - row->live - row->dead;
	if (rec->sequence > r->apply.state.sequence + 1)
		r->hole = rec->sequence - 1;
	if (rec->sequence > r->apply.state.sequence)
		r->apply.state.sequence = rec->sequence;
	r->records++;
	r->octets += s->scan.next - s->scan.at;
	r->ahead = 0;
	return 0;
}

/* Some records under one transaction. 1: there may be more. */
static int merge_some(struct recovery *r)
{
	struct source *s;
	int rc = apply_begin(&r->apply, &r->store->index);

	if (rc != 0)
		goto failed;
	for (unsigned n = 0; n < RECORDS_AT_ONCE && (s = first_of(r)) != NULL; n++) {
		if (s->fd < 0 && source_unpark(r, s) != 0) {
			apply_abort(&r->apply);
			return -1;
		}
		rc = apply_one(r, s);
		if (rc == 0 && source_advance(r, s) != 0) {
			apply_abort(&r->apply);
			return -1;
		}
		if (rc != 0) {
			apply_abort(&r->apply);
			goto failed;
		}
	}
	r->apply.state.lost += r->lost;
	rc = apply_end(&r->apply);
	if (rc == 0)
		r->lost = 0;
	drop_done(r);
	if (rc == 0)
		return r->sources != NULL;
failed:
	snprintf(r->err, r->err_size, "%s/index: %s", r->store->path, index_error(rc));
	return rc == MDB_MAP_FULL ? -2 : -1;
}

static int merge(struct recovery *r)
{
	for (unsigned batches = 1;; batches++) {
		int rc = merge_some(r);

		if (rc <= 0)
			return rc;
		/* What shows that an end was committed has to be seen again if this is killed. */
		if (batches % BATCHES_TO_CHECKPOINT == 0 && (r->rebuilding || !r->kept))
			checkpoint_take(&r->store->checkpoint, &r->store->index);
	}
}

static int seal_kept(struct recovery *r)
{
	for (const struct source *s = r->kept; s; s = s->next) {
		struct segment_row *row;
		int rc;

		if (!s->keep)
			continue;
		rc = apply_segment(&r->apply, s->id, &row);
		if (rc != 0)
			return rc;
		row->kind = s->kind;
		row->flags |= SEGMENT_SEALED;
	}
	return 0;
}

static int settle(struct recovery *r)
{
	int rc = 0;

	for (struct source *s = r->kept; rc == 0 && s; s = s->next)
		rc = source_settle(r, s);
	return rc;
}

static int mark_complete(struct recovery *r)
{
	int rc = apply_begin(&r->apply, &r->store->index);

	if (rc == 0) {
		bool building = r->apply.state.building;

		r->apply.state.building = false;
		rc = seal_kept(r);
		if (rc == 0)
			rc = numbers_skip(r);
		if (rc == 0 && building)
			rc = selftest_forget(&r->apply);
		if (rc == 0)
			rc = apply_end(&r->apply);
		else
			apply_abort(&r->apply);
	}
	if (rc == 0)
		return 0;
	snprintf(r->err, r->err_size, "%s/index: %s", r->store->path, index_error(rc));
	return rc == MDB_MAP_FULL ? -2 : -1;
}

static int begin(struct recovery *r)
{
	struct state_row state;
	int rc = index_state_now(&r->store->index, &state);

	if (rc == 0) {
		r->begun = state.sequence;
		return 0;
	}
	snprintf(r->err, r->err_size, "%s/index: %s", r->store->path, index_error(rc));
	return -1;
}

int recover(struct store *st, char *err, size_t n)
{
	struct recovery r = {.store = st, .err = err, .err_size = n};
	uint64_t begun = store_time();
	int rc = begin(&r);

	if (rc != 0)
		return -1;
	do {
		source_free_all(&r, &r.kept);
		r.rebuilding = st->building;
		rc = each_file(&r, add_source);
		if (rc == 0)
			rc = find_first_records(&r);
		drop_done(&r);
		if (rc == 0)
			rc = merge(&r);
		source_free_all(&r, &r.sources);
		/* What was committed so far stays; the rest is read again. */
	} while (rc == -2 && index_grow(&st->index) == 0);
	if (rc == 0)
		rc = settle(&r);
	if (rc == 0 && (st->building || r.kept || r.lost || r.apply.state.lost)) {
		do
			rc = mark_complete(&r);
		while (rc == -2 && index_grow(&st->index) == 0);
	}
	st->rebuilt = st->building && r.records > 0;
	source_free_all(&r, &r.kept);
	st->recovered_records = r.records;
	st->recovered_ms = store_time() - begun;
	return rc == 0 ? 0 : -1;
}

/* ---- what dead processes left ---- */

static int sweep_segment(struct recovery *r, uint32_t id)
{
	struct segment_row row;
	char name[SEGMENT_NAME];
	int rc = index_segment(&r->store->index, r->apply.txn, id, &row);

	segment_name(name, id);
	if (rc == MDB_NOTFOUND)
		segment_sweep(r->store, name);
	return 0;
}

int recover_litter(struct store *st)
{
	char err[256];
	struct recovery r = {.store = st, .err = err, .err_size = sizeof(err)};
	int rc = apply_begin(&r.apply, &st->index);

	if (rc != 0)
		return rc;
	rc = log_heal(st, &r.apply) == PSTN_OK ? each_file(&r, sweep_segment) : EIO;
	if (rc == 0)
		return apply_end(&r.apply);
	apply_abort(&r.apply);
	return EIO;
}
