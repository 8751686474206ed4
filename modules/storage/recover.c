/*
 * recover.c - from segments to index. The segments are merged by the sequence number of their
 * groups; every record goes through apply.c, as it did when it was committed.
 */
#include "recover.h"

#include "group.h"
#include "scan.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDS_AT_ONCE       2000
#define BATCHES_TO_CHECKPOINT 25

struct source { /* a segment that may have something new */
	struct source *next;
	uint32_t id, kind;
	int fd;            /* -1: not begun */
	uint64_t from;     /* where the index's knowledge ends */
	uint64_t sequence; /* of the first record not yet applied */
	uint64_t seed, size;
	bool has_record, done;
	bool keep; /* something unreadable is at its end: never write there */
	struct scan scan;
};

struct recovery {
	struct store *store;
	struct source *sources;
	struct source *kept; /* done, and to be sealed */
	struct apply apply;
	bool rebuilding;
	uint64_t records;
	char *err;
	size_t err_size;
};

static int fail(struct recovery *r, uint32_t segment, const char *what)
{
	snprintf(r->err, r->err_size, "%s/segments/%08u.seg: %s", r->store->path, segment, what);
	return -1;
}

/* ---- telling ---- */

static void tell(struct recovery *r, int level, const char *event, const struct source *s,
		 uint64_t from, uint64_t to)
{
	struct store *st = r->store;
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	st->host->log(PSTN_EVENT(st->self, NULL, level, event, PSTN_S("path", st->path),
				 PSTN_S("segment", name), PSTN_U("offset", from),
				 PSTN_U("octets", to - from)));
}

static void tell_damage(struct recovery *r, const struct source *s)
{
	struct store *st = r->store;
	const struct record *rec = &s->scan.record;
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_ERROR, "record-damaged",
				 PSTN_S("segment", name), PSTN_U("offset", s->scan.at),
				 PSTN_U("account", rec->account), PSTN_U("folder", rec->folder),
				 PSTN_U("uid", rec->uid)));
	st->host->count(st->self, METRIC_DAMAGED, 1);
}

/* ---- sources ---- */

static void end_source(struct recovery *r, struct source *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	store_free(r->store, s->scan.window);
	s->scan.window = NULL;
}

static void free_sources(struct recovery *r, struct source **list)
{
	while (*list) {
		struct source *next = (*list)->next;

		end_source(r, *list);
		store_free(r->store, *list);
		*list = next;
	}
}

static int open_source(struct recovery *r, struct source *s)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	struct stat info;
	char name[SEGMENT_NAME];
	enum record_verdict verdict = RECORD_BAD;

	segment_name(name, s->id);
	s->fd = openat(r->store->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0 || fstat(s->fd, &info) != 0)
		return fail(r, s->id, strerror(errno));
	if (pread(s->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes))
		verdict = segment_head_decode(&head, bytes, sizeof(bytes));
	if (verdict == RECORD_UNKNOWN)
		return fail(r, s->id, "is of a later format than this version of the server reads");
	s->size = (uint64_t)info.st_size;
	if (verdict == RECORD_OK && memcmp(head.store, r->store->uuid, sizeof(head.store)) != 0)
		return fail(r, s->id, "belongs to another store; move it away");
	if (verdict == RECORD_BAD || head.id != s->id) {
		/* Its seed is lost, so nothing in it can be told from mail: it is left alone. */
		tell(r, PSTN_ERROR, "segment-unreadable", s, 0, s->size);
		s->done = true;
		close(s->fd);
		s->fd = -1;
		return 0;
	}
	s->seed = head.seed;
	s->kind = head.kind;
	return 0;
}

static int begin_scan(struct recovery *r, struct source *s)
{
	unsigned char *window = store_alloc(r->store, SCAN_WINDOW);

	if (!window)
		return fail(r, s->id, "no memory to read it");
	scan_begin(&s->scan, s->fd, s->size, s->seed, s->from, window);
	return 0;
}

/* Whether the file ends as a writer that stopped in order leaves it, or one that never committed. */
static bool ended_well(struct source *s)
{
	unsigned char head[RECORD_HEAD];
	static const unsigned char none[RECORD_HEAD];

	if (s->kind == SEGMENT_LARGE && s->scan.at == SEGMENT_HEAD)
		return pread(s->fd, head, sizeof(head), SEGMENT_HEAD) >= 0 &&
		       memcmp(head, none, sizeof(head)) == 0;
	return scan_clean_end(&s->scan);
}

static int cut(struct recovery *r, struct source *s, uint64_t end)
{
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	if (end == SEGMENT_HEAD) {
		if (unlinkat(r->store->segment_dir, name, 0) != 0)
			return fail(r, s->id, strerror(errno));
	} else if (ftruncate(s->fd, (off_t)end) != 0 || fsync(s->fd) != 0) {
		return fail(r, s->id, strerror(errno));
	}
	return 0;
}

/*
 * What is behind the last sound record goes: a group that was being written when the process died,
 * of which nobody was told. When the index is made anew the same may be an old record that the
 * disk has damaged: then it stays, for whoever can read it, and nothing is written behind it.
 */
static int finish_source(struct recovery *r, struct source *s)
{
	uint64_t end = s->scan.at;
	bool well = ended_well(s);
	int rc = 0;

	s->done = true;
	s->has_record = false;
	s->keep = !well && r->rebuilding;
	if (s->keep)
		tell(r, PSTN_ERROR, "segment-damaged", s, end, s->size);
	else if (!well)
		tell(r, PSTN_WARNING, "segment-tail-cut", s, end, s->size);
	if (!s->keep)
		rc = cut(r, s, end);
	end_source(r, s);
	return rc;
}

/* Another record of the same segment and of a later group follows: this one was synced before,
 * and somebody was told that it is safe. A large message's head is written last. */
static bool was_committed(struct source *s)
{
	struct scan ahead = s->scan;
	enum scan_result result;

	if (s->kind == SEGMENT_LARGE)
		return true;
	do {
		result = scan_next(&ahead);
	} while (result == SCAN_GAP);
	/* Both share the window. */
	s->scan.window_at = ahead.window_at;
	s->scan.window_length = ahead.window_length;
	return result == SCAN_RECORD && ahead.record.sequence > s->scan.record.sequence;
}

/* Whether the record may be applied. A message that was committed and is damaged is kept: it shows
 * in its folder, and reading it says so. */
static bool usable(struct recovery *r, struct source *s)
{
	struct scan *scan = &s->scan;
	bool committed = scan->record.type == RECORD_MESSAGE && was_committed(s);

	if (committed && r->rebuilding)
		return true;
	if (scan_verify(scan))
		return true;
	if (committed) {
		tell_damage(r, s);
		return true;
	}
	tell(r, PSTN_WARNING, "record-incomplete", s, scan->at, scan->next);
	return false;
}

/* Step to the next record that counts. */
static int advance(struct recovery *r, struct source *s)
{
	for (;;) {
		switch (scan_next(&s->scan)) {
		case SCAN_RECORD:
			if (!usable(r, s))
				continue;
			s->has_record = true;
			s->sequence = s->scan.record.sequence;
			return 0;
		case SCAN_GAP:
			tell(r, PSTN_ERROR, "segment-damaged", s, s->scan.at, s->scan.next);
			r->store->host->count(r->store->self, METRIC_DAMAGED, 1);
			continue;
		case SCAN_UNKNOWN:
			return fail(r, s->id,
				    "holds records of a later version of the server; "
				    "start that version, or restore a backup");
		case SCAN_END:
			return s->scan.failed ? fail(r, s->id, strerror(errno))
					      : finish_source(r, s);
		}
	}
}

/* Opens the segment and finds its first record that counts. A rebuild has thousands of segments,
 * of which few overlap: the window goes until the segment's turn comes. */
static int begin_source(struct recovery *r, struct source *s)
{
	if (open_source(r, s) != 0)
		return -1;
	if (s->done)
		return 0;
	if (s->size <= s->from) {
		s->done = true;
		close(s->fd);
		s->fd = -1;
		return 0;
	}
	if (begin_scan(r, s) != 0 || advance(r, s) != 0)
		return -1;
	return 0;
}

static void park(struct recovery *r, struct source *s)
{
	if (s->done)
		return;
	s->from = s->scan.at;
	end_source(r, s);
}

static int unpark(struct recovery *r, struct source *s)
{
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	s->fd = openat(r->store->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return fail(r, s->id, strerror(errno));
	return begin_scan(r, s) == 0 ? advance(r, s) : -1;
}

static int add_source(struct recovery *r, uint32_t id)
{
	struct segment_row row = {.end = SEGMENT_HEAD};
	struct source *s;
	MDB_txn *txn;
	int rc = index_read(&r->store->index, &txn);

	if (rc != 0)
		return fail(r, id, index_error(rc));
	rc = index_segment(&r->store->index, txn, id, &row);
	index_read_end(&r->store->index, txn);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return fail(r, id, index_error(rc));
	if (row.flags & SEGMENT_SEALED)
		return 0;
	s = store_alloc(r->store, sizeof(*s));
	if (!s)
		return fail(r, id, "no memory to read it");
	s->id = id;
	s->fd = -1;
	s->from = row.end;
	s->next = r->sources;
	r->sources = s;
	rc = begin_source(r, s);
	if (rc == 0)
		park(r, s);
	return rc;
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
		char *end;
		unsigned long id = strtoul(e->d_name, &end, 10);

		if (end != e->d_name && strcmp(end, ".seg") == 0 && id > 0 && id < UINT32_MAX)
			rc = segment(r, (uint32_t)id);
		else if (strncmp(e->d_name, SEGMENT_TEMPORARY, strlen(SEGMENT_TEMPORARY)) == 0)
			segment_sweep(st, e->d_name);
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
		if (s->keep)
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
	if (rc == EINVAL) {
		tell_damage(r, s);
		rc = 0;
	}
	if (rc == 0)
		rc = apply_segment(&r->apply, s->id, &row);
	if (rc != 0)
		return rc;
	row->kind = s->kind;
	row->end = s->scan.next;
	if (s->kind == SEGMENT_LARGE)
		row->flags |= SEGMENT_SEALED;
	row->other = row->end - SEGMENT_HEAD - row->live - row->dead;
	if (rec->sequence > r->apply.state.sequence)
		r->apply.state.sequence = rec->sequence;
	r->records++;
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
		if (s->fd < 0 && unpark(r, s) != 0) {
			apply_abort(&r->apply);
			return -1;
		}
		rc = apply_one(r, s);
		if (rc == 0 && advance(r, s) != 0) {
			apply_abort(&r->apply);
			return -1;
		}
		if (rc != 0) {
			apply_abort(&r->apply);
			goto failed;
		}
	}
	rc = apply_end(&r->apply);
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
		if (batches % BATCHES_TO_CHECKPOINT == 0)
			checkpoint_take(&r->store->checkpoint, &r->store->index);
	}
}

static int seal_kept(struct recovery *r)
{
	for (const struct source *s = r->kept; s; s = s->next) {
		struct segment_row *row;
		int rc = apply_segment(&r->apply, s->id, &row);

		if (rc != 0)
			return rc;
		row->kind = s->kind;
		row->flags |= SEGMENT_SEALED;
	}
	return 0;
}

static int mark_complete(struct recovery *r)
{
	int rc = apply_begin(&r->apply, &r->store->index);

	if (rc == 0) {
		r->apply.state.building = false;
		rc = seal_kept(r);
		if (rc == 0)
			rc = apply_end(&r->apply);
		else
			apply_abort(&r->apply);
	}
	if (rc == 0)
		return 0;
	snprintf(r->err, r->err_size, "%s/index: %s", r->store->path, index_error(rc));
	return -1;
}

int recover(struct store *st, char *err, size_t n)
{
	struct recovery r = {.store = st, .err = err, .err_size = n};
	uint64_t begun = store_time();
	int rc;

	do {
		r.rebuilding = st->building;
		rc = each_file(&r, add_source);
		drop_done(&r);
		if (rc == 0)
			rc = merge(&r);
		free_sources(&r, &r.sources);
		/* What was committed so far stays; the rest is read again. */
	} while (rc == -2 && index_grow(&st->index) == 0);
	if (rc == 0 && st->building)
		rc = mark_complete(&r);
	st->rebuilt = st->building && r.records > 0;
	free_sources(&r, &r.kept);
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
	rc = group_heal(st, &r.apply) == PSTN_OK ? each_file(&r, sweep_segment) : EIO;
	if (rc == 0)
		return apply_end(&r.apply);
	apply_abort(&r.apply);
	return EIO;
}
