/*
 * compact_choose.c - which segments a pass empties, and in which order.
 */
#include "compact.h"

#include "store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_AGE (UINT64_C(24) * 60 * 60 * 1000) /* ms: a log with something dead is ended */

/* ---- the segment that is written to is ended ---- */

bool compactor_worth(const struct compactor *c, uint64_t octets, uint64_t of)
{
	return octets > 0 && octets * 100 >= of * (uint64_t)c->store->options.compaction_threshold;
}

static bool is_old(int fd)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;

	return pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	       segment_head_decode(&head, bytes, sizeof(bytes)) == RECORD_OK &&
	       head.created + LOG_AGE <= store_time();
}

static bool seal(struct compactor *c, uint32_t id)
{
	struct pending p = {.kind = PENDING_SEGMENT,
			    .segments = {.ids = &id, .count = 1, .fate = SEGMENT_TO_SEAL}};

	commit_wait(c->store, &p);
	return p.status == PSTN_OK;
}

/* This process's own ends with the next group; another's only if nobody writes it. */
static bool seal_if_free(struct compactor *c, uint32_t id, bool begun)
{
	struct store *st = c->store;
	char name[SEGMENT_NAME];
	bool own, sealed = false;
	int fd;

	segment_name(name, id);
	fd = openat(st->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	pthread_mutex_lock(&st->commit.log);
	own = st->log.fd >= 0 && st->log.id == id;
	pthread_mutex_unlock(&st->commit.log);
	/* What a dead process left in it is cut by whoever writes next, who must get at it. */
	if ((c->by_command || begun || is_old(fd)) &&
	    (own || (segment_lock(fd) == 0 && atomic_load(&st->shared->inflight) != id))) {
		atomic_store(&st->commit.roll, own);
		sealed = seal(c, id);
	}
	close(fd);
	return sealed;
}

/* Until it was sealed others may have written to it. */
static void look_again(struct compactor *c, struct survey_segment *s)
{
	struct index *ix = &c->store->index;
	struct segment_row row;
	MDB_txn *txn;

	if (index_read(ix, &txn) != 0)
		return;
	if (index_segment(ix, txn, s->id, &row) == 0)
		s->row = row;
	index_read_end(ix, txn);
}

/* One that was emptied in part and is not sealed: replay after a crash does not know that it was. */
static void seal_logs(struct compactor *c)
{
	for (size_t i = 0; i < c->survey.count; i++) {
		struct survey_segment *s = &c->survey.segments[i];
		uint64_t dead = c->by_command ? survey_reclaimable(s) : s->row.dead;
		bool begun = s->row.flags & SEGMENT_STALE;

		if (s->row.kind == SEGMENT_LOG && !(s->row.flags & SEGMENT_SEALED) &&
		    (begun || compactor_worth(c, dead, survey_octets(s))) &&
		    seal_if_free(c, s->id, begun))
			look_again(c, s);
	}
}

/* ---- choosing ---- */

static bool is_futile(const struct compactor *c, const struct survey_segment *s)
{
	const struct compaction *all = &c->store->compaction;

	for (uint32_t i = 0; i < all->futile_count; i++) {
		if (all->futile[i].id == s->id)
			return all->futile[i].reclaimable == survey_reclaimable(s);
	}
	return false;
}

void compactor_remember_futile(struct compactor *c, const struct survey_segment *s)
{
	struct compaction *all = &c->store->compaction;
	struct compact_futile *larger;
	uint32_t i;

	for (i = 0; i < all->futile_count && all->futile[i].id != s->id; i++)
		;
	if (i == all->futile_room) {
		uint32_t room = i ? i * 2 : 64;

		larger = store_alloc(c->store, room * sizeof(*larger));
		/* It is looked at once more in the next pass. */
		if (!larger)
			return;
		if (i)
			memcpy(larger, all->futile, i * sizeof(*larger));
		store_free(c->store, all->futile);
		all->futile = larger;
		all->futile_room = room;
	}
	all->futile[i] = (struct compact_futile){s->id, survey_reclaimable(s)};
	if (i == all->futile_count)
		all->futile_count++;
}

/* A large message's goes when the message may; of a log, how much of it would. Everything in a log
 * has to be as old as that, so that the window's history stays. */
static bool is_candidate(const struct compactor *c, const struct survey_segment *s)
{
	uint64_t octets = survey_octets(s), dead = survey_reclaimable(s);

	if (s->row.flags & (SEGMENT_GONE | SEGMENT_STALE))
		return true;
	if (!(s->row.flags & SEGMENT_SEALED))
		return false;
	if (s->row.kind == SEGMENT_LARGE)
		return s->row.live == 0 && s->kept == 0;
	if (s->row.last + c->retention > store_time())
		return false;
	return compactor_worth(c, dead, octets) ||
	       (compactor_worth(c, dead + s->row.other, octets) && !is_futile(c, s));
}

/* Gone ones first, then those that were begun, then those of which least has to be moved. */
static int by_worth(const void *x, const void *y)
{
	const struct survey_segment *a = x, *b = y;
	uint32_t begun = SEGMENT_GONE | SEGMENT_STALE;
	double left_a = (double)(a->row.live + a->kept) / (double)(survey_octets(a) + 1);
	double left_b = (double)(b->row.live + b->kept) / (double)(survey_octets(b) + 1);

	if ((a->row.flags & begun) != (b->row.flags & begun))
		return (a->row.flags & begun) > (b->row.flags & begun) ? -1 : 1;
	if (left_a != left_b)
		return left_a < left_b ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

void compactor_choose(struct compactor *c)
{
	size_t n = 0;

	seal_logs(c);
	for (size_t i = 0; i < c->survey.count; i++) {
		const struct survey_segment s = c->survey.segments[i];

		if (!is_candidate(c, &s))
			continue;
		c->total += survey_octets(&s);
		c->survey.segments[n++] = s;
	}
	c->survey.count = n;
	c->chosen = c->survey.segments;
	if (n)
		qsort(c->survey.segments, n, sizeof(*c->survey.segments), by_worth);
	c->phase = COMPACT_CHOOSE;
}
