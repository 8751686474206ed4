/*
 * group.c - one group of changes becomes durable.
 *
 * The order, on which recovery relies (docs/storage-format.md says why):
 *   1. take the index's write lock; nobody else of any process gives out uids now
 *   2. say in the lock file which segment is being written
 *   3. write the records, sync the segment
 *   4. commit the index, clear what 2 said; now everybody is told
 * If anything fails, the segment is cut back to where it was, durably, before the next group.
 */
#include "group.h"

#include "group_parts.h"
#include "log.h"
#include "prepare.h"
#include "store.h"
#include "trouble.h"

#include <errno.h>
#include <time.h>

#define GROUP_TRIES 4
#define HEAL_TRIES  1000

/* What is refused first when the disk is full. */
static bool takes_space(const struct pending *p)
{
	return p->kind == PENDING_DELIVER || p->kind == PENDING_FOLDER ||
	       (p->kind == PENDING_MOVE && !p->move.from_reserve);
}

/* A change that meets a damaged row is refused alone; of an expunge only what cannot be read. */
static void leave_out(struct pending *p)
{
	if (p->kind == PENDING_EXPUNGE && !p->expunge.sift)
		p->expunge.sift = true;
	else
		p->status = PSTN_E_DAMAGED;
}

/* Gives each change its numbers and its record. 0, or what makes the whole group fail. */
static int prepare_all(struct group *g)
{
	for (struct pending *p = g->first; p; p = p->next) {
		int rc;

		if (p->status == PSTN_E_FULL && takes_space(p))
			continue;
		if (p->status == PSTN_E_DAMAGED)
			continue;
		p->status = PSTN_OK;
		rc = prepare(&g->apply, &g->batch, g->store->log.id, p);
		if (rc == MDB_CORRUPTED) {
			leave_out(p);
			g->left_out = true;
		}
		if (rc != 0)
			return rc;
		g->silent |= p->silent;
		if (p->status != PSTN_OK || !takes_space(p))
			continue;
		g->deliveries = true;
		if (p->kind == PENDING_DELIVER && p->deliver.large)
			g->large = p->deliver.large;
	}
	return 0;
}

/* The write lock, and nothing left over from others. */
static int take_lock(struct group *g, int *status)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int rc;

	for (int tries = 0; tries < HEAL_TRIES; tries++) {
		rc = apply_begin(&g->apply, &g->store->index);
		if (rc != 0)
			return rc;
		*status = log_heal(g->store, &g->apply);
		if (*status != PSTN_E_BUSY)
			return 0;
		apply_abort(&g->apply);
		nanosleep(&pause, NULL);
	}
	return EIO;
}

static int begin(struct group *g)
{
	struct store *st = g->store;
	int status, rc = take_lock(g, &status);

	if (rc != 0)
		return rc;
	if (status == PSTN_OK)
		status = log_roll(st, &g->apply);
	if (status != PSTN_OK) {
		apply_abort(&g->apply);
		return status == PSTN_E_FULL ? ENOSPC : EIO;
	}
	if (g->apply.state.sequence < st->commit.last_sequence)
		g->apply.state.sequence = st->commit.last_sequence;
	st->commit.last_sequence = ++g->apply.state.sequence;
	return 0;
}

/* Room for the records and for what they change in the index. */
static int make_room(struct group *g)
{
	struct store *st = g->store;
	int status, rc = g->deliveries ? index_room(&st->index) : 0;

	if (rc != 0)
		return rc;
	pthread_mutex_lock(&st->commit.log);
	status = segment_room(&st->log, g->batch.length, !g->deliveries);
	pthread_mutex_unlock(&st->commit.log);
	return status == PSTN_OK ? 0 : status == PSTN_E_FULL ? ENOSPC : EIO;
}

static int try_group(struct group *g)
{
	struct store *st = g->store;
	int rc, status = log_ready(st);

	if (status != PSTN_OK)
		return status == PSTN_E_FULL ? ENOSPC : EIO;
	rc = begin(g);
	if (rc != 0)
		return rc;
	g->deliveries = g->silent = false;
	g->large = NULL;
	batch_begin(&g->batch, st, st->log.end, st->log.seed, st->commit.last_sequence);
	rc = prepare_all(g);
	if (rc == 0 && (g->batch.records > 0 || g->large || g->silent)) {
		rc = make_room(g);
		if (rc == 0)
			rc = group_write(g);
		else
			apply_abort(&g->apply);
	} else {
		apply_abort(&g->apply);
	}
	batch_end(&g->batch);
	return rc;
}

/* On a full disk deliveries are refused first, so that deletions can go on. */
static bool refuse_deliveries(struct pending *group, int rc)
{
	bool any = false;

	if (index_status(rc) != PSTN_E_FULL)
		return false;
	for (struct pending *p = group; p; p = p->next) {
		if (takes_space(p) && p->status == PSTN_OK) {
			p->status = PSTN_E_FULL;
			any = true;
		}
	}
	return any;
}

/* The index's pages of before the last checkpoint can be used again: a full disk may have room for
 * deletions then. LMDB tells of a full disk in either way. */
static bool free_pages(struct store *st, int rc, int tries)
{
	if (tries > 1 || (rc != ENOSPC && rc != EDQUOT && rc != EIO))
		return false;
	return checkpoint_take(&st->checkpoint, &st->index) == 0;
}

static void judge_index(struct store *st, int rc)
{
	if (st->commit.broken)
		return;
	if (rc == MDB_PANIC) {
		trouble_broken(st, rc,
			       "The index could not be written. Nothing is accepted or read until "
			       "the disk works and the server is restarted.");
	} else if (atomic_load(&st->shared->unsynced)) {
		st->commit.broken = true;
		trouble_unsynced(st, EIO);
	}
}

/* LMDB gives up by itself when it could not write which state is the last one. */
static int probe_index(struct store *st)
{
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	if (rc == 0)
		index_read_end(&st->index, txn);
	return rc;
}

static int run(struct group *g)
{
	struct store *st = g->store;
	int rc = EIO;

	judge_index(st, 0);
	for (int tries = 0; tries < GROUP_TRIES && !st->commit.broken; tries++) {
		rc = try_group(g);
		if (rc == MDB_MAP_FULL && !st->commit.uncut) {
			rc = index_grow(&st->index);
			if (rc == 0)
				continue;
		}
		if (rc == 0)
			break;
		trouble_group_failed(st, rc);
		if (rc == MDB_CORRUPTED && g->left_out) {
			g->left_out = false;
			tries--;
			continue;
		}
		judge_index(st, probe_index(st));
		/* The next group cuts it, and drops the large message's file with it. */
		if (st->commit.uncut)
			break;
		if (!refuse_deliveries(g->first, rc) && !free_pages(st, rc, tries))
			break;
	}
	judge_index(st, 0);
	return rc;
}

static void count(struct store *st, const struct pending *group)
{
	int64_t delivered = 0, octets = 0, all = 0, refused = 0;

	for (const struct pending *p = group; p; p = p->next) {
		all++;
		refused += p->status == PSTN_E_FULL;
		if (p->kind == PENDING_DELIVER && p->status == PSTN_OK) {
			delivered++;
			octets += (int64_t)p->deliver.record.octets;
		}
	}
	st->host->count(st->self, METRIC_GROUPS, 1);
	st->host->count(st->self, METRIC_GROUPED, all);
	st->host->count(st->self, METRIC_DELIVERED, delivered);
	st->host->count(st->self, METRIC_DELIVERED_OCTETS, octets);
	if (refused)
		st->host->count(st->self, METRIC_REFUSED_FULL, refused);
}

static void tell_quotas(struct store *st, const struct pending *group)
{
	for (const struct pending *p = group; p; p = p->next) {
		if (p->kind != PENDING_DELIVER)
			continue;
		if (p->status == PSTN_E_QUOTA)
			quota_refused(st, p->account, p->deliver.account_name, &p->quota);
		else if (p->status == PSTN_OK)
			quota_warn(st, p->deliver.account_name, &p->quota);
	}
}

void group_run(struct store *st, struct pending *group)
{
	struct group g = {.store = st, .first = group};
	int rc;

	for (struct pending *p = group; p; p = p->next)
		p->status = PSTN_OK;
	rc = run(&g);
	for (struct pending *p = group; rc != 0 && p; p = p->next) {
		if (p->status == PSTN_OK)
			p->status = index_status(rc) < 0 ? index_status(rc) : PSTN_E_TEMPORARY;
	}
	for (struct pending *p = group; rc == 0 && p; p = p->next) {
		if (p->kind == PENDING_EXPUNGE && p->expunge.sift)
			p->status = PSTN_E_DAMAGED;
	}
	if (rc == 0 && g.deliveries)
		trouble_space(st);
	atomic_fetch_add(&st->commit.since_checkpoint, 1);
	count(st, group);
	tell_quotas(st, group);
	store_prime_soon(st);
}
