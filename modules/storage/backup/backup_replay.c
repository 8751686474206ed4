/*
 * backup_replay.c - an index of a snapshot. The segments are merged by the sequence number of their
 * groups, and every record goes through apply.c, as it did when it was committed.
 *
 * recover.c does the same to the store's own segments, which it may cut and seal; these are only
 * read, may be thousands, and come from posternctl one by one.
 */
#include "backup_replay.h"

#include "index/apply.h"
#include "segment/scan.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY       "restore" /* below the store's */
#define RECORDS_AT_ONCE 2000
#define OPEN_MAX        32
/* Address space, not disk: the index grows as it needs. */
#define MAP_SIZE ((size_t)64 << 30)

struct source {
	const struct backup_segment *segment;
	int fd; /* -1: its turn has not come, or it is set aside */
	struct scan scan;
	uint64_t from;     /* where to go on */
	uint64_t sequence; /* of the next record */
};

struct merge {
	const struct backup *backup;
	const struct manifest *manifest;
	struct index *index;
	struct apply apply;
	struct source *sources;
	struct source **heap; /* the next record to be applied is the first one's */
	size_t count;
	unsigned opened;
	uint64_t done, total; /* octets */
	uint64_t damaged;
};

/* ---- sources ---- */

static bool fail(struct merge *m, const struct source *s, const char *what)
{
	char path[BACKUP_PATH];

	backup_segment_path(s->segment, path);
	backup_fail(m->backup, path, what);
	return false;
}

static void tell_damage(struct merge *m, const struct source *s, uint64_t from, uint64_t to)
{
	char path[BACKUP_PATH];

	m->damaged++;
	backup_segment_path(s->segment, path);
	m->backup->ops->note(m->backup->call,
			     "%s/%s: %" PRIu64 " octets at %" PRIu64
			     " are damaged and left out; `backup verify` tells more",
			     m->backup->path, path, to - from, from);
}

static void set_aside(struct merge *m, struct source *s)
{
	if (s->fd < 0)
		return;
	s->from = s->scan.at;
	close(s->fd);
	s->fd = -1;
	store_free(m->backup->store, s->scan.window);
	m->opened--;
}

static bool take_up(struct merge *m, struct source *s)
{
	unsigned char *window;
	char path[BACKUP_PATH];

	if (s->fd >= 0)
		return true;
	backup_segment_path(s->segment, path);
	s->fd = backup_open(m->backup, path, PSTN_FILE_READ);
	if (s->fd < 0) {
		backup_fail_errno(m->backup, path, errno);
		return false;
	}
	window = store_alloc(m->backup->store, SCAN_WINDOW);
	if (!window) {
		close(s->fd);
		s->fd = -1;
		m->backup->ops->fail(m->backup->call, "There is not enough memory.");
		return false;
	}
	m->opened++;
	scan_begin(&s->scan, s->fd, s->segment->length, s->segment->seed, s->from, window);
	s->scan.at = s->from;
	return true;
}

/* Moves on to the next record that counts. *more: there is one. A message's text is looked at when
 * it is delivered. */
static bool advance(struct merge *m, struct source *s, bool *more)
{
	uint64_t before = s->scan.at;

	for (*more = false; !*more;) {
		switch (scan_next(&s->scan)) {
		case SCAN_RECORD:
			*more = s->scan.record.type == RECORD_MESSAGE || scan_verify(&s->scan);
			if (!*more)
				tell_damage(m, s, s->scan.at, s->scan.next);
			break;
		case SCAN_GAP:
			tell_damage(m, s, s->scan.at, s->scan.next);
			break;
		case SCAN_UNKNOWN:
			return fail(m, s,
				    "has records of a later version of the server; use that "
				    "version");
		case SCAN_END:
			if (s->scan.at < s->segment->length)
				tell_damage(m, s, s->scan.at, s->segment->length);
			s->scan.at = s->segment->length;
			m->done += s->scan.at - before;
			return true;
		}
	}
	s->sequence = s->scan.record.sequence;
	m->done += s->scan.at - before;
	return true;
}

/* ---- the order of groups ---- */

/* Within a group the log comes before large messages, because it tells of accounts and folders. */
static bool comes_before(const struct source *a, const struct source *b)
{
	return a->sequence != b->sequence ? a->sequence < b->sequence
					  : a->segment->kind < b->segment->kind;
}

static void sift_down(struct merge *m, size_t at)
{
	for (size_t child; (child = 2 * at + 1) < m->count; at = child) {
		struct source *s = m->heap[at];

		if (child + 1 < m->count && comes_before(m->heap[child + 1], m->heap[child]))
			child++;
		if (!comes_before(m->heap[child], s))
			return;
		m->heap[at] = m->heap[child];
		m->heap[child] = s;
	}
}

/* ---- applying ---- */

static int apply_one(struct merge *m, struct source *s)
{
	const struct record *r = &s->scan.record;
	const unsigned char *body = NULL;
	int rc;

	if (r->type != RECORD_MESSAGE) {
		body = scan_body(&s->scan);
		if (!body)
			return EIO;
	}
	rc = apply_record(&m->apply, r, body, s->segment->id, s->scan.at);
	if (rc != EINVAL && rc != EEXIST)
		return rc;
	tell_damage(m, s, s->scan.at, s->scan.next);
	return 0;
}

static bool step(struct merge *m)
{
	struct source *s = m->heap[0];
	bool more;
	int rc;

	if (s->fd < 0 && (!take_up(m, s) || !advance(m, s, &more)))
		return false;
	rc = apply_one(m, s);
	if (rc != 0)
		return fail(m, s, index_error(rc));
	if (!advance(m, s, &more))
		return false;
	if (!more || m->opened > OPEN_MAX)
		set_aside(m, s);
	if (!more)
		m->heap[0] = m->heap[--m->count];
	sift_down(m, 0);
	return true;
}

static bool merge_some(struct merge *m)
{
	const struct backup *b = m->backup;
	int rc = apply_begin(&m->apply, m->index);

	for (unsigned n = 0; rc == 0 && n < RECORDS_AT_ONCE && m->count > 0; n++) {
		if (!step(m)) {
			apply_abort(&m->apply);
			return false;
		}
	}
	if (rc == 0)
		rc = apply_end(&m->apply);
	if (rc != 0) {
		b->ops->fail(b->call, "%s/" DIRECTORY ": %s.", b->store->path, index_error(rc));
		return false;
	}
	b->ops->progress(b->call, m->done, m->total, "octets read");
	if (!b->ops->cancelled(b->call))
		return true;
	b->ops->fail(b->call, "Cancelled; nothing was restored.");
	return false;
}

/* ---- all of it ---- */

static bool gather(struct merge *m)
{
	const struct manifest *from = m->manifest;
	struct store *st = m->backup->store;

	m->sources = store_alloc(st, (from->nsegments + 1) * sizeof(*m->sources));
	m->heap = store_alloc(st, (from->nsegments + 1) * sizeof(struct source *));
	if (!m->sources || !m->heap) {
		m->backup->ops->fail(m->backup->call, "There is not enough memory.");
		return false;
	}
	for (size_t i = 0; i < from->nsegments; i++) {
		struct source *s = &m->sources[i];
		bool more;

		*s = (struct source){.segment = &from->segments[i], .fd = -1, .from = SEGMENT_HEAD};
		m->total += s->segment->length - SEGMENT_HEAD;
		if (!take_up(m, s) || !advance(m, s, &more))
			return false;
		set_aside(m, s);
		if (more)
			m->heap[m->count++] = s;
	}
	for (size_t i = m->count; i-- > 0;)
		sift_down(m, i);
	return true;
}

static bool merge(struct merge *m)
{
	bool good = gather(m);

	while (good && m->count > 0)
		good = merge_some(m);
	for (size_t i = 0; m->sources && i < m->manifest->nsegments; i++)
		if (m->sources[i].segment)
			set_aside(m, &m->sources[i]);
	store_free(m->backup->store, m->sources);
	store_free(m->backup->store, m->heap);
	return good;
}

/* ---- the index ---- */

static void remove_files(struct store *st)
{
	unlinkat(st->dir, DIRECTORY "/data.mdb", 0);
	unlinkat(st->dir, DIRECTORY "/lock.mdb", 0);
}

/* What a restore that was killed left is removed by the next one. */
static bool make_directory(struct replay *r, const struct backup *b)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	struct store *st = b->store;

	if (mkdirat(st->dir, DIRECTORY, 0700) == 0 || errno == EEXIST)
		r->lock = openat(st->dir, DIRECTORY "/lock",
				 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock >= 0 && fcntl(r->lock, F_OFD_SETLK, &lock) == 0) {
		remove_files(st);
		return true;
	}
	if (r->lock >= 0 && (errno == EAGAIN || errno == EACCES))
		b->ops->fail(b->call, "Another restore is under way; wait until it is done.");
	else
		b->ops->fail(b->call, "%s/" DIRECTORY ": %s.", st->path, strerror(errno));
	if (r->lock >= 0)
		close(r->lock);
	r->lock = -1;
	return false;
}

static int put_state(struct index *ix, const struct manifest *m)
{
	struct state_row state = {
	    .format = STORE_FORMAT, .tag = store_tag(m->id), .building = true};
	MDB_txn *txn;
	int rc = mdb_env_set_mapsize(ix->env, MAP_SIZE);

	if (rc == 0)
		rc = index_write(ix, &txn);
	if (rc != 0)
		return rc;
	ix->tag = state.tag;
	memcpy(state.store, m->id, sizeof(state.store));
	rc = index_put_state(ix, txn, &state);
	if (rc == 0)
		return index_commit(ix, txn);
	index_abort(ix, txn);
	return rc;
}

static bool open_index(struct replay *r, const struct backup *b, const struct manifest *m)
{
	char path[PATH_MAX + 16], err[512];
	int rc;

	snprintf(path, sizeof(path), "%s/" DIRECTORY, b->store->path);
	r->opened = index_open(&r->index, b->store, path, true, err, sizeof(err)) == 0;
	if (!r->opened) {
		b->ops->fail(b->call, "%s.", err);
		return false;
	}
	rc = put_state(&r->index, m);
	if (rc != 0)
		b->ops->fail(b->call, "%s: %s.", path, index_error(rc));
	return rc == 0;
}

bool replay_begin(struct replay *r, const struct backup *b, const struct manifest *m)
{
	struct merge merging = {.backup = b, .manifest = m, .index = &r->index};
	bool good;

	*r = (struct replay){.lock = -1};
	good = make_directory(r, b) && open_index(r, b, m) && merge(&merging);
	r->damaged = merging.damaged;
	return good;
}

void replay_end(struct replay *r, struct store *st)
{
	if (r->opened)
		index_close(&r->index);
	if (r->lock < 0)
		return;
	remove_files(st); /* the lock stays: others may have it open */
	close(r->lock);
	r->lock = -1;
}
