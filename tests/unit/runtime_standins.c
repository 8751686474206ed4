/*
 * runtime_standins.c - what the runtime needs of its neighbours, as little as will do: an instance
 * is its own handle, jobs run on one thread each, claims and events are counted.
 */
#include "runtime_rig.h"

#include "claims.h"
#include "instance.h"
#include "jobs.h"
#include "log.h"
#include "op.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

atomic_int standin_claims, standin_events, standin_jobs, standin_orphaned;
atomic_bool standin_refuse_jobs;

void ops_orphan(struct pstn_session *s)
{
	(void)s;
	atomic_fetch_add(&standin_orphaned, 1);
}

void log_event(const char *service, const char *session, int level, const char *event,
	       const struct pstn_field *fields, size_t n)
{
	(void)service;
	(void)session;
	(void)level;
	(void)event;
	(void)fields;
	(void)n;
	atomic_fetch_add(&standin_events, 1);
}

bool claims_take(const char *key, uint32_t limit, uint32_t *ticket)
{
	(void)key;
	if (atomic_fetch_add(&standin_claims, 1) >= (int)limit) {
		atomic_fetch_sub(&standin_claims, 1);
		return false;
	}
	*ticket = 7;
	return true;
}

void claims_give(uint32_t ticket)
{
	if (ticket == 7)
		atomic_fetch_sub(&standin_claims, 1);
}

void *instance_handle(const struct pstn_self *self)
{
	return (void *)self;
}

const char *instance_name(const struct pstn_self *self)
{
	(void)self;
	return "rig";
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned running;

static void count_running(int by)
{
	pthread_mutex_lock(&lock);
	running += (unsigned)by;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void standin_jobs_wait(void)
{
	pthread_mutex_lock(&lock);
	while (running)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void *run_job(void *task)
{
	struct task *t = task;

	t->run(t);
	count_running(-1);
	return NULL;
}

bool jobs_submit(struct task *task, bool urgent)
{
	pthread_t thread;

	(void)urgent;
	if (atomic_load(&standin_refuse_jobs))
		return false;
	count_running(1);
	if (pthread_create(&thread, NULL, run_job, task)) {
		count_running(-1);
		return false;
	}
	pthread_detach(thread);
	atomic_fetch_add(&standin_jobs, 1);
	return true;
}
