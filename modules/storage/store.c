/*
 * store.c - opening and closing a store, and what is done for it from time to time.
 */
#include "store.h"

#include "commit/log.h"
#include "commit/trouble.h"
#include "format/bytes.h"
#include "open/facts.h"
#include "open/home.h"
#include "open/missing.h"
#include "open/open_index.h"
#include "open/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- small services ---- */

void *store_alloc(struct store *st, size_t n)
{
	return st->host->alloc(st->self, n);
}

void store_free(struct store *st, void *p)
{
	if (p)
		st->host->free(st->self, p);
}

uint64_t store_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint32_t store_tag(const unsigned char uuid[16])
{
	return get32(uuid);
}

bool warm_is(struct store *st, uint64_t account)
{
	struct warm *w = &st->warm[account % WARM_SLOTS];

	return atomic_load_explicit(&w->account, memory_order_relaxed) == account &&
	       st->host->now() < atomic_load_explicit(&w->until, memory_order_relaxed);
}

void warm_set(struct store *st, uint64_t account)
{
	struct warm *w = &st->warm[account % WARM_SLOTS];

	atomic_store_explicit(&w->account, account, memory_order_relaxed);
	atomic_store_explicit(&w->until, st->host->now() + WARM_TIME, memory_order_relaxed);
}

/* ---- checkpoints and zeros ahead of the writer, from time to time ---- */

int store_checkpoint_now(struct store *st)
{
	int rc;

	atomic_store(&st->commit.since_checkpoint, 0);
	rc = checkpoint_take(&st->checkpoint, &st->index);
	if (rc == 0)
		st->host->count(st->self, METRIC_CHECKPOINTS, 1);
	else if (atomic_load(&st->shared->unsynced))
		trouble_unsynced(st, rc);
	else
		st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "checkpoint-failed",
					 PSTN_S("path", st->path),
					 PSTN_S("error", index_error(rc))));
	return rc;
}

static int checkpoint_work(void *arg)
{
	struct store *st = arg;

	log_cut_now(st);
	store_checkpoint_now(st);
	atomic_store(&st->checkpoint_queued, false);
	return PSTN_OK;
}

static void nothing_done(void *arg, int status)
{
	(void)arg;
	(void)status;
}

static void checkpoint_orphan(void *arg)
{
	struct store *st = arg;

	atomic_store(&st->checkpoint_queued, false);
}

void store_checkpoint_soon(struct store *st)
{
	if (atomic_load(&st->stopping) || atomic_exchange(&st->checkpoint_queued, true))
		return;
	if (!st->host->job(st->self, NULL, checkpoint_work, nothing_done, checkpoint_orphan, st))
		atomic_store(&st->checkpoint_queued, false);
}

static int prime_work(void *arg)
{
	struct store *st = arg;
	uint64_t limit;

	pthread_mutex_lock(&st->commit.log);
	limit = st->log.busy + PRIME_AHEAD;
	pthread_mutex_unlock(&st->commit.log);
	segment_prime(st, &st->log, &st->commit.log, limit);
	atomic_store(&st->priming, false);
	return PSTN_OK;
}

static void prime_orphan(void *arg)
{
	struct store *st = arg;

	atomic_store(&st->priming, false);
}

void store_prime_soon(struct store *st)
{
	bool near;

	pthread_mutex_lock(&st->commit.log);
	near = st->log.fd >= 0 && st->log.zeroed < st->log.busy + PRIME_AHEAD / 4;
	pthread_mutex_unlock(&st->commit.log);
	if (!near || atomic_load(&st->stopping) || atomic_exchange(&st->priming, true))
		return;
	if (!st->host->job(st->self, NULL, prime_work, nothing_done, prime_orphan, st))
		atomic_store(&st->priming, false);
}

static int tidy_work(void *arg)
{
	struct store *st = arg;

	files_tidy(&st->files);
	atomic_store(&st->tidying, false);
	return PSTN_OK;
}

static void tidy_orphan(void *arg)
{
	struct store *st = arg;

	atomic_store(&st->tidying, false);
}

static void tidy_soon(struct store *st)
{
	if (atomic_load(&st->stopping) || atomic_exchange(&st->tidying, true))
		return;
	if (!st->host->job(st->self, NULL, tidy_work, nothing_done, tidy_orphan, st))
		atomic_store(&st->tidying, false);
}

static void tick(void *arg, int status)
{
	struct store *st = arg;

	(void)status;
	st->timer = st->host->after(st->self, NULL, st->options.checkpoint_interval, tick, st);
	commit_soon(st);
	/* Without durability the disk follows when much has been committed, or at the stop. Other
	 * processes may wait for what has to be cut off here. */
	if (st->options.durability != DURABILITY_NONE || st->commit.uncut)
		store_checkpoint_soon(st);
	tidy_soon(st);
	/* There was no memory to go on. */
	if (!st->compaction.timer && !st->compaction.working && !st->compaction.draining)
		compaction_start(st);
}

/* ---- opening ---- */

static int open_parts(struct store *st, bool first, char *err, size_t n)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%.*s/index", PATH_MAX - 8, st->path);
	if (open_index(st, first, path, err, n) != 0)
		return -1;
	rc = checkpoint_open(&st->checkpoint, path);
	if (rc != 0) {
		snprintf(err, n, "%s/checkpoint: %s", path, index_error(rc));
		return -1;
	}
	/* The state to start from must outlast this recovery, should it be killed as well: without a
	 * pin its pages would be used again after a few commits. */
	if (first)
		rc = checkpoint_take(&st->checkpoint, &st->index);
	if (rc != 0) {
		snprintf(err, n, "%s: %s", path, index_error(rc));
		return -1;
	}
	st->recovering = first;
	if (first && recover(st, err, n) != 0)
		return -1;
	st->recovering = st->recovered_records > 0;
	if (first)
		missing_tell(st);
	rc = checkpoint_take(&st->checkpoint, &st->index);
	if (rc == 0 && !first)
		rc = recover_litter(st);
	if (rc == 0)
		return 0;
	snprintf(err, n, "%s: %s", path, index_error(rc));
	return -1;
}

static void tell_opened(struct store *st)
{
	facts_opened(st);
	if (st->recovered_records || st->rebuilt)
		st->host->log(PSTN_EVENT(st->self, NULL, st->rebuilt ? PSTN_WARNING : PSTN_INFO,
					 "store-recovered", PSTN_S("path", st->path),
					 PSTN_U("records", st->recovered_records),
					 PSTN_U("milliseconds", st->recovered_ms)));
	if (st->options.durability != DURABILITY_FULL)
		st->host->log(PSTN_EVENT(
		    st->self, NULL, PSTN_WARNING, "durability-lowered", PSTN_S("path", st->path),
		    PSTN_S("hint", "Mail that was acknowledged can be lost in a power cut. Set "
				   "`durability: full` to change that.")));
}

/* A full disk is no reason to hide the mail that is there. */
static int begin_log(struct store *st, char *err, size_t n)
{
	int status = log_ready(st);

	if (status == PSTN_OK)
		return 0;
	if (status == PSTN_E_FULL) {
		st->commit.told_full = true;
		facts_full(st, true);
		st->host->log(PSTN_EVENT(st->self, NULL, PSTN_CRITICAL, "storage-full",
					 PSTN_S("path", st->path),
					 PSTN_S("hint", "Mail can be read; none is accepted until "
							"there is space.")));
		return 0;
	}
	snprintf(err, n, "%s/segments: no segment can be written: %s", st->path, strerror(errno));
	return -1;
}

/* A number is given once, also if the segment that had the highest is gone. */
static int next_segment(struct store *st, uint32_t *next)
{
	uint32_t last = home_last_segment(st);
	struct state_row state;
	int rc = index_state_now(&st->index, &state);

	if (rc == 0)
		*next = (state.segment > last ? state.segment : last) + 1;
	return rc;
}

static int open_all(struct store *st, char *err, size_t n)
{
	uint32_t next;
	bool first;
	int rc;

	if (home_open(st, err, n) != 0 || home_lock(st, &first, err, n) != 0)
		return -1;
	if (home_identity(st, first, err, n) != 0 || open_parts(st, first, err, n) != 0)
		return -1;
	rc = next_segment(st, &next);
	if (rc != 0) {
		snprintf(err, n, "%s/index: %s", st->path, index_error(rc));
		return -1;
	}
	atomic_store(&st->next_segment, next);
	if (first && home_share(st, err, n) != 0)
		return -1;
	return begin_log(st, err, n);
}

struct store *store_open(struct pstn_self *self, const struct pstn_host *host,
			 const struct store_options *options, char *err, size_t n)
{
	struct store *st = host->alloc(self, sizeof(*st));

	if (!st) {
		snprintf(err, n, "no memory for the store");
		return NULL;
	}
	st->host = host;
	st->self = self;
	st->options = *options;
	st->dir = st->segment_dir = st->lock = st->log.fd = -1;
	st->checkpoint.fd = st->checkpoint.data = -1;
	if (commit_init(&st->commit) != 0 || files_init(&st->files) != 0 ||
	    snapshots_init(&st->snapshots) != 0) {
		snprintf(err, n, "no locks could be made");
		host->free(self, st);
		return NULL;
	}
	if (open_all(st, err, n) != 0) {
		store_close(st);
		return NULL;
	}
	st->served = true;
	tell_opened(st);
	st->timer = host->after(self, NULL, options->checkpoint_interval, tick, st);
	compaction_start(st);
	store_prime_soon(st);
	scrub_open(st);
	return st;
}

/* The last process that has the store, with nothing unsure about its index. */
static bool closes_in_order(struct store *st)
{
	return st->served && !st->commit.broken && !atomic_load(&st->shared->unsynced) &&
	       !home_shared_by_others(st);
}

void store_close(struct store *st)
{
	atomic_store(&st->stopping, true);
	if (st->timer)
		st->host->cancel(&st->timer);
	compaction_stop(st);
	scrub_close(st);
	if (st->index.env && st->checkpoint.fd >= 0) {
		commit_flush(st);
		checkpoint_work(st);
	}
	if (closes_in_order(st))
		(void)home_doubt_index(st, false);
	files_clear(&st->files);
	fetch_clear(st);
	pthread_mutex_lock(&st->commit.log);
	segment_close(&st->log, true);
	pthread_mutex_unlock(&st->commit.log);
	checkpoint_close(&st->checkpoint);
	index_close(&st->index);
	home_close(st);
	commit_clear(&st->commit);
	snapshots_clear(&st->snapshots);
	st->host->free(st->self, st);
}
