/*
 * accept.c - a reactor takes connections from the listening sockets that all reactors share.
 *
 * EPOLLEXCLUSIVE keeps a connection from waking every reactor. A reactor takes one connection per
 * wake-up and more, up to a bound, only while connections keep coming: so the last accept4() that
 * finds nothing is not paid by the lone client. When there are no descriptors or no memory left the
 * listener rests for a moment instead of spinning; the descriptor held in reserve tells the client
 * at the head of the queue why.
 *
 * The kernel prefers to wake the same reactor, so while little happens all clients would gather on
 * one. A reactor that has clearly more sessions than another hands its new connection over.
 */
#include "runtime.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BATCH_MAX = 64,
	REST_MS = 100,
	LOAD_MARGIN = 4,        /* sessions more than another that are no imbalance yet */
	COMPLAIN_MS = 10 * 1000 /* at most one event of a kind per listener in this time */
};

struct complaint {
	uint64_t next; /* not before */
	uint64_t times;
};

struct listener {
	struct watch watch; /* first */
	struct reactor *reactor;
	struct listening *listening;
	struct listener *next;
	struct timer rest;
	unsigned batch, last_turn;
	struct complaint full, exhausted;
};

static int watch(struct listener *l, int op)
{
	return reactor_watch(l->reactor, op, l->listening->fd, EPOLLIN | EPOLLEXCLUSIVE, &l->watch);
}

/* ---- when it does not work ------------------------------------------------------------------- */

static void complain(struct listener *l, struct complaint *c, const char *event, const char *why)
{
	c->times++;
	if (l->reactor->now < c->next)
		return;
	CORE_EVENT(PSTN_WARNING, event, PSTN_S("listener", l->listening->address),
		   PSTN_S("why", why), PSTN_U("times", c->times));
	*c = (struct complaint){.next = l->reactor->now + COMPLAIN_MS};
}

/* One line, if the kernel takes it at once; nobody waits for a client that is turned away. */
static void refuse(const struct listener *l, int fd)
{
	const char *line = l->listening->service->refusal;

	if (line)
		(void)send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void rest(struct listener *l)
{
	watch(l, EPOLL_CTL_DEL);
	timer_set(l->reactor, &l->rest, REST_MS);
}

static void rested(struct timer *t)
{
	struct listener *l = (struct listener *)((char *)t - offsetof(struct listener, rest));

	if (watch(l, EPOLL_CTL_ADD) < 0)
		timer_set(l->reactor, &l->rest, REST_MS);
}

/* Turns one client away with the descriptor in reserve. */
static void refuse_with_reserve(struct listener *l)
{
	struct reactor *r = l->reactor;
	int fd;

	if (r->reserve >= 0)
		close(r->reserve);
	fd = accept4(l->listening->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		refuse(l, fd);
	r->reserve = eventfd(0, EFD_CLOEXEC);
}

static void exhausted(struct listener *l, int error)
{
	complain(l, &l->exhausted, "accept-failed", strerror(error));
	if (error == EMFILE)
		refuse_with_reserve(l);
	rest(l);
}

/* ---- when it does ---------------------------------------------------------------------------- */

static struct session_peer peer_of(const struct sockaddr_storage *from)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
	struct session_peer peer = {.family = from->ss_family};

	if (from->ss_family == AF_INET) {
		peer.in = in->sin_addr;
		peer.port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		peer.in6 = in6->sin6_addr;
		peer.port = ntohs(in6->sin6_port);
	}
	return peer;
}

struct handover {
	struct task task; /* first */
	struct reactor *to;
	struct listening *listening;
	struct session_peer peer;
	int fd;
};

static void taken_over(struct task *task)
{
	struct handover h = *(struct handover *)task;

	free(task);
	session_start(h.to, h.listening, h.fd, &h.peer);
}

static bool hand_over(struct listener *l, struct reactor *to, int fd,
		      const struct session_peer *peer)
{
	struct handover *h = malloc(sizeof(*h));

	if (!h)
		return false;
	*h = (struct handover){
	    .task.run = taken_over, .to = to, .listening = l->listening, .peer = *peer, .fd = fd};
	reactor_post(to, &h->task);
	return true;
}

/* The reactor for one more session: this one, unless it has clearly more than the idlest. */
static struct reactor *choose(struct reactor *own)
{
	unsigned mine = atomic_load_explicit(&own->load, memory_order_relaxed), least = mine;
	struct reactor *idlest = own;

	for (unsigned i = 0; i < own->all->count; i++) {
		struct reactor *r = &own->all->reactors[i];
		unsigned load = atomic_load_explicit(&r->load, memory_order_relaxed);

		if (load < least) {
			idlest = r;
			least = load;
		}
	}
	return mine > least + least / 8 + LOAD_MARGIN ? idlest : own;
}

static void admit(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct reactor *own = l->reactor, *to = choose(own);
	struct session_peer peer = peer_of(from);

	if (atomic_fetch_add(&own->all->sessions, 1) >= own->all->limits.max_sessions) {
		atomic_fetch_sub(&own->all->sessions, 1);
		complain(l, &l->full, "client-refused", "max_sessions reached");
		refuse(l, fd);
		return;
	}
	atomic_fetch_add(&to->load, 1);
	if (to != own && hand_over(l, to, fd, &peer))
		return;
	if (to != own) {
		atomic_fetch_sub(&to->load, 1);
		atomic_fetch_add(&own->load, 1);
	}
	session_start(own, l->listening, fd, &peer);
}

/* False: no more now. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(from);
	int fd = accept4(l->listening->fd, (struct sockaddr *)&from, &length,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		admit(l, fd, &from);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		exhausted(l, errno);
		return false;
	default:
		/* That connection is broken already (ECONNABORTED and the network's own errors);
		 * the next one need not be. */
		return true;
	}
}

/* One connection in this turn; twice as many in each turn that follows at once. */
static void ready(struct watch *w, uint32_t events)
{
	struct listener *l = (struct listener *)w;
	unsigned turn = atomic_load_explicit(&l->reactor->turns, memory_order_relaxed), n = 0;

	(void)events;
	if (turn != l->last_turn + 1)
		l->batch = 1;
	l->last_turn = turn;
	while (n < l->batch && accept_one(l))
		n++;
	if (l->batch < BATCH_MAX)
		l->batch *= 2;
}

/* ---- beginning and ending -------------------------------------------------------------------- */

int accept_start(struct reactor *r, struct listening *listening)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return -1;
	*l = (struct listener){.watch.ready = ready,
			       .reactor = r,
			       .listening = listening,
			       .next = r->listeners,
			       .rest.fire = rested,
			       .batch = 1};
	if (watch(l, EPOLL_CTL_ADD) < 0) {
		free(l);
		return -1;
	}
	r->listeners = l;
	return 0;
}

void accept_stop(struct reactor *r)
{
	while (r->listeners) {
		struct listener *l = r->listeners;

		r->listeners = l->next;
		if (l->rest.prev)
			timer_clear(&l->rest);
		else
			watch(l, EPOLL_CTL_DEL);
		reactor_bury(r, &l->watch);
	}
}
