/*
 * source_end.c - what stands at a segment's end when recovery has read it: cut, or kept.
 */
#include "source_parts.h"

#include "store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

/* Where the zeros at its end begin. */
static uint64_t used_end(struct source *s)
{
	uint64_t used = s->end;
	ssize_t n;

	for (uint64_t at = s->end; at < s->size; at += (uint64_t)n) {
		n = pread(s->fd, s->scan.window, SCAN_WINDOW, (off_t)at);
		if (n <= 0)
			return s->size;
		for (ssize_t i = n; i > 0; i--) {
			if (s->scan.window[i - 1]) {
				used = at + (uint64_t)i;
				break;
			}
		}
	}
	return used;
}

static void keep(struct recovery *r, struct source *s)
{
	s->keep = true;
	r->lost += s->kind == SEGMENT_LARGE ? RECORD_HEAD : s->used - s->end;
	recovery_tell(r, PSTN_ERROR, "segment-damaged", s, s->end, s->size);
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
int source_finish(struct recovery *r, struct source *s)
{
	bool well = ended_well(r, s);
	int rc = 0;

	s->done = true;
	s->has_record = false;
	s->end = s->scan.at;
	if (s->scan.failed)
		return recovery_fail(r, s->id, strerror(errno));
	if (!well)
		s->used = used_end(s);
	if (!well && (r->rebuilding || (s->kind == SEGMENT_LARGE && s->end == SEGMENT_HEAD))) {
		keep(r, s);
	} else if (!well && r->store->options.durability == DURABILITY_FULL) {
		s->doubtful = true;
		s->claimed = claimed_sequence(s);
	} else {
		if (!well)
			recovery_tell(r, PSTN_WARNING, "segment-tail-cut", s, s->end, s->size);
		rc = cut(r, s, s->end);
	}
	source_close(r, s);
	return rc;
}

/* The group that was being written was the store's last: one that another has followed is none. */
static bool end_was_committed(const struct recovery *r, const struct source *s)
{
	uint64_t known = s->scan.sequence > r->begun ? s->scan.sequence : r->begun;

	return r->hole > known || (s->claimed > known && s->claimed <= r->apply.state.sequence);
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
	recovery_tell(r, PSTN_WARNING, "segment-tail-cut", s, s->end, s->size);
	rc = source_reopen(r, s);
	if (rc == 0)
		rc = cut(r, s, s->end);
	source_close(r, s);
	return rc;
}
