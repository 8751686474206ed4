/*
 * group_write.c - the records of a group go to disk, and the index after them.
 */
#include "group_parts.h"
#include "log.h"
#include "store.h"
#include "trouble.h"

#include <time.h>

static uint64_t microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int write_large(struct group *g)
{
	struct store *st = g->store;

	for (struct pending *p = g->first; p; p = p->next) {
		unsigned char head[RECORD_HEAD_MAX];
		struct record *r;
		struct iovec v;
		int rc;

		if (p->kind != PENDING_DELIVER || !p->deliver.large || p->status != PSTN_OK)
			continue;
		r = &p->deliver.record;
		record_encode(r, p->deliver.large->seed, SEGMENT_HEAD, head);
		v = (struct iovec){head, r->head_length};
		rc = segment_write(p->deliver.large, &v, 1, SEGMENT_HEAD);
		if (rc == 0 && st->options.durability == DURABILITY_FULL)
			rc = segment_sync(p->deliver.large);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int write_records(struct group *g)
{
	struct store *st = g->store;
	uint64_t begun = microseconds();
	int rc;

	pthread_mutex_lock(&st->commit.log);
	st->log.busy = st->log.end + g->batch.length;
	pthread_mutex_unlock(&st->commit.log);
	rc = segment_write(&st->log, g->batch.vectors, g->batch.used, st->log.end);
	if (rc == 0 && g->batch.length && st->options.durability == DURABILITY_FULL)
		rc = segment_sync(&st->log);
	if (rc == 0)
		rc = write_large(g);
	st->host->count(st->self, METRIC_SYNC_TIME, (int64_t)(microseconds() - begun));
	return rc;
}

/* Back to before the group. What cannot be cut now is cut before anybody writes again, log_heal();
 * if nobody can know whether it was, records that nobody was told of could come back with uids given
 * twice: then nothing more is written until the store is opened anew. */
static void take_back(struct group *g)
{
	bool unsure;
	int rc = log_take_back(g->store, g->large, &unsure);

	if (rc == 0)
		return;
	if (unsure)
		trouble_broken(g->store, rc, TROUBLE_NOT_TAKEN_BACK);
	else
		trouble_uncut(g->store, rc);
}

static int note_segment(struct group *g, uint32_t id, enum segment_kind kind, uint64_t end,
			bool sealed)
{
	struct segment_row *row;
	int rc = apply_segment(&g->apply, id, &row);

	if (rc != 0)
		return rc;
	row->kind = kind;
	row->end = end;
	row->last = g->batch.time;
	if (id > g->apply.state.segment)
		g->apply.state.segment = id;
	/* Who writes to a segment has it open: another one's word that it is full came too early. */
	if (sealed)
		row->flags |= SEGMENT_SEALED;
	else
		row->flags &= ~(uint32_t)SEGMENT_SEALED;
	row->other = end - SEGMENT_HEAD - row->live - row->dead;
	return 0;
}

static int note_segments(struct group *g)
{
	struct store *st = g->store;
	int rc = note_segment(g, st->log.id, SEGMENT_LOG, st->log.end + g->batch.length, false);

	if (rc == 0 && g->large)
		rc = note_segment(g, g->large->id, SEGMENT_LARGE, g->large->end, true);
	return rc;
}

/* Only what this process has said itself: the next writer may have said its own by now, and what
 * it leaves when it dies has to be found. */
static void clear_inflight(struct group *g)
{
	struct shared *shared = g->store->shared;
	uint64_t log = g->store->log.id, large = g->large ? g->large->id : 0;

	atomic_compare_exchange_strong(&shared->inflight, &log, 0);
	if (large)
		atomic_compare_exchange_strong(&shared->inflight_large, &large, 0);
}

int group_write(struct group *g)
{
	struct store *st = g->store;
	int rc;

	atomic_store(&st->shared->inflight_large, g->large ? g->large->id : 0);
	atomic_store(&st->shared->inflight_end, st->log.end + g->batch.length);
	atomic_store(&st->shared->inflight, st->log.id);
	rc = write_records(g);
	if (rc == 0)
		rc = note_segments(g);
	if (rc != 0) {
		/* Still under the write lock. */
		take_back(g);
		apply_abort(&g->apply);
	} else {
		rc = apply_end(&g->apply);
		if (rc != 0)
			take_back(g);
		else
			st->log.end += g->batch.length;
	}
	if (!st->commit.broken && !st->commit.uncut)
		clear_inflight(g);
	return rc;
}
