/*
 * source.c - a segment as recovery reads it: where it begins, which of its records count, what is
 * cut from its end.
 */
#include "source.h"

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- telling ---- */

int recovery_fail(struct recovery *r, uint32_t segment, const char *what)
{
	snprintf(r->err, r->err_size, "%s/segments/%08u.seg: %s", r->store->path, segment, what);
	return -1;
}

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

void recovery_tell_damage(struct recovery *r, const struct source *s)
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

static void source_end(struct recovery *r, struct source *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	store_free(r->store, s->scan.window);
	s->scan.window = NULL;
}

void source_free_all(struct recovery *r, struct source **list)
{
	while (*list) {
		struct source *next = (*list)->next;

		source_end(r, *list);
		store_free(r->store, *list);
		*list = next;
	}
}

static int source_open(struct recovery *r, struct source *s)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	struct stat info;
	char name[SEGMENT_NAME];
	enum record_verdict verdict = RECORD_BAD;
	ssize_t n;

	segment_name(name, s->id);
	s->fd = openat(r->store->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0 || fstat(s->fd, &info) != 0)
		return recovery_fail(r, s->id, strerror(errno));
	n = pread(s->fd, bytes, sizeof(bytes), 0);
	/* Mail may be there: going on would give its uids to other mail. */
	if (n < 0)
		return recovery_fail(r, s->id, strerror(errno));
	if (n == (ssize_t)sizeof(bytes))
		verdict = segment_head_decode(&head, bytes, sizeof(bytes));
	if (verdict == RECORD_UNKNOWN)
		return recovery_fail(r, s->id,
				     "is of a later format than this version of the server reads");
	s->size = (uint64_t)info.st_size;
	if (verdict == RECORD_OK && memcmp(head.store, r->store->uuid, sizeof(head.store)) != 0)
		return recovery_fail(r, s->id, "belongs to another store; move it away");
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

/* Also in the midst of a large message: whoever waits for the start has to see that it goes on. */
static bool tell_progress(void *arg, size_t octets)
{
	struct recovery *r = arg;
	struct store *st = r->store;
	uint64_t done;

	r->ahead += octets;
	done = r->octets + r->ahead < r->total ? r->octets + r->ahead : r->total;
	st->host->progress(st->self,
			   r->rebuilding ? "making the index anew, MiB of segments"
					 : "recovering, MiB of segments",
			   done >> 20, r->total >> 20);
	return true;
}

static int source_scan(struct recovery *r, struct source *s)
{
	unsigned char *window = store_alloc(r->store, SCAN_WINDOW);

	if (!window)
		return recovery_fail(r, s->id, "no memory to read it");
	scan_begin(&s->scan, s->fd, s->size, s->seed, s->from, window);
	s->scan.read = tell_progress;
	s->scan.arg = r;
	return 0;
}

/* Whether the file ends as a writer that stopped in order leaves it, or one that never committed.
 * When the index is made anew nobody knows whether a large message without a head ever had one. */
static bool ended_well(const struct recovery *r, struct source *s)
{
	unsigned char head[RECORD_HEAD];
	static const unsigned char none[RECORD_HEAD];

	if (s->kind == SEGMENT_LARGE && s->scan.at == SEGMENT_HEAD && !r->rebuilding)
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
			return recovery_fail(r, s->id, strerror(errno));
	} else if (ftruncate(s->fd, (off_t)end) != 0 || fsync(s->fd) != 0) {
		return recovery_fail(r, s->id, strerror(errno));
	}
	return 0;
}

static void keep(struct recovery *r, struct source *s)
{
	s->keep = true;
	tell(r, PSTN_ERROR, "segment-damaged", s, s->end, s->size);
}

/* What stands where a record should be may still tell of which group it was. */
static uint64_t claimed_sequence(const struct source *s)
{
	unsigned char head[RECORD_HEAD] = {0};

	(void)!pread(s->fd, head, sizeof(head), (off_t)s->scan.at);
	return record_claimed_sequence(head);
}

/*
 * What is behind the last sound record goes: a group that was being written when the process died,
 * of which nobody was told. It may also be one that was safe and that the disk has damaged: then it
 * stays, for whoever can read it, and nothing is written behind it. When the index is made anew
 * nobody can tell. The head of a large message is written last and lies in one sector: it is there or
 * zeros. Of others that is known when all segments have been read.
 */
static int finish_source(struct recovery *r, struct source *s)
{
	bool well = ended_well(r, s);
	int rc = 0;

	s->done = true;
	s->has_record = false;
	s->end = s->scan.at;
	if (s->scan.failed)
		return recovery_fail(r, s->id, strerror(errno));
	if (!well && (r->rebuilding || (s->kind == SEGMENT_LARGE && s->end == SEGMENT_HEAD))) {
		keep(r, s);
	} else if (!well && r->store->options.durability == DURABILITY_FULL) {
		s->doubtful = true;
		s->claimed = claimed_sequence(s);
	} else {
		if (!well)
			tell(r, PSTN_WARNING, "segment-tail-cut", s, s->end, s->size);
		rc = cut(r, s, s->end);
	}
	source_end(r, s);
	return rc;
}

/* The group that was being written was the store's last: one that another has followed is none. */
static bool end_was_committed(const struct recovery *r, const struct source *s)
{
	uint64_t known = s->scan.sequence > r->begun ? s->scan.sequence : r->begun;

	return r->hole > known || (s->claimed > known && s->claimed <= r->apply.state.sequence);
}

static int open_file(struct recovery *r, struct source *s)
{
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	s->fd = openat(r->store->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return s->fd < 0 ? recovery_fail(r, s->id, strerror(errno)) : 0;
}

int source_settle(struct recovery *r, struct source *s)
{
	int rc;

	if (!s->doubtful)
		return 0;
	s->doubtful = false;
	if (end_was_committed(r, s)) {
		keep(r, s);
		return 0;
	}
	tell(r, PSTN_WARNING, "segment-tail-cut", s, s->end, s->size);
	rc = open_file(r, s);
	if (rc == 0)
		rc = cut(r, s, s->end);
	source_end(r, s);
	return rc;
}

static bool goes_on_elsewhere(const struct recovery *r, const struct source *s, uint64_t sequence)
{
	for (const struct source *other = r->sources; other; other = other->next) {
		if (other != s && other->sequence > sequence)
			return true;
	}
	return false;
}

/* A record of a later group follows: this one was synced before, and somebody was told that it is
 * safe. A large message's head is written last. Of a lowered durability that holds up to the
 * checkpoint alone, from which recovery starts. */
static bool was_committed(struct recovery *r, struct source *s)
{
	uint64_t sequence = s->scan.record.sequence;
	struct scan ahead = s->scan;
	enum scan_result result;

	if (!r->rebuilding && r->store->options.durability != DURABILITY_FULL)
		return false;
	if (s->kind == SEGMENT_LARGE || sequence <= s->committed)
		return true;
	do {
		result = scan_next(&ahead);
	} while (result == SCAN_GAP ||
		 (result == SCAN_RECORD && ahead.record.sequence == sequence));
	/* Both share the window. */
	s->scan.window_at = ahead.window_at;
	s->scan.window_length = ahead.window_length;
	s->scan.failed |= ahead.failed;
	if (result != SCAN_RECORD && !goes_on_elsewhere(r, s, sequence))
		return false;
	s->committed = sequence;
	return true;
}

/* Others of its group may be whole, and groups will come behind it: an index made anew would take it
 * for one that was safe once and has been damaged, and give its uid to it and not to the message that
 * has got the uid meanwhile. */
static void wipe(struct source *s)
{
	static const unsigned char none[RECORD_HEAD];

	(void)!pwrite(s->fd, none, sizeof(none), (off_t)s->scan.at);
}

/* Whether the record may be applied. A message that was committed and is damaged is kept: it shows
 * in its folder, and reading it says so. What cannot be read just now is not judged: the start fails. */
static bool usable(struct recovery *r, struct source *s)
{
	struct scan *scan = &s->scan;
	bool is_message = scan->record.type == RECORD_MESSAGE, committed;

	if (scan->record.flags & RECORD_DAMAGED)
		return true;
	if (is_message && r->rebuilding && was_committed(r, s))
		return true;
	if (scan_verify(scan))
		return true;
	committed = !scan->failed && was_committed(r, s);
	if (scan->failed)
		return false;
	if (committed) {
		recovery_tell_damage(r, s);
		return is_message;
	}
	tell(r, PSTN_WARNING, "record-incomplete", s, scan->at, scan->next);
	wipe(s);
	return false;
}

/* Step to the next record that counts. */
int source_advance(struct recovery *r, struct source *s)
{
	for (;;) {
		switch (scan_next(&s->scan)) {
		case SCAN_RECORD:
			if (!usable(r, s)) {
				if (s->scan.failed)
					return recovery_fail(r, s->id, strerror(errno));
				continue;
			}
			s->has_record = true;
			s->sequence = s->scan.record.sequence;
			return 0;
		case SCAN_GAP:
			tell(r, PSTN_ERROR, "segment-damaged", s, s->scan.at, s->scan.next);
			r->store->host->count(r->store->self, METRIC_DAMAGED, 1);
			continue;
		case SCAN_UNKNOWN:
			return recovery_fail(r, s->id,
					     "holds records of a later version of the server; "
					     "start that version, or restore a backup");
		case SCAN_END:
			return s->scan.failed ? recovery_fail(r, s->id, strerror(errno))
					      : finish_source(r, s);
		}
	}
}

/* Opens the segment and looks which group comes first in it. Whether its records count is decided when
 * that is known of all segments. */
int source_begin(struct recovery *r, struct source *s)
{
	enum scan_result result;

	if (source_open(r, s) != 0)
		return -1;
	if (s->done)
		return 0;
	if (s->size <= s->from) {
		s->done = true;
		close(s->fd);
		s->fd = -1;
		return 0;
	}
	if (source_scan(r, s) != 0)
		return -1;
	do {
		result = scan_next(&s->scan);
	} while (result == SCAN_GAP);
	if (result == SCAN_RECORD)
		s->sequence = s->scan.record.sequence;
	source_end(r, s);
	return 0;
}

void source_park(struct recovery *r, struct source *s)
{
	if (s->done)
		return;
	s->from = s->scan.at;
	source_end(r, s);
}

int source_unpark(struct recovery *r, struct source *s)
{
	if (open_file(r, s) != 0)
		return -1;
	return source_scan(r, s) == 0 ? source_advance(r, s) : -1;
}
