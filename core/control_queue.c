/*
 * control_queue.c - what instances have to have done on the control thread: completions and timers.
 *
 * There are few of either (group commits, rotations), so a lock and a sorted list do.
 */
#include "config.h"

#include "op.h"
#include "reactor.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	int fd;
	struct task *first, **last;
	struct control_timer *timers;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .last = &queue.first};

int control_queue_init(void)
{
	if (queue.fd < 0)
		queue.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return queue.fd;
}

/* The counter cannot overflow before it is read, so a failure can only mean it is readable. */
static void wake(void)
{
	uint64_t one = 1;
	ssize_t n;
	do
		n = write(queue.fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

void control_queue_post(struct task *t)
{
	pthread_mutex_lock(&queue.lock);
	bool was_empty = !queue.first;
	t->next = NULL;
	*queue.last = t;
	queue.last = &t->next;
	pthread_mutex_unlock(&queue.lock);
	if (was_empty)
		wake();
}

/* Those posted meanwhile wait for the next call: the control thread has other duties too. */
static void run_tasks(void)
{
	pthread_mutex_lock(&queue.lock);
	struct task *t = queue.first, *next;
	queue.first = NULL;
	queue.last = &queue.first;
	pthread_mutex_unlock(&queue.lock);
	for (; t; t = next) {
		next = t->next;
		t->run(t);
	}
}

static struct control_timer *take_due(uint64_t now)
{
	pthread_mutex_lock(&queue.lock);
	struct control_timer *t = queue.timers;
	if (t && t->due <= now)
		queue.timers = t->next;
	else
		t = NULL;
	pthread_mutex_unlock(&queue.lock);
	return t;
}

void control_queue_run(void)
{
	uint64_t count;
	while (read(queue.fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	run_tasks();
	uint64_t now = reactor_now();
	for (struct control_timer *t; (t = take_due(now));)
		t->fire(t);
}

uint64_t control_queue_next_timer(void)
{
	uint64_t now = reactor_now(), ms = UINT64_MAX;
	pthread_mutex_lock(&queue.lock);
	if (queue.timers)
		ms = queue.timers->due > now ? queue.timers->due - now : 0;
	pthread_mutex_unlock(&queue.lock);
	return ms;
}

void control_timer_set(struct control_timer *t, uint64_t ms)
{
	uint64_t now = reactor_now();
	t->due = ms < UINT64_MAX - now ? now + ms : UINT64_MAX;
	pthread_mutex_lock(&queue.lock);
	struct control_timer **p = &queue.timers;
	while (*p && (*p)->due <= t->due)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	bool is_first = queue.timers == t;
	pthread_mutex_unlock(&queue.lock);
	if (is_first)
		wake();
}

void control_timer_clear(struct control_timer *t)
{
	pthread_mutex_lock(&queue.lock);
	for (struct control_timer **p = &queue.timers; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	pthread_mutex_unlock(&queue.lock);
}

static struct control_timer *take_of(struct pstn_self *self)
{
	struct control_timer *found = NULL;
	pthread_mutex_lock(&queue.lock);
	for (struct control_timer **p = &queue.timers; *p && !found; p = &(*p)->next)
		if ((*p)->self == self) {
			found = *p;
			*p = found->next;
			break;
		}
	pthread_mutex_unlock(&queue.lock);
	return found;
}

void control_queue_forget(struct pstn_self *self)
{
	for (struct control_timer *t; (t = take_of(self));)
		t->forget(t);
}
