/*
 * fake_op.c - pending operations of the fake host: a manual clock, jobs in order, completions
 * when the test asks for them. Operations are kept until fake_end(), so that misuse is noticed.
 */
#include "fake_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { AFTER, JOB, PEND };
enum state { WAITING, RUNNING, POSTED, ENDED };

static const char *const kind_names[] = {"after", "job", "pend"};

struct pstn_op {
	struct pstn_op *next_made; /* all of them */
	struct pstn_op *next;      /* in the queue it is in */
	enum kind kind;
	enum state state;
	bool orphaned;
	struct pstn_self *self;
	struct pstn_session *session;
	uint64_t due;
	int (*work)(void *);
	pstn_done *done;
	void (*orphan)(void *);
	void *arg;
	int status;
};

struct queue {
	struct pstn_op *first, **last;
};

static struct pstn_op *made, **made_end = &made;
static struct queue jobs = {NULL, &jobs.first}, posted = {NULL, &posted.first};
static bool run_orphans;
static pthread_t threads[16];
static unsigned nthreads, running;
static bool stopping;

static void push(struct queue *q, struct pstn_op *op)
{
	op->next = NULL;
	*q->last = op;
	q->last = &op->next;
	pthread_cond_broadcast(&fake_world.changed);
}

static struct pstn_op *pop(struct queue *q)
{
	struct pstn_op *op = q->first;
	if (op && !(q->first = op->next))
		q->last = &q->first;
	return op;
}

static struct pstn_op *make(enum kind kind, struct pstn_self *self, struct pstn_session *s,
			    pstn_done *done, void *arg)
{
	if (!self)
		fake_die("%s without an instance", kind_names[kind]);
	if (s)
		fake_session_check(s, kind_names[kind]);
	if (!done)
		fake_die("%s without done()", kind_names[kind]);
	if (fake_alloc_fails())
		return NULL;
	struct pstn_op *op = fake_must(calloc(1, sizeof(*op)));
	op->kind = kind;
	op->self = self;
	op->session = s;
	op->done = done;
	op->arg = arg;
	fake_lock();
	*made_end = op;
	made_end = &op->next_made;
	fake_unlock();
	return op;
}

struct pstn_op *fake_op_after(struct pstn_self *self, struct pstn_session *s, uint64_t ms,
			      pstn_done *done, void *arg)
{
	struct pstn_op *op = make(AFTER, self, s, done, arg);
	if (op)
		op->due = fake_world.now + ms;
	return op;
}

struct pstn_op *fake_op_job(struct pstn_self *self, struct pstn_session *s, int (*work)(void *),
			    pstn_done *done, void (*orphan)(void *), void *arg)
{
	if (!work)
		fake_die("job without work()");
	struct pstn_op *op = make(JOB, self, s, done, arg);
	if (!op)
		return NULL;
	op->work = work;
	op->orphan = orphan;
	fake_lock();
	push(&jobs, op);
	fake_unlock();
	return op;
}

struct pstn_op *fake_op_pend(struct pstn_self *self, struct pstn_session *s, pstn_done *done,
			     void (*orphan)(void *), void *arg)
{
	struct pstn_op *op = make(PEND, self, s, done, arg);
	if (op)
		op->orphan = orphan;
	return op;
}

/* Locked before and after, not while the module's function runs. */
static void call_orphan(struct pstn_op *op)
{
	op->state = ENDED;
	fake_unlock();
	if (op->orphan)
		op->orphan(op->arg);
	fake_lock();
}

void fake_op_post(struct pstn_op *op, int status)
{
	if (!op)
		fake_die("post of no operation");
	fake_lock();
	if (op->kind != PEND)
		fake_die("post to an operation made by %s", kind_names[op->kind]);
	if (op->state != WAITING)
		fake_die("post to an operation that was posted already");
	if (status == PSTN_LATER)
		fake_die("post of PSTN_LATER, which is no result");
	op->status = status;
	if (op->orphaned) {
		call_orphan(op);
	} else {
		op->state = POSTED;
		push(&posted, op);
	}
	fake_unlock();
}

void fake_op_cancel(struct pstn_op **op)
{
	if (!*op)
		return;
	if ((*op)->kind != AFTER)
		fake_die("cancel of an operation made by %s", kind_names[(*op)->kind]);
	if ((*op)->state != WAITING)
		fake_die("cancel of a timer that fired already or whose session ended");
	(*op)->state = ENDED;
	*op = NULL;
}

void fake_ops_orphan(struct pstn_session *s)
{
	fake_lock();
	for (struct pstn_op *op = made; op; op = op->next_made) {
		if (op->session != s || op->state == ENDED)
			continue;
		op->orphaned = true;
		op->session = NULL;
		if (op->kind == AFTER)
			op->state = ENDED;
	}
	fake_unlock();
}

/* ---- time ---- */

static struct pstn_op *next_due(uint64_t until)
{
	struct pstn_op *first = NULL;
	for (struct pstn_op *op = made; op; op = op->next_made)
		if (op->kind == AFTER && op->state == WAITING && op->due <= until &&
		    (!first || op->due < first->due))
			first = op;
	return first;
}

unsigned fake_advance(uint64_t ms)
{
	unsigned fired = 0;
	uint64_t until = fake_world.now + ms;
	fake_on_reactor("fake_advance");
	for (struct pstn_op *op; (op = next_due(until)); fired++) {
		if (op->due > fake_world.now)
			fake_world.now = op->due;
		op->state = ENDED;
		op->done(op->arg, PSTN_OK);
		fake_sessions_turn();
	}
	fake_world.now = until;
	fake_sessions_idle();
	return fired;
}

/* ---- jobs and completions ---- */

/* Locked before and after. */
static void run_job(struct pstn_op *op)
{
	if (op->orphaned && !run_orphans) {
		call_orphan(op);
		return;
	}
	op->state = RUNNING;
	running++;
	fake_unlock();
	bool outer = fake_in_job;
	fake_in_job = true;
	int status = op->work(op->arg);
	fake_in_job = outer;
	if (status == PSTN_LATER)
		fake_die("a job returned PSTN_LATER, which is no result");
	fake_lock();
	running--;
	op->status = status;
	if (op->orphaned) {
		call_orphan(op);
		pthread_cond_broadcast(&fake_world.changed);
	} else {
		op->state = POSTED;
		push(&posted, op);
	}
}

unsigned fake_run_jobs(void)
{
	unsigned ran = 0;
	fake_lock();
	if (nthreads)
		fake_die("fake_run_jobs() with real threads; use fake_settle()");
	for (struct pstn_op *op; (op = pop(&jobs)); ran++)
		run_job(op);
	fake_unlock();
	return ran;
}

unsigned fake_run(void)
{
	unsigned ran = 0;
	fake_on_reactor("fake_run");
	fake_lock();
	for (struct pstn_op *op; (op = pop(&posted)); ran++) {
		if (op->orphaned) {
			call_orphan(op);
			continue;
		}
		op->state = ENDED;
		fake_unlock();
		op->done(op->arg, op->status);
		fake_lock();
	}
	fake_unlock();
	fake_sessions_turn();
	return ran;
}

/* With real threads: waits until a completion is there or no job is left. */
static bool wait_for_threads(void)
{
	fake_lock();
	while (!posted.first && (jobs.first || running))
		pthread_cond_wait(&fake_world.changed, &fake_world.lock);
	bool more = posted.first;
	fake_unlock();
	return more;
}

unsigned fake_settle(void)
{
	unsigned total = 0, ran;
	do {
		if (nthreads && !wait_for_threads() && !posted.first)
			return total + fake_run();
		ran = nthreads ? 0 : fake_run_jobs();
		ran += fake_run();
		total += ran;
	} while (ran);
	return total;
}

unsigned fake_jobs_waiting(void)
{
	unsigned n = 0;
	fake_lock();
	for (struct pstn_op *op = jobs.first; op; op = op->next)
		n++;
	fake_unlock();
	return n;
}

void fake_skip_orphans(bool skip)
{
	run_orphans = !skip;
}

static void *job_thread(void *arg)
{
	(void)arg;
	fake_lock();
	while (!stopping || jobs.first) {
		struct pstn_op *op = pop(&jobs);
		if (op)
			run_job(op);
		else
			pthread_cond_wait(&fake_world.changed, &fake_world.lock);
	}
	fake_unlock();
	return NULL;
}

void fake_use_threads(unsigned n)
{
	if (nthreads || n > sizeof(threads) / sizeof(threads[0]))
		fake_die("fake_use_threads(%u) twice, or more than 16", n);
	for (nthreads = 0; nthreads < n; nthreads++)
		if (pthread_create(&threads[nthreads], NULL, job_thread, NULL))
			fake_die("cannot start a thread");
}

static void stop_threads(void)
{
	fake_lock();
	stopping = true;
	pthread_cond_broadcast(&fake_world.changed);
	fake_unlock();
	while (nthreads)
		pthread_join(threads[--nthreads], NULL);
	stopping = false;
}

/* ---- blocking calls ---- */

struct blocking {
	void (*fn)(void *);
	void *arg;
	bool ended;
};

static void *blocking_thread(void *arg)
{
	struct blocking *b = arg;
	fake_in_job = true;
	b->fn(b->arg);
	fake_lock();
	b->ended = true;
	pthread_cond_broadcast(&fake_world.changed);
	fake_unlock();
	return NULL;
}

void fake_block_on(void (*fn)(void *), void *arg)
{
	struct blocking b = {fn, arg, false};
	pthread_t thread;
	fake_on_reactor("fake_block_on");
	if (pthread_create(&thread, NULL, blocking_thread, &b))
		fake_die("cannot start a thread");
	fake_lock();
	while (!b.ended) {
		if ((jobs.first && !nthreads) || posted.first) {
			fake_unlock();
			if (!nthreads)
				fake_run_jobs();
			fake_run();
			fake_lock();
		} else {
			pthread_cond_wait(&fake_world.changed, &fake_world.lock);
		}
	}
	fake_unlock();
	pthread_join(thread, NULL);
}

unsigned fake_ops_end(void)
{
	unsigned left = 0;
	stop_threads();
	for (struct pstn_op *op = made, *next; op; op = next) {
		next = op->next_made;
		if (op->state != ENDED) {
			fprintf(stderr, "fake_host: %s left an operation made by %s behind\n",
				op->self->name, kind_names[op->kind]);
			left++;
		}
		free(op);
	}
	made = NULL;
	made_end = &made;
	jobs = (struct queue){NULL, &jobs.first};
	posted = (struct queue){NULL, &posted.first};
	run_orphans = false;
	return left;
}
