/*
 * removal.c - expunge: messages are removed through the queue of changes, and by a job alone where
 * the map from numbers to uids has to be made first or they are very many.
 */
#include "maildrop_parts.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

#define UIDS_AT_ONCE 16384

struct removal {
	struct pstn_maildrop *drop;
	struct pending pending;
	char origin[ORIGIN_MAX + 1];
	struct uid_range *ranges;
	uint32_t nranges;
	uint32_t *numbers; /* until the map is made */
	uint32_t n;
	struct pstn_op *op; /* of the session, while a job works for it */
	pstn_done *done;
	void *arg;
};

static void removal_end(struct removal *r)
{
	struct store *st = r->drop->view.store;

	maildrop_release(r->drop);
	store_free(st, r->ranges);
	store_free(st, r->numbers);
	store_free(st, r);
}

static void removal_done(void *arg, int status)
{
	struct removal *r = arg;
	pstn_done *done = r->done;
	void *done_arg = r->arg;
	struct store *st = r->drop->view.store;

	if (status == PSTN_OK)
		st->host->count(st->self, METRIC_EXPUNGED, (int64_t)r->n);
	removal_end(r);
	done(done_arg, status);
}

static void removal_orphan(void *arg)
{
	removal_end(arg);
}

static int removal_prepare(struct removal *r, const uint32_t *numbers)
{
	struct view *v = &r->drop->view;

	r->pending =
	    (struct pending){.kind = PENDING_EXPUNGE, .account = v->account, .folder = v->folder};
	memcpy(r->pending.origin, r->origin, sizeof(r->origin));
	return view_ranges(v, numbers, r->n, &r->ranges, &r->nranges);
}

/* ---- by a job ---- */

/* Nobody else can commit while a group is: many messages go in several. A range that is cut continues
 * with the next one. */
static uint32_t take_some(struct removal *r, uint32_t from, struct uid_range *rest)
{
	uint32_t room = UIDS_AT_ONCE, i = from;

	*rest = (struct uid_range){.count = 0};
	for (; i < r->nranges && room > 0; i++) {
		struct uid_range *range = &r->ranges[i];

		if (range->count > room) {
			*rest = (struct uid_range){range->first + room, range->count - room};
			range->count = room;
			i++;
			break;
		}
		room -= range->count;
	}
	return i - from;
}

/* The others go also if one cannot be removed. */
static int remove_in_groups(struct removal *r)
{
	int status = PSTN_OK;

	for (uint32_t i = 0; i < r->nranges && (status == PSTN_OK || status == PSTN_E_DAMAGED);) {
		struct uid_range rest;
		uint32_t n = take_some(r, i, &rest);

		r->pending.expunge.ranges = &r->ranges[i];
		r->pending.expunge.count = n;
		commit_wait(r->drop->view.store, &r->pending);
		if (r->pending.status != PSTN_OK)
			status = r->pending.status;
		i += n;
		if (rest.count)
			r->ranges[--i] = rest;
	}
	return status;
}

static int removal_work(struct removal *r)
{
	int status = view_map(&r->drop->view, true);

	if (status == PSTN_OK)
		status = removal_prepare(r, r->numbers);
	return status == PSTN_OK ? remove_in_groups(r) : status;
}

/* The job is the store's: a client that is gone after its QUIT has asked for all of it. */
struct task {
	struct store *store;
	struct removal *removal; /* NULL: it is over, and perhaps gone */
};

static void task_over(struct task *t, int status)
{
	struct removal *r = t->removal;

	t->removal = NULL;
	t->store->host->post(r->op, status);
}

static int task_work(void *arg)
{
	struct task *t = arg;

	task_over(t, removal_work(t->removal));
	return PSTN_OK;
}

static void task_orphan(void *arg)
{
	struct task *t = arg;

	if (t->removal)
		task_over(t, PSTN_E_CANCELLED);
	store_free(t->store, t);
}

static void task_done(void *arg, int status)
{
	(void)status;
	task_orphan(arg);
}

static int removal_by_task(struct removal *r)
{
	struct store *st = r->drop->view.store;
	struct task *t = store_alloc(st, sizeof(*t));

	if (!t)
		return PSTN_E_NO_MEMORY;
	*t = (struct task){st, r};
	r->op = st->host->pend(st->self, r->drop->session, removal_done, removal_orphan, r);
	if (!r->op) {
		store_free(st, t);
		return PSTN_E_NO_MEMORY;
	}
	if (!st->host->job(st->self, NULL, task_work, task_done, task_orphan, t)) {
		st->host->post(r->op, PSTN_E_NO_MEMORY);
		store_free(st, t);
	}
	return PSTN_LATER;
}

static int removal_by_job(struct removal *r, const uint32_t *numbers)
{
	struct store *st = r->drop->view.store;

	r->numbers = store_alloc(st, r->n * sizeof(*numbers));
	if (!r->numbers)
		return PSTN_E_NO_MEMORY;
	memcpy(r->numbers, numbers, r->n * sizeof(*numbers));
	return r->drop->session ? removal_by_task(r) : removal_work(r);
}

/* ---- by the queue of changes ---- */

static int removal_by_queue(struct removal *r)
{
	struct store *st = r->drop->view.store;

	r->pending.expunge.ranges = r->ranges;
	r->pending.expunge.count = r->nranges;
	r->pending.op = st->host->pend(st->self, r->drop->session, removal_done, removal_orphan, r);
	if (!r->pending.op)
		return PSTN_E_NO_MEMORY;
	commit_submit(st, &r->pending);
	return PSTN_LATER;
}

int maildrop_expunge(struct pstn_maildrop *d, const uint32_t *numbers, uint32_t n, pstn_done *done,
		     void *arg)
{
	struct store *st = d->view.store;
	struct removal *r;
	int status = VIEW_COLD;

	if (d->mapped || maildrop_is_all_near(d))
		status = view_map(&d->view, false);
	if (n == 0)
		return PSTN_OK;
	r = store_alloc(st, sizeof(*r));
	if (!r)
		return PSTN_E_NO_MEMORY;
	*r = (struct removal){.drop = d, .n = n, .done = done, .arg = arg};
	if (d->session)
		snprintf(r->origin, sizeof(r->origin), "%s", st->host->id(d->session));
	atomic_fetch_add(&d->refs, 1);
	if (status == VIEW_COLD || n > UIDS_AT_ONCE || !d->session) {
		status = removal_by_job(r, numbers);
	} else if (status == PSTN_OK) {
		status = removal_prepare(r, numbers);
		if (status == PSTN_OK)
			status = removal_by_queue(r);
	}
	if (status != PSTN_LATER)
		removal_end(r);
	return status;
}
