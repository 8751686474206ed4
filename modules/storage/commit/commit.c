/*
 * commit.c - the queue of changes and who leads. What a leader does is in group.c.
 */
#include "commit.h"

#include "group.h"
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FLAGS_AT_ONCE 64
#define FLAGS_ENTRIES 64   /* that may wait with nobody waiting for them */
#define FLAGS_JOIN    1000 /* ms in which changes become one record, with one time */
#define GATHER_SHARE  4
#define GATHER_MAX    UINT64_C(4000000) /* ns */

struct commit_waiter {
	pthread_cond_t told;
	uint32_t left;
	bool lead;
};

int commit_init(struct commit *c)
{
	pthread_condattr_t monotonic;
	bool ok = pthread_mutex_init(&c->mutex, NULL) == 0 &&
		  pthread_mutex_init(&c->log, NULL) == 0 && pthread_condattr_init(&monotonic) == 0;

	if (!ok)
		return -1;
	ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
	     pthread_cond_init(&c->gathered, &monotonic) == 0;
	pthread_condattr_destroy(&monotonic);
	return ok ? 0 : -1;
}

void commit_clear(struct commit *c)
{
	pthread_cond_destroy(&c->gathered);
	pthread_mutex_destroy(&c->log);
	pthread_mutex_destroy(&c->mutex);
}

/* ---- the queue; with the mutex held ---- */

static void append(struct commit *c, struct pending *p)
{
	p->next = NULL;
	if (c->last)
		c->last->next = p;
	else
		c->first = p;
	c->last = p;
	if (p->owned)
		c->unhurried++;
	else if (++c->waiting >= c->last_group)
		pthread_cond_signal(&c->gathered);
}

static uint64_t body_octets(const struct pending *p)
{
	if (p->kind == PENDING_DELIVER && !p->deliver.large)
		return p->deliver.record.body_length;
	return p->kind == PENDING_MOVE ? p->move.body_octets : 0;
}

static bool fits(const struct pending *p, unsigned taken, uint64_t octets, bool large)
{
	if (taken == COMMIT_GROUP_MAX)
		return false;
	/* A large message has its own segment; which ones are being written is kept for one only. */
	if (p->kind == PENDING_DELIVER && p->deliver.large)
		return !large;
	return taken == 0 || octets + body_octets(p) <= COMMIT_GROUP_OCTETS;
}

static struct pending *take_group(struct commit *c)
{
	struct pending *group = c->first, **end = &c->first;
	uint64_t octets = 0;
	unsigned taken = 0;
	bool large = false;

	for (; *end && fits(*end, taken, octets, large); taken++) {
		*((*end)->owned ? &c->unhurried : &c->waiting) -= 1;
		large |= (*end)->kind == PENDING_DELIVER && (*end)->deliver.large;
		octets += body_octets(*end);
		end = &(*end)->next;
	}
	c->first = *end;
	*end = NULL;
	if (!c->first)
		c->last = NULL;
	return group;
}

/* ---- telling ---- */

static void tell_waiter(struct commit *c, struct commit_waiter *w)
{
	pthread_mutex_lock(&c->mutex);
	if (--w->left == 0)
		pthread_cond_signal(&w->told);
	pthread_mutex_unlock(&c->mutex);
}

static void tell(struct store *st, struct pending *group)
{
	while (group) {
		struct pending *p = group;

		group = p->next;
		/* Whoever is told may free the pending at once. */
		if (p->op)
			st->host->post(p->op, p->status);
		else if (p->waiter)
			tell_waiter(&st->commit, p->waiter);
		else if (p->owned)
			store_free(st, p);
	}
}

/* ---- leading; called and left with the mutex held ---- */

static uint64_t nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/*
 * Deliverers that come back with their next message as soon as they are told would otherwise fall
 * into two halves: the first one leads alone, the others share the group after. So the leader gives
 * as many as were in the last group a moment to come, a small part of what a group takes.
 */
static void gather(struct commit *c)
{
	uint64_t until = nanoseconds() + c->last_time / GATHER_SHARE;
	struct timespec end = {(time_t)(until / 1000000000), (long)(until % 1000000000)};

	while (c->waiting < c->last_group) {
		if (pthread_cond_timedwait(&c->gathered, &c->mutex, &end) != 0)
			break;
	}
}

static void lead(struct store *st)
{
	struct commit *c = &st->commit;
	struct pending *group;
	uint64_t begun;
	unsigned before;

	if (c->waiting < c->last_group)
		gather(c);
	before = c->waiting;
	group = take_group(c);
	c->last_group = before - c->waiting;
	pthread_mutex_unlock(&c->mutex);
	begun = nanoseconds();
	group_run(st, group);
	begun = nanoseconds() - begun;
	tell(st, group);
	pthread_mutex_lock(&c->mutex);
	c->last_time = begun < GATHER_MAX ? begun : GATHER_MAX;
}

static int lead_work(void *arg)
{
	struct store *st = arg;
	struct commit *c = &st->commit;

	pthread_mutex_lock(&c->mutex);
	c->called = false;
	if (!c->leading) {
		c->leading = true;
		while (c->first)
			lead(st);
		c->leading = false;
	}
	pthread_mutex_unlock(&c->mutex);
	if (atomic_load(&c->since_checkpoint) >= CHECKPOINT_GROUPS)
		store_checkpoint_soon(st);
	return PSTN_OK;
}

static void lead_done(void *arg, int status)
{
	(void)arg;
	(void)status;
}

/* The job never ran: the queue waits for the next one who leads, at the latest for the stop. */
static void lead_orphan(void *arg)
{
	struct store *st = arg;

	pthread_mutex_lock(&st->commit.mutex);
	st->commit.called = false;
	pthread_mutex_unlock(&st->commit.mutex);
}

static bool lead_by_job(struct store *st)
{
	return st->host->job(st->self, NULL, lead_work, lead_done, lead_orphan, st) != NULL;
}

/* ---- blocking ---- */

static void pass_on(struct store *st)
{
	struct commit *c = &st->commit;
	bool call;

	if (c->first && c->first->waiter) {
		c->first->waiter->lead = true;
		pthread_cond_signal(&c->first->waiter->told);
		return;
	}
	c->leading = false;
	call = c->first && !c->called;
	c->called |= call;
	if (!call)
		return;
	pthread_mutex_unlock(&c->mutex);
	if (!lead_by_job(st))
		lead_work(st);
	pthread_mutex_lock(&c->mutex);
}

void commit_wait(struct store *st, struct pending *list)
{
	struct commit *c = &st->commit;
	struct commit_waiter w = {.left = 0};
	struct pending *p, *next;

	pthread_cond_init(&w.told, NULL);
	pthread_mutex_lock(&c->mutex);
	for (p = list; p; p = next) {
		next = p->next;
		p->waiter = &w;
		append(c, p);
		w.left++;
	}
	if (!c->leading)
		c->leading = w.lead = true;
	while (w.left > 0) {
		if (w.lead)
			lead(st);
		else
			pthread_cond_wait(&w.told, &c->mutex);
	}
	if (w.lead)
		pass_on(st);
	pthread_mutex_unlock(&c->mutex);
	pthread_cond_destroy(&w.told);
	if (atomic_load(&c->since_checkpoint) >= CHECKPOINT_GROUPS)
		store_checkpoint_soon(st);
}

void commit_flush(struct store *st)
{
	struct commit *c = &st->commit;

	pthread_mutex_lock(&c->mutex);
	if (!c->leading) {
		c->leading = true;
		while (c->first)
			lead(st);
		c->leading = false;
	}
	pthread_mutex_unlock(&c->mutex);
}

/* ---- not blocking ---- */

/* Nobody can lead: what waits is told so. */
static void give_up(struct store *st)
{
	struct commit *c = &st->commit;
	struct pending *all;

	pthread_mutex_lock(&c->mutex);
	all = c->first;
	c->first = c->last = NULL;
	c->waiting = c->unhurried = 0;
	c->called = false;
	pthread_mutex_unlock(&c->mutex);
	for (struct pending *p = all; p; p = p->next)
		p->status = PSTN_E_TEMPORARY;
	tell(st, all);
}

/* Queues p; true: somebody has to be called to lead. */
static bool enqueue(struct commit *c, struct pending *p)
{
	bool call;

	pthread_mutex_lock(&c->mutex);
	append(c, p);
	call = !c->leading && !c->called;
	c->called |= call;
	pthread_mutex_unlock(&c->mutex);
	return call;
}

void commit_submit(struct store *st, struct pending *p)
{
	if (enqueue(&st->commit, p) && !lead_by_job(st))
		give_up(st);
}

/* Changes that a session makes soon one after the other become one record, which has one time. */
static struct pending *join_last(struct commit *c, const char *origin, uint64_t account,
				 uint32_t folder, uint64_t now)
{
	struct pending *p = c->last;

	if (!p || p->kind != PENDING_FLAGS || !p->owned || p->account != account ||
	    p->folder != folder || strcmp(p->origin, origin) != 0 ||
	    p->flags.count == p->flags.room || now - p->flags.time >= FLAGS_JOIN)
		return NULL;
	return p;
}

static struct pending *new_flags(struct store *st, const char *origin, uint64_t account,
				 uint32_t folder, uint64_t now)
{
	struct pending *p =
	    store_alloc(st, sizeof(*p) + FLAGS_AT_ONCE * sizeof(struct flag_change));

	if (!p)
		return NULL;
	p->kind = PENDING_FLAGS;
	p->account = account;
	p->folder = folder;
	snprintf(p->origin, sizeof(p->origin), "%s", origin);
	p->owned = true;
	p->flags.changes = (struct flag_change *)(p + 1);
	p->flags.room = FLAGS_AT_ONCE;
	p->flags.time = now;
	return p;
}

void commit_soon(struct store *st)
{
	struct commit *c = &st->commit;
	bool call, hurried;

	pthread_mutex_lock(&c->mutex);
	call = c->first && !c->leading && !c->called;
	c->called |= call;
	pthread_mutex_unlock(&c->mutex);
	if (!call || lead_by_job(st))
		return;
	pthread_mutex_lock(&c->mutex);
	hurried = c->waiting > 0;
	c->called = false;
	pthread_mutex_unlock(&c->mutex);
	if (hurried)
		give_up(st);
}

void commit_flag(struct store *st, const char *origin, uint64_t account, uint32_t folder,
		 struct flag_change f)
{
	struct commit *c = &st->commit;
	uint64_t now = store_time();
	struct pending *p;
	bool enough;

	pthread_mutex_lock(&c->mutex);
	p = join_last(c, origin, account, folder, now);
	if (!p) {
		pthread_mutex_unlock(&c->mutex);
		p = new_flags(st, origin, account, folder, now);
		if (!p)
			return;
		pthread_mutex_lock(&c->mutex);
		append(c, p);
	}
	p->flags.changes[p->flags.count++] = f;
	enough = p->flags.count == p->flags.room || c->unhurried >= FLAGS_ENTRIES;
	pthread_mutex_unlock(&c->mutex);
	if (enough)
		commit_soon(st);
}
