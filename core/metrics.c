/*
 * metrics.c - counters in shards, one shard for each thread.
 *
 * Only its thread writes into a shard, so an addition is a load and a store without a lock prefix.
 */
#include "config.h"

#include "metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct shard {
	struct shard *next;
	atomic_bool owned;
	_Alignas(64) _Atomic int64_t values[METRICS_MAX];
};

static _Atomic(struct shard *) shards;
static struct shard common; /* for a thread that gets none of its own; added to atomically */
static atomic_int reserved;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;
static _Thread_local struct shard *own_shard;

static void unown(void *shard)
{
	atomic_store_explicit(&((struct shard *)shard)->owned, false, memory_order_release);
}

static void make_key(void)
{
	have_key = pthread_key_create(&key, unown) == 0;
}

static struct shard *adopt(void)
{
	for (struct shard *s = atomic_load(&shards); s; s = s->next) {
		bool owned = false;
		if (atomic_compare_exchange_strong(&s->owned, &owned, true))
			return s;
	}
	struct shard *s = aligned_alloc(64, sizeof(*s));
	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	atomic_store(&s->owned, true);
	s->next = atomic_load(&shards);
	while (!atomic_compare_exchange_weak(&shards, &s->next, s))
		;
	return s;
}

static __attribute__((noinline)) struct shard *find_own(void)
{
	pthread_once(&once, make_key);
	struct shard *s = have_key ? adopt() : NULL;
	if (s && pthread_setspecific(key, s)) {
		unown(s);
		s = NULL;
	}
	own_shard = s;
	return s;
}

int metrics_reserve(unsigned n)
{
	int first = atomic_load(&reserved);
	do
		if (n > METRICS_MAX - (unsigned)first)
			return -1;
	while (!atomic_compare_exchange_weak(&reserved, &first, first + (int)n));
	return first;
}

void metrics_add(int counter, int64_t by)
{
	if (counter < 0)
		return;
	struct shard *s = own_shard ? own_shard : find_own();
	if (!s) {
		atomic_fetch_add_explicit(&common.values[counter], by, memory_order_relaxed);
		return;
	}
	_Atomic int64_t *value = &s->values[counter];
	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
			      memory_order_relaxed);
}

int64_t metrics_read(int counter)
{
	if (counter < 0)
		return 0;
	int64_t sum = atomic_load_explicit(&common.values[counter], memory_order_relaxed);
	for (struct shard *s = atomic_load(&shards); s; s = s->next)
		sum += atomic_load_explicit(&s->values[counter], memory_order_relaxed);
	return sum;
}
