/*
 * snapshots.c - which snapshots are open.
 *
 * The oldest one's time stands in the page that all processes share before the view reads its
 * folder. Whoever forgets expunged messages looks at the page under the write lock: a snapshot that
 * it does not see there yet will be taken from a state in which they are expunged already.
 */
#include "snapshots.h"

#include "home.h"
#include "maildrop/view.h"
#include "store.h"

#include <unistd.h>

int snapshots_init(struct snapshots *s)
{
	return pthread_mutex_init(&s->mutex, NULL) == 0 ? 0 : -1;
}

void snapshots_clear(struct snapshots *s)
{
	pthread_mutex_destroy(&s->mutex);
}

/* ---- places in the shared page ---- */

static bool take_place(struct store *st, struct shared_process *p)
{
	uint32_t before = atomic_load(&p->pid), own = (uint32_t)getpid();

	if (before != 0 && before != own && home_process_lives(st, before))
		return false;
	if (!atomic_compare_exchange_strong(&p->pid, &before, own))
		return false;
	atomic_store(&p->oldest, 0);
	st->snapshots.own = p;
	return true;
}

bool snapshots_join(struct store *st)
{
	for (unsigned i = 0; i < SHARED_PROCESSES; i++) {
		if (take_place(st, &st->shared->processes[i]))
			return true;
	}
	return false;
}

void snapshots_leave(struct store *st)
{
	if (st->snapshots.own)
		atomic_store(&st->snapshots.own->pid, 0);
	st->snapshots.own = NULL;
}

static uint64_t oldest_of_all(struct store *st)
{
	uint64_t oldest = UINT64_MAX;

	for (unsigned i = 0; i < SHARED_PROCESSES; i++) {
		struct shared_process *p = &st->shared->processes[i];
		uint32_t pid = atomic_load(&p->pid);
		uint64_t its = pid ? atomic_load(&p->oldest) : 0;

		if (its != 0 && its < oldest &&
		    (p == st->snapshots.own || home_process_lives(st, pid)))
			oldest = its;
	}
	return oldest;
}

uint64_t snapshots_expired(struct store *st, uint64_t retention)
{
	uint64_t now = store_time(), oldest = oldest_of_all(st);
	uint64_t expired = now > retention ? now - retention + 1 : 0;

	if (oldest == UINT64_MAX)
		return expired;
	oldest = oldest > SNAPSHOT_GRACE ? oldest - SNAPSHOT_GRACE : 0;
	return oldest < expired ? oldest : expired;
}

/* ---- this process's ---- */

static void publish(struct snapshots *s)
{
	atomic_store(&s->own->oldest, s->oldest ? s->oldest->opened : 0);
}

void snapshots_open(struct store *st, struct view *v)
{
	struct snapshots *s = &st->snapshots;

	pthread_mutex_lock(&s->mutex);
	v->opened = store_time();
	v->older = s->newest;
	v->newer = NULL;
	if (s->newest)
		s->newest->newer = v;
	else
		s->oldest = v;
	s->newest = v;
	if (s->oldest == v)
		publish(s);
	pthread_mutex_unlock(&s->mutex);
}

void snapshots_close(struct store *st, struct view *v)
{
	struct snapshots *s = &st->snapshots;

	if (v->opened == 0)
		return;
	pthread_mutex_lock(&s->mutex);
	if (v->older)
		v->older->newer = v->newer;
	else
		s->oldest = v->newer;
	if (v->newer)
		v->newer->older = v->older;
	else
		s->newest = v->older;
	v->opened = 0;
	publish(s);
	pthread_mutex_unlock(&s->mutex);
}
