/*
 * log.c - the rings of all threads, and the thread that empties them.
 *
 * The log thread looks at the rings every few milliseconds, so that an event costs its writer no
 * system call; only warnings and worse, and a ring that fills, wake it. When nothing was logged for
 * a while it looks rarely, and the next event of any level wakes it.
 */
#include "config.h"

#include "log.h"

#include "log_ring.h"
#include "log_sinks.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	BATCH = 256,
	LOOK_MS = 50,
	QUIET_MS = 2000,
	QUIET_LOOKS = 40 /* looks in vain before it looks rarely */
};

static struct {
	pthread_t thread;
	pthread_key_t key; /* its destructor gives the ring of a thread that ends to the next */
	bool have_key;
	sem_t wake;
	atomic_bool running, woken, quiet, stopping, reopen;
	_Atomic(struct log_ring *) rings;
	atomic_uint_least64_t dropped; /* by threads that got no ring */
	uint64_t told_dropped;
	unsigned generation;
	pthread_mutex_t flush_lock;
	pthread_cond_t flushed;
	uint64_t flush_asked, flush_done;
} logger = {.flush_lock = PTHREAD_MUTEX_INITIALIZER, .flushed = PTHREAD_COND_INITIALIZER};

static _Thread_local struct log_ring *own_ring;
static _Thread_local bool is_log_thread;

/* ---- writing events ---- */

static uint64_t wall_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void wake_log_thread(void)
{
	if (!atomic_exchange(&logger.woken, true))
		sem_post(&logger.wake);
}

static void ring_unowned(void *ring)
{
	atomic_store_explicit(&((struct log_ring *)ring)->owned, false, memory_order_release);
}

static struct log_ring *adopt_ring(void)
{
	for (struct log_ring *r = atomic_load(&logger.rings); r; r = r->next) {
		bool owned = false;
		if (atomic_compare_exchange_strong(&r->owned, &owned, true))
			return r;
	}
	struct log_ring *r = log_ring_new();
	if (!r)
		return NULL;
	atomic_store(&r->owned, true);
	r->next = atomic_load(&logger.rings);
	while (!atomic_compare_exchange_weak(&logger.rings, &r->next, r))
		;
	return r;
}

static struct log_ring *ring_of_thread(void)
{
	if (!own_ring && (own_ring = adopt_ring()) && pthread_setspecific(logger.key, own_ring)) {
		ring_unowned(own_ring);
		own_ring = NULL;
	}
	return own_ring;
}

static void queue_event(const struct pstn_log_event *e)
{
	struct log_ring *r = ring_of_thread();
	if (!r) {
		atomic_fetch_add_explicit(&logger.dropped, 1, memory_order_relaxed);
		return;
	}
	bool put = log_ring_put(r, e);
	if (is_log_thread)
		return; /* a sink that reports its own failure would keep itself awake */
	if (e->level <= PSTN_WARNING || !put || log_ring_filling(r) ||
	    atomic_load_explicit(&logger.quiet, memory_order_relaxed))
		wake_log_thread();
}

void log_event(const char *service, const char *session, int level, const char *event,
	       const struct pstn_field *fields, size_t n)
{
	if (level > log_sinks_core_level() && strcmp(service, "core") == 0)
		return;
	struct pstn_log_event e = {.size = sizeof(e),
				   .level = level,
				   .time = wall_clock(),
				   .service = service,
				   .session = session,
				   .event = event,
				   .generation = logger.generation,
				   .nfields = (uint32_t)n,
				   .fields = fields};
	if (atomic_load_explicit(&logger.running, memory_order_acquire))
		queue_event(&e);
	else
		log_sinks_line(&e);
}

uint64_t log_dropped(void)
{
	uint64_t n = atomic_load_explicit(&logger.dropped, memory_order_relaxed);
	for (struct log_ring *r = atomic_load(&logger.rings); r; r = r->next)
		n += atomic_load_explicit(&r->dropped, memory_order_relaxed);
	return n;
}

/* ---- the log thread ---- */

struct cursor { /* a ring as the log thread sees it in one look */
	struct log_ring *ring;
	uint64_t done, pos, end;     /* written to sinks; read; to be read */
	struct pstn_log_event event; /* the one before pos, if `has` */
	bool has;
};

struct look {
	struct cursor *cursors;
	unsigned n, room;
	struct pstn_log_event batch[BATCH];
};

static bool add_cursor(struct look *look, struct log_ring *r)
{
	if (look->n == look->room) {
		unsigned room = look->room ? look->room * 2 : 16;
		struct cursor *more = reallocarray(look->cursors, room, sizeof(*more));
		if (!more)
			return false; /* this ring waits for the next look */
		look->cursors = more;
		look->room = room;
	}
	struct cursor *c = &look->cursors[look->n++];
	c->ring = r;
	c->done = c->pos = atomic_load_explicit(&r->tail, memory_order_relaxed);
	c->end = atomic_load_explicit(&r->head, memory_order_acquire);
	c->has = log_ring_get(r, &c->pos, c->end, &c->event);
	return true;
}

static struct cursor *earliest(struct look *look)
{
	struct cursor *first = NULL;
	for (unsigned i = 0; i < look->n; i++) {
		struct cursor *c = &look->cursors[i];
		if (c->has && (!first || c->event.time < first->event.time))
			first = c;
	}
	return first;
}

static size_t fill_batch(struct look *look)
{
	size_t n = 0;
	for (struct cursor *c; n < BATCH && (c = earliest(look)); n++) {
		look->batch[n] = c->event;
		c->done = c->pos;
		c->has = log_ring_get(c->ring, &c->pos, c->end, &c->event);
	}
	return n;
}

/* How many events it found. */
static size_t look_at_rings(struct look *look)
{
	size_t n, total = 0;
	look->n = 0;
	for (struct log_ring *r = atomic_load(&logger.rings); r; r = r->next)
		if (!add_cursor(look, r))
			break;
	while ((n = fill_batch(look)) > 0) {
		log_sinks_write(look->batch, n);
		for (unsigned i = 0; i < look->n; i++)
			atomic_store_explicit(&look->cursors[i].ring->tail, look->cursors[i].done,
					      memory_order_release);
		total += n;
	}
	return total;
}

static void tell_dropped(void)
{
	uint64_t dropped = log_dropped();
	if (dropped == logger.told_dropped)
		return;
	struct pstn_field fields[] = {PSTN_U("events", dropped - logger.told_dropped)};
	struct pstn_log_event e = {.size = sizeof(e),
				   .level = PSTN_WARNING,
				   .time = wall_clock(),
				   .service = "core",
				   .session = "",
				   .event = "log-dropped",
				   .generation = logger.generation,
				   .nfields = 1,
				   .fields = fields};
	logger.told_dropped = dropped;
	log_sinks_write(&e, 1);
}

static void sleep_until_wanted(unsigned vain)
{
	bool quiet = vain >= QUIET_LOOKS;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(quiet ? QUIET_MS : LOOK_MS) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	atomic_store(&logger.quiet, quiet);
	sem_clockwait(&logger.wake, CLOCK_MONOTONIC, &until); /* whatever it says: time to look */
	atomic_store(&logger.quiet, false);
	/* Before the rings are looked at, in every thread's eyes: who finds `woken` set relies on it. */
	atomic_exchange(&logger.woken, false);
}

static uint64_t flush_wanted(void)
{
	pthread_mutex_lock(&logger.flush_lock);
	uint64_t asked = logger.flush_asked;
	pthread_mutex_unlock(&logger.flush_lock);
	return asked;
}

static void flush_served(uint64_t asked)
{
	pthread_mutex_lock(&logger.flush_lock);
	if (asked != logger.flush_done) {
		logger.flush_done = asked;
		pthread_cond_broadcast(&logger.flushed);
	}
	pthread_mutex_unlock(&logger.flush_lock);
}

static void *log_main(void *arg)
{
	struct look *look = arg;
	unsigned vain = 0;
	bool stopping;
	pthread_setname_np(pthread_self(), "log");
	is_log_thread = true;
	do {
		stopping = atomic_load(&logger.stopping);
		uint64_t asked = flush_wanted();
		vain = look_at_rings(look) ? 0 : vain + 1;
		tell_dropped();
		if (atomic_exchange(&logger.reopen, false))
			log_sinks_reopen();
		flush_served(asked);
		if (!stopping)
			sleep_until_wanted(vain);
	} while (!stopping);
	free(look->cursors);
	free(look);
	return NULL;
}

/* ---- start, flush, stop ---- */

static int create_thread(struct look *look)
{
	pthread_attr_t attr;
	sigset_t all;
	if (pthread_attr_init(&attr))
		return -1;
	sigfillset(&all);
	int rc = pthread_attr_setsigmask_np(&attr, &all);
	if (!rc)
		rc = pthread_create(&logger.thread, &attr, log_main, look);
	pthread_attr_destroy(&attr);
	return rc ? -1 : 0;
}

int log_start(unsigned generation, void (*early)(int level, const char *line))
{
	struct look *look = calloc(1, sizeof(*look));
	logger.generation = generation;
	log_sinks_early(early);
	if (!look)
		return -1;
	if (!logger.have_key)
		logger.have_key = pthread_key_create(&logger.key, ring_unowned) == 0;
	atomic_store(&logger.stopping, false);
	if (!logger.have_key || sem_init(&logger.wake, 0, 0) || create_thread(look)) {
		free(look);
		return -1;
	}
	atomic_store_explicit(&logger.running, true, memory_order_release);
	return 0;
}

void log_flush(void)
{
	if (!atomic_load(&logger.running))
		return;
	pthread_mutex_lock(&logger.flush_lock);
	uint64_t asked = ++logger.flush_asked;
	pthread_mutex_unlock(&logger.flush_lock);
	wake_log_thread();
	pthread_mutex_lock(&logger.flush_lock);
	while (logger.flush_done < asked)
		pthread_cond_wait(&logger.flushed, &logger.flush_lock);
	pthread_mutex_unlock(&logger.flush_lock);
}

void log_reopen(void)
{
	if (!atomic_load(&logger.running))
		return;
	atomic_store(&logger.reopen, true);
	wake_log_thread();
}

/* The rings stay: a thread that is still there may be writing into one. */
void log_stop(void)
{
	if (!atomic_exchange(&logger.running, false))
		return;
	atomic_store(&logger.stopping, true);
	wake_log_thread();
	pthread_join(logger.thread, NULL);
}
