/*
 * session.c - the life of a session: start, turns, the end.
 *
 * Whatever happens to a session happens in a turn: an event of its socket, a completion, a timer,
 * work left over. In it the service is called; at its end input that waits is delivered, output is
 * written, and closing is seen to. So nothing in here calls itself again, however services call.
 *
 * The end has two steps. First the service lets go (close(), pending operations, claims), then the
 * last output is written and the connection closed: a client that has read the last reply finds
 * its maildrop free.
 */
#include "runtime.h"

#include "claims.h"
#include "instance.h"
#include "log.h"
#include "op.h"

#include <assert.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	LINE_LIMIT_DEFAULT = 1024,
	FINISH_MS = 60 * 1000 /* without progress, for the last output */
};

static_assert(offsetof(struct pstn_session, watch) == 0, "reactor_bury() frees by the watch");

/* ---- turns ----------------------------------------------------------------------------------- */

void session_begin_turn(struct pstn_session *s)
{
	s->reactor->current = s;
	s->lines = LINES_PER_TURN;
}

/* A client that does not take what it asked for is not asked what else it wants: so it costs no more
 * memory than a turn's replies. */
bool session_listens(struct pstn_session *s)
{
	uint64_t limit = s->reactor->all->limits.output_limit;

	if (s->queued > limit)
		s->throttled = true;
	else if (s->queued <= limit / 2)
		s->throttled = false;
	return !(s->held || s->throttled || s->blocked || s->ending || s->finishing ||
		 s->dropping || s->left);
}

static void leave(struct pstn_session *s)
{
	const struct pstn_service *service = session_service(s);

	if (s->left)
		return;
	s->left = true;
	input_discard(s);
	service->close(s->listening->handle, s, s->service_state, s->why ? s->why : "closed");
	ops_orphan(s);
	session_release_claims(s);
}

/* What the service could not know: the client has ended, or the server wants to. */
static void check_end(struct pstn_session *s)
{
	if (s->finishing || s->dropping || s->held || s->want_drained)
		return;
	if (s->ending && !s->head)
		session_finish(s, "server stopping");
	else if (s->eof && !s->throttled && !input_waits(s))
		session_finish(s, "client closed");
}

static bool has_drained(const struct pstn_session *s)
{
	return s->want_drained && s->queued <= s->reactor->all->limits.output_limit / 2;
}

static void tell_drained(struct pstn_session *s)
{
	const struct pstn_service *service = session_service(s);

	if (!has_drained(s) || s->finishing || s->dropping)
		return;
	s->want_drained = false;
	if (service->drained)
		service->drained(s->listening->handle, s, s->service_state);
}

/* The epoll set is told only what has changed; an idle session costs no call. */
static void update_watch(struct pstn_session *s)
{
	uint32_t want = 0;
	size_t kept = s->input ? s->input->end - s->input->start : 0;

	if (s->hung_up)
		return;
	if (!s->eof && !s->left && (s->starved || kept < HELD_INPUT_MAX))
		want |= EPOLLIN;
	if (s->blocked)
		want |= EPOLLOUT;
	if (s->watched && want == s->interest)
		return;
	if (reactor_watch(s->reactor, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, want,
			  &s->watch) < 0) {
		session_drop(s, "cannot be watched");
		return;
	}
	s->watched = true;
	s->interest = want;
}

void session_uncount(struct reactor *r)
{
	atomic_fetch_sub(&r->load, 1);
	atomic_fetch_sub(&r->all->sessions, 1);
}

void session_reap(struct pstn_session *s)
{
	if (s->warming || s->runnable)
		return;
	output_discard(s);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s->account);
	session_uncount(s->reactor);
	reactor_bury(s->reactor, &s->watch);
}

/* Whether closing now could cost the client its last reply; see linger.c. */
static bool may_reset(const struct pstn_session *s)
{
	int unread = 0;

	if (s->dropping || s->eof || (s->quiet && !s->read_full))
		return false;
	return ioctl(s->fd, FIONREAD, &unread) == 0 && unread > 0;
}

static void close_connection(struct pstn_session *s)
{
	timer_clear(&s->idle);
	s->gone = true;
	if (may_reset(s))
		linger_close(s->reactor, s->fd);
	else
		close(s->fd);
	s->fd = -1;
	session_reap(s);
}

/* Whether another turn is due although nothing happened outside. */
static bool has_work(struct pstn_session *s)
{
	if (s->head && !s->blocked && !s->warming)
		return true;
	if (s->finishing)
		return !s->left;
	if (s->ending && !s->held && !s->head)
		return true;
	return has_drained(s) || (session_listens(s) && (s->eof || input_waits(s)));
}

void session_end_turn(struct pstn_session *s)
{
	input_deliver(s);
	if (!s->dropping)
		check_end(s);
	if (s->finishing || s->dropping)
		leave(s);
	if (!s->dropping)
		output_flush(s);
	tell_drained(s);
	if (!s->dropping && !(s->finishing && !s->head))
		update_watch(s);
	s->reactor->current = NULL;
	if (s->dropping)
		leave(s);
	if (s->dropping || (s->left && !s->head))
		close_connection(s);
	else if (has_work(s))
		session_wake(s);
}

void session_enter(struct pstn_session *s, void (*fn)(void *arg, int status), void *arg, int status)
{
	/* Inside another turn the queue gives this session its own turn's end. */
	if (s->reactor->current) {
		fn(arg, status);
		session_wake(s);
		return;
	}
	session_begin_turn(s);
	fn(arg, status);
	session_end_turn(s);
}

/* ---- what brings turns about ----------------------------------------------------------------- */

/* The client is gone, but what it sent before is still to be worked on. */
static void hang_up(struct pstn_session *s)
{
	reactor_watch(s->reactor, EPOLL_CTL_DEL, s->fd, 0, &s->watch);
	s->hung_up = true;
	s->eof = true;
	s->blocked = false;
}

static void ready(struct watch *w, uint32_t events)
{
	struct pstn_session *s = (struct pstn_session *)w;

	session_begin_turn(s);
	if (events & EPOLLOUT)
		s->blocked = false;
	if (events & EPOLLERR)
		session_drop(s, "connection lost");
	else if (events & EPOLLHUP && !(s->interest & EPOLLIN))
		hang_up(s);
	else if (events & (EPOLLIN | EPOLLHUP))
		input_read(s);
	session_end_turn(s);
}

/*
 * Whether the client took anything lately. The kernel tells of room for output only when there is
 * much, so a slow client may seem to stand still; what it has acknowledged shows that it does not.
 */
static bool client_takes_output(struct pstn_session *s)
{
	int unsent = 0;
	uint32_t before = s->unsent;

	if (ioctl(s->fd, SIOCOUTQ, &unsent) < 0)
		return false;
	s->unsent = (uint32_t)unsent + 1;
	return before && s->unsent < before;
}

/* Milliseconds until the session is to be judged again; 0: the limit is reached. */
static uint64_t idle_time_left(struct pstn_session *s, uint64_t limit)
{
	uint64_t since = s->reactor->now - s->active;
	bool known = s->unsent;

	if ((s->held && !s->blocked) || s->warming)
		return limit; /* the client waits for us */
	if (s->blocked && client_takes_output(s)) {
		s->active = s->reactor->now;
		return limit;
	}
	if (since < limit)
		return limit - since;
	return s->blocked && !known ? limit / 4 + 1 : 0;
}

/*
 * The timer is not moved with every command: it looks when it fires how long ago the last one was,
 * and comes back when the limit would be reached.
 */
static void idle_fired(struct timer *t)
{
	struct pstn_session *s =
	    (struct pstn_session *)((char *)t - offsetof(struct pstn_session, idle));
	const struct pstn_service *service = session_service(s);
	uint64_t limit = s->idle_limit, left;

	if (s->left && (!limit || limit > FINISH_MS))
		limit = FINISH_MS;
	if (!limit)
		return;
	left = idle_time_left(s, limit);
	timer_set(s->reactor, t, left ? left : limit);
	if (left)
		return;
	session_begin_turn(s);
	s->active = s->reactor->now;
	if (s->head)
		session_drop(s, "client stopped reading");
	else if (service->timeout)
		service->timeout(s->listening->handle, s, s->service_state);
	else
		session_drop(s, "idle");
	session_end_turn(s);
}

void session_idle_limit(struct pstn_session *s, uint64_t ms)
{
	if (s->left)
		return;
	s->idle_limit = ms;
	s->active = s->reactor->now;
	if (!ms)
		timer_clear(&s->idle);
	else if (!s->idle.prev || s->idle.due > s->reactor->now + ms)
		timer_set(s->reactor, &s->idle, ms);
}

void session_finish(struct pstn_session *s, const char *why)
{
	if (s->finishing || s->dropping || s->left)
		return;
	s->finishing = true;
	s->quiet = s->in_line;
	s->why = why;
	s->active = s->reactor->now;
	if (!s->idle.prev || s->idle.due > s->reactor->now + FINISH_MS)
		timer_set(s->reactor, &s->idle, FINISH_MS);
	session_wake(s);
}

void session_drop(struct pstn_session *s, const char *why)
{
	if (s->dropping || s->gone)
		return;
	s->dropping = true;
	if (!s->finishing)
		s->why = why;
	session_wake(s);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* "GENERATION.NUMBER", both in base 32: short to read out, unique as long as any log is read. */
static void make_id(char *id, size_t size, unsigned generation, uint64_t number)
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	char text[24], *p = text + sizeof(text) - 1;

	*p = '\0';
	do
		*--p = digits[number & 31];
	while (number >>= 5);
	*--p = '.';
	do
		*--p = digits[generation & 31];
	while (generation >>= 5);
	snprintf(id, size, "%s", p);
}

static void enlist(struct pstn_session *s)
{
	struct reactor *r = s->reactor;

	s->next = r->sessions;
	s->prev = &r->sessions;
	if (s->next)
		s->next->prev = &s->next;
	r->sessions = s;
}

void session_start(struct reactor *r, struct listening *listening, int fd,
		   const struct session_peer *peer)
{
	const struct pstn_service *service = listening->service;
	struct reactors *all = r->all;
	struct pstn_session *s = calloc(1, sizeof(*s) + service->session_size);

	if (!s) {
		CORE_EVENT(PSTN_ERROR, "client-refused", PSTN_S("listener", listening->address),
			   PSTN_S("why", "no memory for a session"));
		close(fd);
		session_uncount(r);
		return;
	}
	s->watch.ready = ready;
	s->reactor = r;
	s->listening = listening;
	s->fd = fd;
	s->peer = *peer;
	s->idle.fire = idle_fired;
	s->opened = s->active = r->now;
	s->starved = true;
	s->state = "";
	s->cutter.limit = service->line_limit ? service->line_limit : LINE_LIMIT_DEFAULT;
	make_id(s->id, sizeof(s->id), all->limits.generation,
		atomic_fetch_add(&all->last_id, 1) + 1);
	enlist(s);
	session_begin_turn(s);
	service->open(listening->handle, s, s->service_state);
	session_end_turn(s);
}
