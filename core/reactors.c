/*
 * reactors.c - the set of a worker's reactors, as its control thread sees it.
 *
 * Nothing here touches a reactor's own data from outside: work is posted to each reactor in turn,
 * and where the caller needs the outcome it waits.
 */
#include "runtime.h"

#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void each_reactor(struct reactors *all, void (*fn)(struct reactor *, void *), void *arg)
{
	for (unsigned i = 0; i < all->count; i++)
		reactor_call(&all->reactors[i], fn, arg);
}

/* ---- listening ------------------------------------------------------------------------------- */

/* What connections inherit from the listening socket needs no system call for each of them. */
static int prepare(int fd)
{
	int one = 1, flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOPROTOOPT)
		return -1; /* the two are what UNIX sockets say */
	return 0;
}

struct listen_call {
	struct listening *listening;
	int failed; /* errno */
};

static void listen_one(struct reactor *r, void *arg)
{
	struct listen_call *call = arg;

	if (!call->failed && accept_start(r, call->listening) < 0)
		call->failed = errno;
}

int reactors_listen(struct reactors *all, struct pstn_self *self,
		    const struct pstn_service *service, const struct plan_listener *listener,
		    int fd)
{
	struct listen_call call = {.listening = calloc(1, sizeof(*call.listening))};
	struct listening *l = call.listening;

	if (!l)
		return -1;
	*l = (struct listening){.self = self,
				.service = service,
				.handle = instance_handle(self),
				.address = strdup(listener->address),
				.fd = fd};
	if (!l->address || prepare(fd) < 0) {
		free(l->address);
		free(l);
		return -1;
	}
	l->next = all->listening;
	all->listening = l;
	all->ending = false;
	each_reactor(all, listen_one, &call);
	errno = call.failed;
	return call.failed ? -1 : 0;
}

static void unlisten_one(struct reactor *r, void *arg)
{
	(void)arg;
	accept_stop(r);
}

void reactors_unlisten(struct reactors *all)
{
	each_reactor(all, unlisten_one, NULL);
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* Signals are the main thread's; a reactor that writes to a lost connection gets an error. */
static int start_thread(struct reactor *r)
{
	sigset_t every, before;
	char name[16];
	int rc;

	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	rc = pthread_create(&r->thread, NULL, reactor_main, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "reactor-%u", r->number);
	pthread_setname_np(r->thread, name);
	return 0;
}

static void free_listening(struct reactors *all)
{
	while (all->listening) {
		struct listening *l = all->listening;

		all->listening = l->next;
		free(l->address);
		free(l);
	}
}

struct reactors *reactors_start(const struct reactors_limits *limits, char *err, size_t errlen)
{
	unsigned count = limits->count ? limits->count : 1;
	struct reactors *all = calloc(1, sizeof(*all));

	if (all)
		all->reactors = calloc(count, sizeof(*all->reactors));
	if (!all || !all->reactors) {
		snprintf(err, errlen, "no memory for %u reactors", count);
		free(all);
		return NULL;
	}
	all->limits = *limits;
	for (all->count = 0; all->count < count; all->count++) {
		struct reactor *r = &all->reactors[all->count];
		int rc = reactor_open(r, all, all->count) ? errno : start_thread(r);

		if (rc) {
			snprintf(err, errlen, "reactor %u of %u cannot be started: %s",
				 all->count + 1, count, strerror(rc));
			reactor_close(r);
			reactors_stop(&all);
			return NULL;
		}
	}
	return all;
}

static void stop_one(struct reactor *r, void *arg)
{
	(void)arg;
	for (struct pstn_session *s = r->sessions; s; s = s->next)
		session_drop(s, "server stopped");
	linger_end_all(r);
	r->stopping = true;
}

void reactors_stop(struct reactors **owner)
{
	struct reactors *all = *owner;

	if (!all)
		return;
	*owner = NULL;
	/* First, so that no reactor hands connections to one that has stopped. */
	reactors_unlisten(all);
	each_reactor(all, stop_one, NULL);
	for (unsigned i = 0; i < all->count; i++) {
		pthread_join(all->reactors[i].thread, NULL);
		reactor_close(&all->reactors[i]);
	}
	free_listening(all);
	free(all->reactors);
	free(all);
}

/* ---- looking and ending ---------------------------------------------------------------------- */

uint64_t reactors_sessions(const struct reactors *all)
{
	return atomic_load_explicit(&all->sessions, memory_order_acquire);
}

bool reactors_pulse(struct reactors *all)
{
	bool alive = true;

	for (unsigned i = 0; i < all->count; i++) {
		struct reactor *r = &all->reactors[i];

		if (atomic_load(&r->pulse_seen) != atomic_load(&r->pulse_asked))
			alive = false;
		else
			atomic_fetch_add(&r->pulse_asked, 1);
		reactor_poke(r);
	}
	return alive;
}

static void end_one(struct reactor *r, void *arg)
{
	const bool *now = arg;

	for (struct pstn_session *s = r->sessions; s; s = s->next) {
		if (*now)
			session_drop(s, "server stopping");
		s->ending = true;
		session_wake(s);
	}
	if (*now)
		linger_end_all(r);
}

void reactors_end_sessions(struct reactors *all, bool now)
{
	bool drop = now || all->ending;

	all->ending = true;
	each_reactor(all, end_one, &drop);
}

struct kick_call {
	const char *id;
	bool found;
};

static void kick_one(struct reactor *r, void *arg)
{
	struct kick_call *call = arg;

	for (struct pstn_session *s = r->sessions; s && !call->found; s = s->next) {
		if (s->gone || strcmp(s->id, call->id) != 0)
			continue;
		session_drop(s, "kicked");
		call->found = true;
	}
}

bool reactors_kick(struct reactors *all, const char *id)
{
	struct kick_call call = {.id = id};

	for (unsigned i = 0; i < all->count && !call.found; i++)
		reactor_call(&all->reactors[i], kick_one, &call);
	return call.found;
}

/* ---- rows for `posternctl sessions` ---------------------------------------------------------- */

struct row {
	char id[24], peer[64];
	char *account;
	struct listening *listening;
	const char *state;
	uint64_t age, idle, in, out;
};

struct rows {
	struct row *row;
	size_t count;
	bool failed;
};

static void fill_row(struct row *row, const struct pstn_session *s, uint64_t now)
{
	*row = (struct row){.listening = s->listening,
			    .state = s->left ? "closing" : s->state,
			    .age = now - s->opened,
			    .idle = now - s->active,
			    .in = s->octets_in,
			    .out = s->octets_out,
			    .account = s->account ? strdup(s->account) : NULL};
	memcpy(row->id, s->id, sizeof(row->id));
	session_peer_text(s, row->peer, sizeof(row->peer));
}

static void copy_rows(struct reactor *r, void *arg)
{
	struct rows *rows = arg;
	size_t n = 0;

	for (struct pstn_session *s = r->sessions; s; s = s->next)
		n++;
	*rows = (struct rows){.row = calloc(n + 1, sizeof(*rows->row))};
	if (!rows->row)
		return;
	for (struct pstn_session *s = r->sessions; s; s = s->next)
		if (!s->gone)
			fill_row(&rows->row[rows->count++], s, r->now);
}

static void show_rows(struct rows *rows, void (*each)(void *, const struct session_info *),
		      void *arg)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct row *row = &rows->row[i];
		const struct session_info info = {.id = row->id,
						  .service = instance_name(row->listening->self),
						  .account = row->account ? row->account : "",
						  .peer = row->peer,
						  .listener = row->listening->address,
						  .state = row->state,
						  .age_ms = row->age,
						  .idle_ms = row->idle,
						  .octets_in = row->in,
						  .octets_out = row->out};

		each(arg, &info);
		free(row->account);
	}
	free(rows->row);
}

void reactors_each_session(struct reactors *all,
			   void (*each)(void *arg, const struct session_info *), void *arg)
{
	for (unsigned i = 0; i < all->count; i++) {
		struct rows rows;

		reactor_call(&all->reactors[i], copy_rows, &rows);
		show_rows(&rows, each, arg);
	}
}
