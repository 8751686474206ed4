/*
 * reactor.h - one thread with one epoll loop, its timers, its buffers and its sessions.
 *
 * Sessions never leave their reactor, so they need no locks. Other threads reach a reactor through
 * reactor_post() alone.
 */
#ifndef CORE_REACTOR_H
#define CORE_REACTOR_H

#include <postern/module.h>

struct reactor;
struct plan_listener;
struct pstn_service;

/* Something to do on a reactor's (or the control) thread; embedded in what it is about. */
struct task {
	struct task *next;
	void (*run)(struct task *);
};

/* Any thread. Tasks run in the order they were posted, once per post. */
void reactor_post(struct reactor *, struct task *);
struct reactor *reactor_self(void); /* of the calling thread; NULL elsewhere */
uint64_t reactor_now(void);         /* ms; see pstn_host.now */

/* ---- timers: intrusive, O(1) to set and to clear; on the reactor's own thread only ---- */
struct timer {
	struct timer *next, **prev; /* prev NULL: not set */
	uint64_t due;
	void (*fire)(struct timer *);
};
void timer_set(struct reactor *, struct timer *, uint64_t ms); /* moves one that is set */
void timer_clear(struct timer *);

/* ---- the set of reactors of a worker; on the control thread ---- */
struct reactors;
struct reactors_limits {
	unsigned count;        /* threads */
	uint64_t max_sessions; /* over all of them */
	uint64_t output_limit; /* see server_conf */
	unsigned generation;   /* part of session ids */
	uint64_t (*clock)(
	    void); /* milliseconds; NULL: the monotonic clock. Tests drive their own */
};
struct reactors *reactors_start(const struct reactors_limits *, char *err, size_t errlen);
/* Begin to accept on fd for a service instance (its offer's table is svc). fd stays the caller's;
 * after reactors_unlisten() returned no reactor uses any listening fd any more. */
int reactors_listen(struct reactors *, struct pstn_self *, const struct pstn_service *svc,
		    const struct plan_listener *, int fd);
void reactors_unlisten(struct reactors *);
uint64_t reactors_sessions(const struct reactors *); /* live, any thread */
/* True if every reactor has turned its loop since the last call: for the watchdog. */
bool reactors_pulse(struct reactors *);
/* End sessions: those in between commands at once, others when their command is answered; then,
 * at the second call (or `now`), all. */
void reactors_end_sessions(struct reactors *, bool now);
/* Closes the sessions still there, joins. The order at the end of a worker: reactors_unlisten(),
 * reactors_end_sessions() until there are none, instances_stop(), which waits until no operation is
 * pending, reactors_stop(), jobs_stop(), log_stop(). If sessions do not go, instances are not
 * stopped either: the process ends under them. */
void reactors_stop(struct reactors **);

/* A row of `posternctl sessions`; strings valid during the call only. */
struct session_info {
	const char *id, *service, *account, *peer, *listener, *state;
	uint64_t age_ms, idle_ms, octets_in, octets_out;
};
/* Calls each for every session, from the caller's thread, reactor by reactor (it waits for each). */
void reactors_each_session(struct reactors *, void (*each)(void *arg, const struct session_info *),
			   void *arg);
/* Close the session with this id; false if there is none. Any thread but a reactor's. */
bool reactors_kick(struct reactors *, const char *id);

#endif
