/*
 * delivery.c - interface storage.delivery: what may have to wait is done by jobs, commits go to the
 * queue. Without a session the caller is on a job thread and waits itself.
 */
#include "intake.h"
#include "maildrop/view.h"
#include "store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- the end ---- */

static int discard_work(void *arg)
{
	struct pstn_delivery *d = arg;

	segment_discard(d->store, &d->large);
	return PSTN_OK;
}

static void discard_done(void *arg, int status)
{
	(void)status;
	delivery_free(arg);
}

static void discard_orphan(void *arg)
{
	delivery_free(arg);
}

/* Removing a large file may wait for the disk. */
static void drop(struct pstn_delivery *d)
{
	struct store *st = d->store;

	if (d->session && d->large.fd >= 0 && !d->committed &&
	    st->host->job(st->self, NULL, discard_work, discard_done, discard_orphan, d))
		return;
	delivery_free(d);
}

/* ---- begin ---- */

static int expect_work(void *arg)
{
	struct pstn_delivery *d = arg;

	return delivery_expect(d, d->expected);
}

static void expect_done(void *arg, int status)
{
	struct pstn_delivery *d = arg;
	pstn_done *done = d->done;
	void *done_arg = d->arg;

	if (status == PSTN_OK)
		*d->begun = d;
	else
		delivery_free(d);
	done(done_arg, status);
}

static void expect_orphan(void *arg)
{
	delivery_free(arg);
}

/* What the account and its domain hold may have to be read from the disk. */
static int expect_later(struct pstn_delivery *d, struct pstn_delivery **out, pstn_done *done,
			void *arg)
{
	struct store *st = d->store;

	d->begun = out;
	d->done = done;
	d->arg = arg;
	if (st->host->job(st->self, d->session, expect_work, expect_done, expect_orphan, d))
		return PSTN_LATER;
	return PSTN_E_NO_MEMORY;
}

static int begin(void *inst, struct pstn_session *s, const struct pstn_delivery_request *q,
		 struct pstn_delivery **out, pstn_done *done, void *arg)
{
	struct pstn_delivery *d;
	int status = delivery_begin(inst, q, NULL, &d);

	if (status != PSTN_OK)
		return status;
	d->expected = q->expected;
	d->session = s;
	if (s)
		snprintf(d->pending.origin, sizeof(d->pending.origin), "%s", d->store->host->id(s));
	if (s && quota_limits(&d->pending.quota))
		status = expect_later(d, out, done, arg);
	else
		status = expect_work(d);
	if (status == PSTN_OK)
		*out = d;
	else if (status != PSTN_LATER)
		delivery_free(d);
	return status;
}

/* ---- write ---- */

static void release(struct pstn_delivery *d)
{
	if (atomic_fetch_sub(&d->refs, 1) == 1)
		drop(d);
}

static int write_work(void *arg)
{
	return intake_take(arg, true);
}

static void write_done(void *arg, int status)
{
	struct pstn_delivery *d = arg;

	store_free(d->store, d->copy);
	d->copy = NULL;
	status = intake_settle(d, status);
	d->done(d->arg, status);
	release(d);
}

static void write_orphan(void *arg)
{
	release(arg);
}

/* The caller's octets are gone when its session is, and the job may run longer. */
static int write_later(struct pstn_delivery *d)
{
	struct store *st = d->store;

	/* Perhaps all has been taken, and only the quota has to be asked. */
	d->copy = store_alloc(st, d->in_length + 1);
	if (!d->copy)
		return PSTN_E_NO_MEMORY;
	memcpy(d->copy, d->in, d->in_length);
	d->in = d->copy;
	atomic_fetch_add(&d->refs, 1);
	if (st->host->job(st->self, d->session, write_work, write_done, write_orphan, d))
		return PSTN_LATER;
	atomic_fetch_sub(&d->refs, 1);
	return PSTN_E_NO_MEMORY;
}

static int write_some(struct pstn_delivery *d, const char *bytes, size_t n, pstn_done *done,
		      void *arg)
{
	int status;

	if (!d->session)
		return delivery_write(d, bytes, n);
	if (d->status != PSTN_OK)
		return d->status;
	d->in = bytes;
	d->in_length = n;
	d->done = done;
	d->arg = arg;
	status = intake_take(d, false);
	if (status == VIEW_COLD)
		status = write_later(d);
	return status == PSTN_LATER ? status : intake_settle(d, status);
}

static void tell_delivered(struct pstn_delivery *d)
{
	d->delivered->uid = d->pending.deliver.record.uid;
	d->delivered->octets = d->pending.deliver.record.octets;
}

static void commit_done(void *arg, int status)
{
	struct pstn_delivery *d = arg;
	pstn_done *done = d->done;
	void *done_arg = d->arg;

	d->committed = status == PSTN_OK;
	if (status == PSTN_OK)
		tell_delivered(d);
	drop(d);
	done(done_arg, status);
}

/* The session is gone, but the message may be there: only the group knows. */
static void commit_orphan(void *arg)
{
	struct pstn_delivery *d = arg;

	d->committed = d->sealed && d->pending.status == PSTN_OK;
	drop(d);
}

static int commit_work(void *arg)
{
	struct pstn_delivery *d = arg;
	int status;
	struct pending *p = delivery_seal(d, &status);

	if (!p)
		return status;
	commit_wait(d->store, p);
	if (p->status == PSTN_OK)
		delivery_committed(d);
	return p->status;
}

static int commit_later(struct pstn_delivery *d)
{
	struct store *st = d->store;
	struct pending *p;
	int status;

	if (d->large.fd >= 0)
		return st->host->job(st->self, d->session, commit_work, commit_done, commit_orphan,
				     d)
			   ? PSTN_LATER
			   : PSTN_E_NO_MEMORY;
	p = delivery_seal(d, &status);
	if (!p)
		return status;
	p->op = st->host->pend(st->self, d->session, commit_done, commit_orphan, d);
	if (!p->op)
		return PSTN_E_NO_MEMORY;
	commit_submit(st, p);
	return PSTN_LATER;
}

static int commit(struct pstn_delivery *d, struct pstn_delivered *out, pstn_done *done, void *arg)
{
	int status;

	d->delivered = out;
	d->done = done;
	d->arg = arg;
	if (d->session) {
		status = d->status == PSTN_OK ? commit_later(d) : d->status;
	} else {
		status = commit_work(d);
		if (status == PSTN_OK)
			tell_delivered(d);
	}
	if (status != PSTN_LATER)
		drop(d);
	return status;
}

static void abort_delivery(struct pstn_delivery *d)
{
	/* A job may be writing still; whoever is last discards the file. */
	release(d);
}

const struct pstn_deliveries delivery_table = {
    .size = sizeof(struct pstn_deliveries),
    .begin = begin,
    .write = write_some,
    .commit = commit,
    .abort = abort_delivery,
};
