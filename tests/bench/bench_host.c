/*
 * bench_host.c - the least host under which the store runs.
 */
#include "bench_host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOB_THREADS 4

struct pstn_op {
	struct pstn_op *next;
	pstn_done *done;
	int (*work)(void *);
	void *arg;
	int status;
};

struct queue {
	struct pstn_op *first, **last;
	pthread_cond_t some;
};

const char *bench_directory;
struct pstn_session {
	char id[8];
};
static struct pstn_session session = {"bench"};
struct pstn_session *const bench_session = &session;

static struct {
	pthread_mutex_t mutex;
	struct queue jobs, posted;
	unsigned threads, busy;
} core = {.mutex = PTHREAD_MUTEX_INITIALIZER,
	  .jobs = {NULL, &core.jobs.first, PTHREAD_COND_INITIALIZER},
	  .posted = {NULL, &core.posted.first, PTHREAD_COND_INITIALIZER}};

/* ---- queues; with the mutex held ---- */

static void push(struct queue *q, struct pstn_op *op)
{
	op->next = NULL;
	*q->last = op;
	q->last = &op->next;
	pthread_cond_signal(&q->some);
}

static struct pstn_op *take_all(struct queue *q)
{
	struct pstn_op *all = q->first;

	q->first = NULL;
	q->last = &q->first;
	return all;
}

/* ---- jobs ---- */

static void *run_jobs(void *arg)
{
	struct queue *q = &core.jobs;

	pthread_mutex_lock(&core.mutex);
	for (;;) {
		struct pstn_op *op = q->first;

		if (!op) {
			pthread_cond_wait(&q->some, &core.mutex);
			continue;
		}
		q->first = op->next;
		if (!q->first)
			q->last = &q->first;
		core.busy++;
		pthread_mutex_unlock(&core.mutex);
		op->status = op->work(op->arg);
		pthread_mutex_lock(&core.mutex);
		core.busy--;
		push(&core.posted, op);
	}
	return arg;
}

/* Started with the first jobs: not in a process that only opens a store and forks. */
static bool start_thread(void)
{
	pthread_t thread;

	if (core.threads == JOB_THREADS)
		return true;
	if (pthread_create(&thread, NULL, run_jobs, NULL) != 0)
		return core.threads > 0;
	pthread_detach(thread);
	core.threads++;
	return true;
}

static struct pstn_op *host_job(struct pstn_self *self, struct pstn_session *s, int (*work)(void *),
				pstn_done *done, void (*orphan)(void *), void *arg)
{
	struct pstn_op *op = calloc(1, sizeof(*op));

	(void)self;
	(void)s;
	(void)orphan;
	if (!op)
		return NULL;
	*op = (struct pstn_op){.done = done, .arg = arg, .work = work};
	pthread_mutex_lock(&core.mutex);
	if (start_thread()) {
		push(&core.jobs, op);
		pthread_mutex_unlock(&core.mutex);
		return op;
	}
	pthread_mutex_unlock(&core.mutex);
	free(op);
	return NULL;
}

/* ---- the reactor ---- */

static void call_all(struct pstn_op *op)
{
	while (op) {
		struct pstn_op *next = op->next;

		op->done(op->arg, op->status);
		free(op);
		op = next;
	}
}

void bench_turn(void)
{
	struct pstn_op *all;

	pthread_mutex_lock(&core.mutex);
	while (!core.posted.first)
		pthread_cond_wait(&core.posted.some, &core.mutex);
	all = take_all(&core.posted);
	pthread_mutex_unlock(&core.mutex);
	call_all(all);
}

void bench_settle(void)
{
	for (;;) {
		const struct timespec pause = {.tv_nsec = 100000};
		struct pstn_op *all;
		bool idle;

		pthread_mutex_lock(&core.mutex);
		all = take_all(&core.posted);
		idle = !all && !core.jobs.first && core.busy == 0;
		pthread_mutex_unlock(&core.mutex);
		if (idle)
			return;
		call_all(all);
		nanosleep(&pause, NULL);
	}
}

static struct pstn_op *host_pend(struct pstn_self *self, struct pstn_session *s, pstn_done *done,
				 void (*orphan)(void *), void *arg)
{
	struct pstn_op *op = calloc(1, sizeof(*op));

	(void)self;
	(void)s;
	(void)orphan;
	if (op)
		*op = (struct pstn_op){.done = done, .arg = arg};
	return op;
}

static void host_post(struct pstn_op *op, int status)
{
	op->status = status;
	pthread_mutex_lock(&core.mutex);
	push(&core.posted, op);
	pthread_mutex_unlock(&core.mutex);
}

/* ---- the rest ---- */

static void *host_alloc(struct pstn_self *self, size_t n)
{
	(void)self;
	return calloc(1, n);
}

static void host_free(struct pstn_self *self, void *p)
{
	(void)self;
	free(p);
}

static void host_log(struct pstn_self *self, struct pstn_session *s, int level, const char *event,
		     const struct pstn_field *fields, size_t n)
{
	(void)self;
	(void)s;
	fprintf(stderr, "log %d %s", level, event);
	for (size_t i = 0; i < n; i++) {
		if (fields[i].kind == PSTN_F_STR)
			fprintf(stderr, " %s=%s", fields[i].key, fields[i].str);
	}
	fprintf(stderr, "\n");
}

static void host_count(struct pstn_self *self, uint32_t metric, int64_t by)
{
	(void)self;
	(void)metric;
	(void)by;
}

static const char *host_name(struct pstn_self *self)
{
	(void)self;
	return "storage";
}

static const char *host_directory(struct pstn_self *self, int kind)
{
	(void)self;
	(void)kind;
	return bench_directory;
}

static const void *host_need(struct pstn_self *self, uint32_t i, void **inst)
{
	(void)self;
	(void)i;
	*inst = NULL;
	return NULL;
}

static uint64_t host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Timers never fire: checkpoints come by the number of groups. */
static struct pstn_op *host_after(struct pstn_self *self, struct pstn_session *s, uint64_t ms,
				  pstn_done *done, void *arg)
{
	static struct pstn_op never;

	(void)self;
	(void)s;
	(void)ms;
	(void)done;
	(void)arg;
	return &never;
}

static void host_cancel(struct pstn_op **op)
{
	*op = NULL;
}

static void host_tell(struct pstn_self *self, const char *key, const char *value)
{
	(void)self;
	(void)key;
	(void)value;
}

static void host_progress(struct pstn_self *self, const char *what, uint64_t done, uint64_t total)
{
	(void)self;
	(void)what;
	(void)done;
	(void)total;
}

static const char *host_id(struct pstn_session *s)
{
	return s->id;
}

const struct pstn_host bench_host = {
    .size = sizeof(bench_host),
    .abi_major = PSTN_ABI_MAJOR,
    .alloc = host_alloc,
    .free = host_free,
    .log = host_log,
    .count = host_count,
    .name = host_name,
    .directory = host_directory,
    .need = host_need,
    .now = host_now,
    .after = host_after,
    .job = host_job,
    .pend = host_pend,
    .post = host_post,
    .cancel = host_cancel,
    .id = host_id,
    .tell = host_tell,
    .progress = host_progress,
};
