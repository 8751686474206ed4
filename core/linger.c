/*
 * linger.c - closing a connection whose client is still sending.
 *
 * A close() with unread input makes the kernel send a reset, which may destroy the last reply on
 * its way. So the sending side is shut first, and what the client still sends is thrown away: for a
 * short time, up to a number of octets, for a bounded number of clients.
 */
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINGER_MS = 5000, LINGER_OCTETS = 1024 * 1024, LINGER_CLIENTS = 1024 };

struct lingerer {
	struct watch watch; /* first */
	struct reactor *reactor;
	struct lingerer *next, **prev;
	struct timer timer;
	size_t octets;
	int fd;
};

static void end(struct lingerer *l)
{
	timer_clear(&l->timer);
	close(l->fd);
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->reactor->nlingering--;
	reactor_bury(l->reactor, &l->watch);
}

static void ready(struct watch *w, uint32_t events)
{
	struct lingerer *l = (struct lingerer *)w;
	ssize_t n = recv(l->fd, l->reactor->input, INPUT_ROOM, 0);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (size_t)n >= l->octets)
		end(l);
	else
		l->octets -= (size_t)n;
}

static void expired(struct timer *t)
{
	end((struct lingerer *)((char *)t - offsetof(struct lingerer, timer)));
}

static struct lingerer *begin(struct reactor *r, int fd)
{
	struct lingerer *l = r->nlingering < LINGER_CLIENTS ? calloc(1, sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	*l = (struct lingerer){.watch.ready = ready,
			       .reactor = r,
			       .timer.fire = expired,
			       .octets = LINGER_OCTETS,
			       .fd = fd};
	/* A session's descriptor is in the epoll set already, unless it never had a turn's end. */
	if (shutdown(fd, SHUT_WR) < 0 ||
	    (reactor_watch(r, EPOLL_CTL_MOD, fd, EPOLLIN, &l->watch) < 0 &&
	     reactor_watch(r, EPOLL_CTL_ADD, fd, EPOLLIN, &l->watch) < 0)) {
		free(l);
		return NULL;
	}
	return l;
}

void linger_close(struct reactor *r, int fd)
{
	struct lingerer *l = begin(r, fd);

	if (!l) {
		close(fd);
		return;
	}
	l->next = r->lingering;
	l->prev = &r->lingering;
	if (l->next)
		l->next->prev = &l->next;
	r->lingering = l;
	r->nlingering++;
	timer_set(r, &l->timer, LINGER_MS);
}

void linger_end_all(struct reactor *r)
{
	while (r->lingering)
		end(r->lingering);
}
