/*
 * test_metrics.c - what many threads add up, while they live and after.
 */
#include "metrics.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "suite.h"

enum { THREADS = 8, EACH = 100000 };

static int first;

static void *add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < EACH; i++) {
		metrics_add(first, 1);
		metrics_add(first + 1, i % 2 ? 3 : -2);
	}
	return NULL;
}

static void many_threads(void)
{
	pthread_t threads[THREADS];
	first = metrics_reserve(2);
	CU_ASSERT_TRUE_FATAL(first >= 0);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, add_many, NULL);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(metrics_read(first), (int64_t)round * THREADS * EACH);
		CU_ASSERT_EQUAL(metrics_read(first + 1), (int64_t)round * THREADS * EACH / 2);
	}
}

static void numbers(void)
{
	int a = metrics_reserve(3), b = metrics_reserve(1);
	CU_ASSERT_EQUAL(b, a + 3);
	CU_ASSERT_EQUAL(metrics_reserve(METRICS_MAX), -1);
	metrics_add(-1, 5);
	CU_ASSERT_EQUAL(metrics_read(-1), 0);
	CU_ASSERT_EQUAL(metrics_read(b), 0);
}

static const struct suite_case cases[] = {
    {"many threads", many_threads},
    {"numbers", numbers},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("metrics", cases, argc > 1 ? argv[1] : NULL);
}
