/*
 * reactor.c - one thread's loop: epoll events, posted tasks, due timers, sessions with work left.
 *
 * The time is read once per turn. Other threads post tasks to a stack without locks and wake the
 * loop through an eventfd, which is edge-triggered and so needs never be read.
 */
#include "runtime.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 128 };

static _Thread_local struct reactor *own;

struct reactor *reactor_self(void)
{
	return own;
}

static uint64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t reactor_clock(const struct reactor *r)
{
	return r->all->limits.clock ? r->all->limits.clock() : monotonic();
}

uint64_t reactor_now(void)
{
	return own ? own->now : monotonic();
}

void timer_set(struct reactor *r, struct timer *t, uint64_t ms)
{
	uint64_t due = ms > UINT64_MAX - r->now ? UINT64_MAX : r->now + ms;

	wheel_set(&r->wheel, t, due);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

void reactor_poke(struct reactor *r)
{
	static const uint64_t one = 1;

	/* Only a full counter refuses, and that is 2^64 pokes away. */
	while (write(r->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* The first task on an empty stack wakes the loop, which empties it at once. */
static void push(struct reactor *r, struct task *task)
{
	struct task *top = atomic_load_explicit(&r->posted, memory_order_relaxed);

	do
		task->next = top;
	while (!atomic_compare_exchange_weak_explicit(&r->posted, &top, task, memory_order_release,
						      memory_order_relaxed));
	if (!top && r != own)
		reactor_poke(r);
}

void reactor_post(struct reactor *r, struct task *task)
{
	/* The task may run, and with it the last reason for the reactor to be there may go, while
	 * this thread is still busy with the wake-up; reactor_close() waits for it. */
	atomic_fetch_add_explicit(&r->posting, 1, memory_order_relaxed);
	push(r, task);
	atomic_fetch_sub_explicit(&r->posting, 1, memory_order_release);
}

static struct task *take_posted(struct reactor *r)
{
	struct task *newest = atomic_exchange_explicit(&r->posted, NULL, memory_order_acquire);
	struct task *oldest = NULL;

	while (newest) {
		struct task *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static void run_posted(struct reactor *r)
{
	struct task *task = take_posted(r);

	while (task) {
		struct task *next = task->next; /* the task may be gone when it has run */

		task->run(task);
		task = next;
	}
}

struct call {
	struct task task;
	struct reactor *reactor;
	void (*fn)(struct reactor *, void *arg);
	void *arg;
	sem_t done;
};

static void run_call(struct task *task)
{
	struct call *call = (struct call *)task;

	call->fn(call->reactor, call->arg);
	sem_post(&call->done);
}

void reactor_call(struct reactor *r, void (*fn)(struct reactor *, void *arg), void *arg)
{
	struct call call = {.task.run = run_call, .reactor = r, .fn = fn, .arg = arg};

	sem_init(&call.done, 0, 0);
	reactor_post(r, &call.task);
	while (sem_wait(&call.done) < 0 && errno == EINTR)
		;
	sem_destroy(&call.done);
}

/* ---- what epoll tells about ------------------------------------------------------------------ */

int reactor_watch(struct reactor *r, int op, int fd, uint32_t events, struct watch *w)
{
	struct epoll_event event = {.events = events, .data.ptr = w};

	return epoll_ctl(r->epoll, op, fd, &event);
}

static void ready_dead(struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
}

void reactor_bury(struct reactor *r, struct watch *w)
{
	w->ready = ready_dead;
	w->next_dead = r->dead;
	r->dead = w;
}

static void free_dead(struct reactor *r)
{
	struct watch *w = r->dead;

	r->dead = NULL;
	while (w) {
		struct watch *next = w->next_dead;

		free(w);
		w = next;
	}
}

/* ---- the loop -------------------------------------------------------------------------------- */

void session_wake(struct pstn_session *s)
{
	struct reactor *r = s->reactor;

	if (s->runnable || s->gone || r->current == s)
		return;
	s->runnable = true;
	s->next_runnable = NULL;
	*r->runnable_end = s;
	r->runnable_end = &s->next_runnable;
}

/* A session that is woken while these run has its turn in the next round. */
static void run_sessions(struct reactor *r)
{
	struct pstn_session *s = r->runnable;

	r->runnable = NULL;
	r->runnable_end = &r->runnable;
	while (s) {
		struct pstn_session *next = s->next_runnable;

		s->runnable = false;
		if (s->gone) {
			session_reap(s);
		} else {
			session_begin_turn(s);
			session_end_turn(s);
		}
		s = next;
	}
}

static int sleep_time(struct reactor *r)
{
	uint64_t ms;

	if (r->runnable || atomic_load_explicit(&r->posted, memory_order_relaxed))
		return 0;
	ms = wheel_wait(&r->wheel, reactor_clock(r));
	if (ms == UINT64_MAX)
		return -1;
	return ms < 3600 * 1000 ? (int)ms : 3600 * 1000;
}

static void turn(struct reactor *r)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int n = epoll_wait(r->epoll, events, EVENTS_PER_TURN, sleep_time(r));

	r->now = reactor_clock(r);
	atomic_fetch_add_explicit(&r->turns, 1, memory_order_relaxed);
	atomic_store_explicit(&r->pulse_seen,
			      atomic_load_explicit(&r->pulse_asked, memory_order_relaxed),
			      memory_order_relaxed);
	for (int i = 0; i < n; i++) {
		struct watch *w = events[i].data.ptr;

		w->ready(w, events[i].events);
	}
	run_posted(r);
	wheel_run(&r->wheel, r->now);
	run_sessions(r);
	free_dead(r);
}

void *reactor_main(void *arg)
{
	struct reactor *r = arg;

	own = r;
	/* One that stops still waits for jobs that read ahead for its sessions. */
	while (!r->stopping || r->sessions || r->runnable)
		turn(r);
	run_posted(r);
	free_dead(r);
	own = NULL;
	return NULL;
}

static void ready_wake(struct watch *w, uint32_t events)
{
	/* The turn itself is what was asked for. */
	(void)w;
	(void)events;
}

int reactor_open(struct reactor *r, struct reactors *all, unsigned number)
{
	*r = (struct reactor){.all = all, .number = number, .wake = -1, .reserve = -1};
	r->runnable_end = &r->runnable;
	r->wake_watch.ready = ready_wake;
	r->now = reactor_clock(r);
	wheel_init(&r->wheel, r->now);
	r->input = malloc(INPUT_ROOM);
	r->stage = malloc(STAGE_SIZE);
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!r->input || !r->stage || r->epoll < 0)
		return -1;
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->reserve = eventfd(0, EFD_CLOEXEC);
	if (r->wake < 0 || r->reserve < 0)
		return -1;
	return reactor_watch(r, EPOLL_CTL_ADD, r->wake, EPOLLIN | EPOLLET, &r->wake_watch);
}

void reactor_close(struct reactor *r)
{
	while (atomic_load_explicit(&r->posting, memory_order_acquire))
		sched_yield();
	if (r->epoll >= 0)
		close(r->epoll);
	if (r->wake >= 0)
		close(r->wake);
	if (r->reserve >= 0)
		close(r->reserve);
	buffers_clear(&r->buffers);
	free(r->input);
	free(r->stage);
}
