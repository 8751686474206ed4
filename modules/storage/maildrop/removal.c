/*
 * removal.c - expunge: messages are removed through the queue of changes, and by a job alone where
 * the map from numbers to uids has to be made first.
 */
#include "maildrop_parts.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

struct removal {
	struct pstn_maildrop *drop;
	struct pending pending;
	char origin[ORIGIN_MAX + 1];
	struct uid_range *ranges;
	uint32_t *numbers; /* until the map is made */
	uint32_t n;
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
	return view_ranges(v, numbers, r->n, &r->ranges, &r->pending.expunge.count);
}

/* The whole of it on a job thread: the map had to be made, or there is no session. */
static int removal_work(void *arg)
{
	struct removal *r = arg;
	struct view *v = &r->drop->view;
	int status = view_map(v, true);

	if (status == PSTN_OK)
		status = removal_prepare(r, r->numbers);
	if (status != PSTN_OK)
		return status;
	r->pending.expunge.ranges = r->ranges;
	commit_wait(v->store, &r->pending);
	return r->pending.status;
}

static int removal_by_job(struct removal *r, const uint32_t *numbers)
{
	struct store *st = r->drop->view.store;

	r->numbers = store_alloc(st, r->n * sizeof(*numbers));
	if (!r->numbers)
		return PSTN_E_NO_MEMORY;
	memcpy(r->numbers, numbers, r->n * sizeof(*numbers));
	if (!r->drop->session)
		return removal_work(r);
	if (!st->host->job(st->self, r->drop->session, removal_work, removal_done, removal_orphan,
			   r))
		return PSTN_E_NO_MEMORY;
	return PSTN_LATER;
}

static int removal_by_queue(struct removal *r)
{
	struct store *st = r->drop->view.store;

	r->pending.expunge.ranges = r->ranges;
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
	if (status == VIEW_COLD || !d->session) {
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
