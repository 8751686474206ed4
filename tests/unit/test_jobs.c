/*
 * test_jobs.c - job threads grow while work waits, shrink when it does not, and keep the bounds.
 */
#include "jobs.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "suite.h"

struct work {
	struct task task; /* first */
	unsigned number;
};

static sem_t started, go;
static atomic_uint ran;
static unsigned order[64];

/* A job that says it runs and then waits to be let go. */
static void run_gate(struct task *t)
{
	(void)t;
	sem_post(&started);
	sem_wait(&go);
	atomic_fetch_add(&ran, 1);
}

static void run_note(struct task *t)
{
	unsigned at = atomic_fetch_add(&ran, 1);
	if (at < sizeof(order) / sizeof(order[0]))
		order[at] = ((struct work *)t)->number;
}

static void begin(unsigned min, unsigned max, unsigned queue)
{
	char err[200] = "";
	sem_init(&started, 0, 0);
	sem_init(&go, 0, 0);
	atomic_store(&ran, 0);
	jobs_idle_limit(60000);
	CU_ASSERT_EQUAL_FATAL(jobs_start(min, max, queue, err, sizeof(err)), 0);
}

static void wait_n(sem_t *s, unsigned n)
{
	while (n-- > 0)
		sem_wait(s);
}

static void post_n(sem_t *s, unsigned n)
{
	while (n-- > 0)
		sem_post(s);
}

static struct jobs_stats stats(void)
{
	struct jobs_stats s;
	jobs_stats(&s);
	return s;
}

/* Until the state is there, however long a loaded machine takes for it. */
static bool becomes(unsigned *(*value)(struct jobs_stats *), unsigned expected)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	for (int i = 0; i < 20000; i++) {
		struct jobs_stats s = stats();
		if (*value(&s) == expected)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static unsigned *threads_of(struct jobs_stats *s)
{
	return &s->threads;
}

static unsigned *busy_of(struct jobs_stats *s)
{
	return &s->busy;
}

static void grows_while_work_waits(void)
{
	struct work w[6] = {0};
	begin(1, 4, 100);
	for (unsigned i = 0; i < 6; i++) {
		w[i].task.run = run_gate;
		CU_ASSERT_TRUE(jobs_submit(&w[i].task, false));
	}
	wait_n(&started, 4);
	CU_ASSERT_EQUAL(stats().threads, 4);
	CU_ASSERT_EQUAL(stats().busy, 4);
	CU_ASSERT_EQUAL(stats().waiting, 2);
	post_n(&go, 6);
	wait_n(&started, 2);
	jobs_stop();
	CU_ASSERT_EQUAL(atomic_load(&ran), 6);
	CU_ASSERT_EQUAL(stats().threads, 0);
	CU_ASSERT_EQUAL(stats().done, 6);
}

static void shrinks_when_idle(void)
{
	struct work w[5] = {0};
	begin(2, 5, 100);
	jobs_idle_limit(0);
	for (unsigned i = 0; i < 5; i++) {
		w[i].task.run = run_gate;
		jobs_submit(&w[i].task, false);
	}
	wait_n(&started, 5);
	CU_ASSERT_EQUAL(stats().threads, 5);
	post_n(&go, 5);
	CU_ASSERT_TRUE(becomes(threads_of, 2));
	CU_ASSERT_TRUE(becomes(busy_of, 0));
	CU_ASSERT_EQUAL(stats().threads, 2);
	jobs_stop();
}

static void queue_is_bounded(void)
{
	struct work gate = {.task.run = run_gate}, w[4] = {0};
	begin(1, 1, 2);
	jobs_submit(&gate.task, false);
	wait_n(&started, 1);
	for (unsigned i = 0; i < 4; i++)
		w[i] = (struct work){.task.run = run_note, .number = i};
	CU_ASSERT_TRUE(jobs_submit(&w[0].task, false));
	CU_ASSERT_TRUE(jobs_submit(&w[1].task, false));
	CU_ASSERT_FALSE(jobs_submit(&w[2].task, false));
	CU_ASSERT_TRUE(jobs_submit(&w[3].task, true));
	CU_ASSERT_EQUAL(stats().refused, 1);
	CU_ASSERT_EQUAL(stats().waiting, 3);
	post_n(&go, 1);
	jobs_stop();
	CU_ASSERT_EQUAL(atomic_load(&ran), 4);
	/* the gate took place 0; the urgent one went before the others */
	CU_ASSERT_EQUAL(order[1], 3);
	CU_ASSERT_EQUAL(order[2], 0);
	CU_ASSERT_EQUAL(order[3], 1);
}

static void stopped_refuses(void)
{
	struct work w = {.task.run = run_note};
	begin(1, 1, 1);
	jobs_stop();
	CU_ASSERT_FALSE(jobs_submit(&w.task, true));
}

/* Many small jobs from several threads at once: each runs exactly once. */
enum { SUBMITTERS = 4, EACH = 5000 };

static void *submit_many(void *arg)
{
	struct work *w = arg;
	for (unsigned i = 0; i < EACH; i++) {
		w[i] = (struct work){.task.run = run_note, .number = i};
		jobs_submit(&w[i].task, i % 7 == 0);
	}
	return NULL;
}

static void many_submitters(void)
{
	pthread_t threads[SUBMITTERS];
	struct work *w = calloc(SUBMITTERS * EACH, sizeof(*w));
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	begin(1, 8, SUBMITTERS * EACH);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		pthread_create(&threads[i], NULL, submit_many, w + i * EACH);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		pthread_join(threads[i], NULL);
	jobs_stop();
	CU_ASSERT_EQUAL(atomic_load(&ran), SUBMITTERS * EACH);
	CU_ASSERT_EQUAL(stats().refused, 0);
	free(w);
}

static const struct suite_case cases[] = {
    {"grow while work waits", grows_while_work_waits},
    {"shrink when idle", shrinks_when_idle},
    {"bounded queue, urgent first", queue_is_bounded},
    {"stopped", stopped_refuses},
    {"many submitters", many_submitters},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("jobs", cases, argc > 1 ? argv[1] : NULL);
}
