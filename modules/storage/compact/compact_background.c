/*
 * compact_background.c - compaction by itself: from time to time a pass, as jobs of one short step,
 * with pauses between them so that it goes through no more octets a second than it may.
 */
#include "compact.h"

#include "open/maintenance.h"
#include "store.h"

#define FIRST_LOOK UINT64_C(60000) /* ms after the start, and while another process is at it */

static void look(void *arg, int status);
static void step_again(struct store *st, uint64_t ms, pstn_done *what);

static uint64_t soon(const struct store *st)
{
	return st->options.compaction_interval < FIRST_LOOK ? st->options.compaction_interval
							    : FIRST_LOOK;
}

static void end_run(struct store *st)
{
	struct compaction *all = &st->compaction;

	if (all->run->store)
		compactor_end(all->run);
	store_free(st, all->run);
	all->run = NULL;
	maintenance_end(st);
}

/* How long what was read last may take; who waits has to wait for this segment alone. */
static uint64_t pause_after(struct store *st, uint64_t octets)
{
	return st->options.compaction_rate && !maintenance_wanted(st)
		   ? octets * 1000 / st->options.compaction_rate
		   : 0;
}

static int step_work(void *arg)
{
	struct store *st = arg;
	struct compactor *c = st->compaction.run;

	if (!c->store)
		compactor_begin(c, st, st->options.retention, false);
	return compactor_step(c) ? PSTN_OK : PSTN_E_CANCELLED;
}

static void step(void *arg, int status);

static void step_done(void *arg, int status)
{
	struct store *st = arg;
	struct compaction *all = &st->compaction;
	bool made_way = all->run->made_way;

	all->working = false;
	if (status == PSTN_OK && !all->draining) {
		step_again(st, pause_after(st, all->run->read), step);
		return;
	}
	end_run(st);
	if (!all->draining)
		step_again(st, made_way ? soon(st) : st->options.compaction_interval, look);
}

/* The instance ends; compaction_stop() does the rest. */
static void step_orphan(void *arg)
{
	struct store *st = arg;

	st->compaction.working = false;
}

static void step(void *arg, int status)
{
	struct store *st = arg;
	struct compaction *all = &st->compaction;

	(void)status;
	all->timer = NULL;
	all->working = true;
	if (st->host->job(st->self, NULL, step_work, step_done, step_orphan, st))
		return;
	all->working = false;
	step_again(st, FIRST_LOOK, step);
}

static void step_again(struct store *st, uint64_t ms, pstn_done *what)
{
	st->compaction.timer = st->host->after(st->self, NULL, ms, what, st);
}

/* Begins a pass, unless somebody else is at it. */
static void look(void *arg, int status)
{
	struct store *st = arg;
	struct compaction *all = &st->compaction;

	(void)status;
	all->timer = NULL;
	if (all->run) {
		step(st, PSTN_OK);
		return;
	}
	if (!maintenance_wanted(st) && maintenance_try(st)) {
		all->run = store_alloc(st, sizeof(*all->run));
		if (all->run) {
			step(st, PSTN_OK);
			return;
		}
		maintenance_end(st);
	}
	step_again(st, soon(st), look);
}

void compaction_start(struct store *st)
{
	if (st->options.compaction_interval)
		step_again(st, soon(st), look);
}

static void forget_timer(struct store *st)
{
	if (st->compaction.timer)
		st->host->cancel(&st->compaction.timer);
	if (st->compaction.run && !st->compaction.working)
		end_run(st);
}

void compaction_drain(struct store *st)
{
	atomic_store(&st->compaction.draining, true);
	forget_timer(st);
}

void compaction_stop(struct store *st)
{
	compaction_drain(st);
	store_free(st, st->compaction.futile);
	st->compaction.futile = NULL;
}
