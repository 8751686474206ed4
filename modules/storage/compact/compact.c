/*
 * compact.c - one pass: the segments that are worth it, one after the other emptied and removed.
 *
 * A segment that was begun is ended before another is looked at: until it is gone it holds old
 * copies of messages, which an index made anew would believe if what was told of them elsewhere
 * were gone already.
 */
#include "compact.h"

#include "open/maintenance.h"
#include "store.h"

#include <sys/statvfs.h>

#define RESERVE_USE (SEGMENT_RESERVE / 4)
#define SPACE_AHEAD ((uint64_t)16 << 20) /* left free when a segment is moved */

void compactor_begin(struct compactor *c, struct store *st, uint64_t retention, bool by_command)
{
	int rc;

	*c = (struct compactor){.store = st,
				.retention = retention,
				.by_command = by_command,
				.evacuation = {.store = st, .fd = -1}};
	rc = survey_begin(&c->survey, st, retention);
	if (rc == 0)
		return;
	compactor_tell_blocked(c, 0, index_error(rc));
	c->phase = COMPACT_END;
}

void compactor_end(struct compactor *c)
{
	struct compaction *all = &c->store->compaction;

	evacuation_end(&c->evacuation);
	survey_end(&c->survey);
	atomic_store(&all->last_segments, c->tally.segments);
	atomic_store(&all->last_octets, c->tally.octets);
	atomic_store(&all->last_time, store_time());
}

/* ---- one segment ---- */

static void to_be_removed(struct compactor *c, uint32_t id, uint64_t written)
{
	c->gone[c->gone_count++] = (struct compact_gone){id, written};
}

static void next_segment(struct compactor *c)
{
	const struct survey_segment *s = c->chosen;

	evacuation_end(&c->evacuation);
	c->done += survey_octets(s);
	c->chosen++;
	c->phase = s->row.kind == SEGMENT_LOG || c->gone_count == COMPACT_GONE_MAX ? COMPACT_REMOVE
										   : COMPACT_CHOOSE;
}

/* Whether something of it is elsewhere already: then nothing else can go before. */
static bool is_stale(struct compactor *c, uint32_t id)
{
	struct segment_row row;
	MDB_txn *txn;
	int rc = index_read(&c->store->index, &txn);

	if (rc != 0)
		return true;
	rc = index_segment(&c->store->index, txn, id, &row);
	index_read_end(&c->store->index, txn);
	return rc != 0 || row.flags & SEGMENT_STALE;
}

static void blocked(struct compactor *c, const char *why)
{
	compactor_tell_blocked(c, c->chosen->id, why);
	if (is_stale(c, c->chosen->id)) {
		/* What is gone already may go all the same: it is space. */
		c->chosen = c->survey.segments + c->survey.count;
		c->phase = COMPACT_REMOVE;
		return;
	}
	next_segment(c);
}

static void tell_begin(struct compactor *c)
{
	struct store *st = c->store;
	char name[SEGMENT_NAME];

	segment_name(name, c->chosen->id);
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_INFO, "compaction-start",
				 PSTN_S("path", st->path), PSTN_S("segment", name),
				 PSTN_U("octets", c->evacuation.octets),
				 PSTN_U("octets_needed", c->evacuation.needed)));
}

static void begin_segment(struct compactor *c)
{
	const struct survey_segment *s = c->chosen;

	if (s == c->survey.segments + c->survey.count) {
		c->phase = COMPACT_REMOVE;
		return;
	}
	/* What would be forgotten with a log may be what tells of messages in files that are there
	 * still. */
	if (s->row.kind == SEGMENT_LOG && c->gone_count) {
		c->phase = COMPACT_REMOVE;
		return;
	}
	if (s->row.flags & SEGMENT_GONE) {
		to_be_removed(c, s->id, 0);
		next_segment(c);
		return;
	}
	if (!(s->row.flags & SEGMENT_SEALED)) {
		blocked(c, "a process still writes to it");
		return;
	}
	c->phase = COMPACT_INSPECT;
	if (!evacuation_begin(&c->evacuation, c->store, s->id, c->retention))
		blocked(c, c->evacuation.blocked);
}

/* Moving must not end half-way for lack of space. */
static bool space_for(struct compactor *c, uint64_t octets)
{
	struct statvfs fs;

	return fstatvfs(c->store->segment_dir, &fs) != 0 ||
	       (uint64_t)fs.f_bavail * fs.f_frsize >= octets + SPACE_AHEAD;
}

static void inspected(struct compactor *c)
{
	struct evacuation *e = &c->evacuation;
	bool stale = c->chosen->row.flags & SEGMENT_STALE;

	/* A large message is not moved: its file stays as long as it is needed. */
	if (c->chosen->row.kind == SEGMENT_LARGE && e->needed > RESERVE_USE) {
		next_segment(c);
		return;
	}
	if (!stale &&
	    (e->needed >= e->octets || !compactor_worth(c, e->octets - e->needed, e->octets))) {
		compactor_remember_futile(c, c->chosen);
		next_segment(c);
		return;
	}
	e->from_reserve = e->needed <= RESERVE_USE;
	if (!e->from_reserve && !stale && !space_for(c, e->needed)) {
		blocked(c, "the disk has no space for what is needed of it");
		return;
	}
	tell_begin(c);
	c->phase = COMPACT_MOVE;
}

static void moved(struct compactor *c)
{
	struct pending p = {.kind = PENDING_SEGMENT,
			    .segments = {.ids = &c->chosen->id,
					 .count = 1,
					 .fate = SEGMENT_TO_GO,
					 .end = c->evacuation.end}};

	commit_wait(c->store, &p);
	if (p.status != PSTN_OK) {
		blocked(c, p.status == PSTN_E_BUSY ? "a process still writes to it"
			   : p.status == PSTN_E_DAMAGED
			       ? "the index counts messages in it that it does not hold; `storage "
				 "check` tells which"
			       : "the index cannot be changed; the log has more");
		return;
	}
	to_be_removed(c, c->chosen->id, c->evacuation.written);
	next_segment(c);
}

/* ---- steps ---- */

static void survey_some(struct compactor *c)
{
	int rc = survey_step(&c->survey);

	if (rc == MDB_NOTFOUND)
		c->phase = COMPACT_SEAL;
	else if (rc != 0) {
		compactor_tell_blocked(c, 0, index_error(rc));
		c->phase = COMPACT_END;
	}
}

static void evacuate_some(struct compactor *c, enum evacuation_result (*step)(struct evacuation *),
			  void (*done)(struct compactor *))
{
	enum evacuation_result result = step(&c->evacuation);

	c->read = c->evacuation.read;
	if (result == EVACUATION_BLOCKED)
		blocked(c, c->evacuation.blocked);
	else if (result == EVACUATION_DONE)
		done(c);
}

static void remove_some(struct compactor *c)
{
	if (!compactor_remove(c) || c->chosen == c->survey.segments + c->survey.count)
		c->phase = COMPACT_END;
	else
		c->phase = COMPACT_CHOOSE;
}

/* Only between segments: one that was begun is ended first. What is gone for the index already
 * loses its files. */
static void make_way(struct compactor *c)
{
	c->made_way = true;
	c->chosen = c->survey.segments + c->survey.count;
	c->phase = c->phase == COMPACT_CHOOSE ? COMPACT_REMOVE : COMPACT_END;
}

static bool is_between(const struct compactor *c)
{
	return c->phase == COMPACT_SURVEY || c->phase == COMPACT_SEAL || c->phase == COMPACT_CHOOSE;
}

bool compactor_step(struct compactor *c)
{
	c->read = 0;
	if (!c->by_command && is_between(c) && maintenance_wanted(c->store))
		make_way(c);
	switch (c->phase) {
	case COMPACT_SURVEY:
		survey_some(c);
		break;
	case COMPACT_SEAL:
		compactor_choose(c);
		break;
	case COMPACT_CHOOSE:
		begin_segment(c);
		break;
	case COMPACT_INSPECT:
		evacuate_some(c, evacuation_inspect, inspected);
		break;
	case COMPACT_MOVE:
		evacuate_some(c, evacuation_move, moved);
		break;
	case COMPACT_REMOVE:
		remove_some(c);
		break;
	case COMPACT_END:
		break;
	}
	return c->phase != COMPACT_END;
}
