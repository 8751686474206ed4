/*
 * source.c - a segment as recovery reads it: where it begins, and which of its records count.
 */
#include "source_parts.h"

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

void recovery_tell(struct recovery *r, int level, const char *event, const struct source *s,
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

void source_close(struct recovery *r, struct source *s)
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

		source_close(r, *list);
		store_free(r->store, *list);
		*list = next;
	}
}

int source_reopen(struct recovery *r, struct source *s)
{
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	s->fd = openat(r->store->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return s->fd < 0 ? recovery_fail(r, s->id, strerror(errno)) : 0;
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
		recovery_tell(r, PSTN_ERROR, "segment-unreadable", s, 0, s->size);
		r->lost += s->size;
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
	/* With the index went what tells whether it was being written. */
	committed = !scan->failed && (was_committed(r, s) || r->rebuilding);
	if (scan->failed)
		return false;
	if (committed) {
		recovery_tell_damage(r, s);
		if (!is_message)
			r->lost += scan->next - scan->at;
		return is_message;
	}
	recovery_tell(r, PSTN_WARNING, "record-incomplete", s, scan->at, scan->next);
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
			recovery_tell(r, PSTN_ERROR, "segment-damaged", s, s->scan.at,
				      s->scan.next);
			r->store->host->count(r->store->self, METRIC_DAMAGED, 1);
			r->lost += s->scan.next - s->scan.at;
			continue;
		case SCAN_UNKNOWN:
			return recovery_fail(r, s->id,
					     "holds records of a later version of the server; "
					     "start that version, or restore a backup");
		case SCAN_END:
			return s->scan.failed ? recovery_fail(r, s->id, strerror(errno))
					      : source_finish(r, s);
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
	source_close(r, s);
	return 0;
}

void source_park(struct recovery *r, struct source *s)
{
	if (s->done)
		return;
	s->from = s->scan.at;
	source_close(r, s);
}

int source_unpark(struct recovery *r, struct source *s)
{
	if (source_reopen(r, s) != 0)
		return -1;
	return source_scan(r, s) == 0 ? source_advance(r, s) : -1;
}
