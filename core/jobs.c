/*
 * jobs.c - job threads and their queue.
 *
 * Idle threads wait on a stack, so that the same few stay warm and the others grow old and leave.
 * Who submits starts at most one thread at a time; a thread that finds more work waiting starts
 * the next, so that a burst does not make a reactor pay for many threads.
 */
#include "config.h"

#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IDLE_MS = 10000, STACK_SIZE = 1024 * 1024 };

/* Kept and used again when its thread has left, so that it can be signalled without the lock. */
struct worker {
	struct worker *next; /* on the idle stack, among those that left, or among the spare ones */
	pthread_t thread;
	pthread_cond_t wake;
	struct timespec until;
	bool called;
};

struct queue {
	struct task *first, **last;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t left; /* a thread left */
	struct queue urgent, normal;
	struct worker *idle, *gone, *spare;
	unsigned min, max, room;
	unsigned threads, nidle, waiting, normal_waiting;
	bool starting, stopping, running;
	uint64_t idle_ms, done, refused;
} jobs = {.lock = PTHREAD_MUTEX_INITIALIZER,
	  .left = PTHREAD_COND_INITIALIZER,
	  .urgent = {NULL, &jobs.urgent.first},
	  .normal = {NULL, &jobs.normal.first},
	  .idle_ms = IDLE_MS};

static void push(struct queue *q, struct task *t)
{
	t->next = NULL;
	*q->last = t;
	q->last = &t->next;
	jobs.waiting++;
}

static struct task *pop(struct queue *q)
{
	struct task *t = q->first;
	if (!t)
		return NULL;
	if (!(q->first = t->next))
		q->last = &q->first;
	jobs.waiting--;
	return t;
}

static struct task *next_task(void)
{
	struct task *t = pop(&jobs.urgent);
	if (!t && (t = pop(&jobs.normal)))
		jobs.normal_waiting--;
	return t;
}

/* ---- idle threads ---- */

static struct worker *call_idle(void)
{
	struct worker *w = jobs.idle;
	if (w) {
		jobs.idle = w->next;
		jobs.nidle--;
		w->called = true;
	}
	return w;
}

static void take_off_stack(struct worker *w)
{
	struct worker **p = &jobs.idle;
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	jobs.nidle--;
}

static struct timespec deadline(uint64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static int sleep_on_stack(struct worker *w)
{
	if (jobs.threads <= jobs.min)
		return pthread_cond_wait(&w->wake, &jobs.lock);
	return pthread_cond_clockwait(&w->wake, &jobs.lock, CLOCK_MONOTONIC, &w->until);
}

/* Locked. False: nobody needed this thread for long, and it may leave. */
static bool wait_for_call(struct worker *w)
{
	int rc = 0;
	w->until = deadline(jobs.idle_ms);
	w->called = false;
	w->next = jobs.idle;
	jobs.idle = w;
	jobs.nidle++;
	while (!w->called && rc == 0)
		rc = sleep_on_stack(w);
	if (w->called)
		return true;
	take_off_stack(w);
	return jobs.threads <= jobs.min;
}

/* ---- threads ---- */

static bool start_thread(void);

static void run_task(struct task *t)
{
	if (jobs.waiting > 0 && jobs.nidle == 0)
		start_thread();
	pthread_mutex_unlock(&jobs.lock);
	t->run(t);
	pthread_mutex_lock(&jobs.lock);
	jobs.done++;
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	pthread_setname_np(pthread_self(), "job");
	pthread_mutex_lock(&jobs.lock);
	jobs.starting = false;
	for (;;) {
		struct task *t = next_task();
		if (t)
			run_task(t);
		else if (jobs.stopping || !wait_for_call(w))
			break;
	}
	jobs.threads--;
	w->next = jobs.gone;
	jobs.gone = w;
	pthread_cond_signal(&jobs.left);
	pthread_mutex_unlock(&jobs.lock);
	return NULL;
}

/* Locked: who is in the list has given up the lock for good, so this waits for next to nothing. */
static void join_gone(void)
{
	while (jobs.gone) {
		struct worker *w = jobs.gone;
		jobs.gone = w->next;
		pthread_join(w->thread, NULL);
		w->next = jobs.spare;
		jobs.spare = w;
	}
}

/* Signals are for the control thread. */
static int create_thread(struct worker *w)
{
	pthread_attr_t attr;
	sigset_t all;
	if (pthread_attr_init(&attr))
		return ENOMEM;
	sigfillset(&all);
	int rc = pthread_attr_setsigmask_np(&attr, &all);
	if (!rc)
		rc = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!rc)
		rc = pthread_create(&w->thread, &attr, thread_main, w);
	pthread_attr_destroy(&attr);
	return rc;
}

static struct worker *new_worker(void)
{
	struct worker *w = jobs.spare;
	if (w) {
		jobs.spare = w->next;
		return w;
	}
	w = calloc(1, sizeof(*w));
	if (w && pthread_cond_init(&w->wake, NULL)) {
		free(w);
		w = NULL;
	}
	return w;
}

/* Locked. False: there are enough, one is about to start, or there are no means. */
static bool start_thread(void)
{
	if (jobs.threads >= jobs.max || jobs.starting)
		return false;
	join_gone();
	struct worker *w = new_worker();
	if (!w)
		return false;
	jobs.threads++;
	jobs.starting = true;
	if (create_thread(w) == 0)
		return true;
	jobs.threads--;
	jobs.starting = false;
	w->next = jobs.spare;
	jobs.spare = w;
	return false;
}

/* ---- what others call ---- */

bool jobs_submit(struct task *t, bool urgent)
{
	pthread_mutex_lock(&jobs.lock);
	if (!jobs.running || (!urgent && jobs.normal_waiting >= jobs.room)) {
		jobs.refused++;
		pthread_mutex_unlock(&jobs.lock);
		return false;
	}
	push(urgent ? &jobs.urgent : &jobs.normal, t);
	jobs.normal_waiting += !urgent;
	struct worker *w = call_idle();
	if (!w)
		start_thread();
	pthread_mutex_unlock(&jobs.lock);
	if (w) /* not before: it would wake only to wait for the lock */
		pthread_cond_signal(&w->wake);
	return true;
}

void jobs_stats(struct jobs_stats *s)
{
	pthread_mutex_lock(&jobs.lock);
	*s = (struct jobs_stats){.threads = jobs.threads,
				 .busy = jobs.threads - jobs.nidle,
				 .waiting = jobs.waiting,
				 .done = jobs.done,
				 .refused = jobs.refused};
	pthread_mutex_unlock(&jobs.lock);
}

void jobs_idle_limit(uint64_t ms)
{
	pthread_mutex_lock(&jobs.lock);
	jobs.idle_ms = ms;
	pthread_mutex_unlock(&jobs.lock);
}

static int start_min(void)
{
	for (unsigned i = 0; i < jobs.min; i++) {
		jobs.starting = false; /* here they may start all at once */
		if (!start_thread())
			return -1;
	}
	return 0;
}

int jobs_start(unsigned min, unsigned max, unsigned queue, char *err, size_t errlen)
{
	pthread_mutex_lock(&jobs.lock);
	jobs.min = min ? min : 1;
	jobs.max = max > jobs.min ? max : jobs.min;
	jobs.room = queue ? queue : 1;
	jobs.stopping = false;
	jobs.done = jobs.refused = 0;
	int rc = start_min();
	jobs.running = rc == 0;
	pthread_mutex_unlock(&jobs.lock);
	if (rc) {
		snprintf(err, errlen,
			 "cannot start %u job threads: the system has no more threads or memory to "
			 "give; "
			 "lower server.job_threads.min or raise the limit of tasks",
			 jobs.min);
		jobs_stop();
	}
	return rc;
}

void jobs_stop(void)
{
	pthread_mutex_lock(&jobs.lock);
	jobs.stopping = true;
	for (struct worker *w; (w = call_idle());)
		pthread_cond_signal(&w->wake);
	while (jobs.threads > 0)
		pthread_cond_wait(&jobs.left, &jobs.lock);
	jobs.running = false;
	join_gone();
	pthread_mutex_unlock(&jobs.lock);
}
