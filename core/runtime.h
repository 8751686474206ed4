/*
 * runtime.h - what the rooms of the runtime know of each other: reactor, session, stream, accept.
 * Nothing outside them (and their tests) includes it.
 */
#ifndef CORE_RUNTIME_H
#define CORE_RUNTIME_H

#include "buffers.h"
#include "line.h"
#include "plan.h"
#include "reactor.h"
#include "session.h"
#include "timer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	READ_SIZE = 16 * 1024,        /* one read per readiness */
	LINE_LIMIT_MAX = 64 * 1024,   /* no service may ask for longer lines */
	HELD_INPUT_MAX = READ_SIZE,   /* read ahead of a session that does not listen */
	STAGE_SIZE = 64 * 1024,       /* file contents and dots pass through here */
	LINES_PER_TURN = 128,         /* then other sessions have their turn */
	OUTPUT_PER_TURN = 1024 * 1024 /* likewise */
};
#define INPUT_ROOM (LINE_LIMIT_MAX + HELD_INPUT_MAX + READ_SIZE)

/* ---- reactor --------------------------------------------------------------------------------- */

/* What an epoll event names: the first member of everything that has a descriptor. */
struct watch {
	void (*ready)(struct watch *, uint32_t events);
	struct watch *next_dead;
};

struct reactor {
	struct reactors *all;
	pthread_t thread;
	unsigned number;
	int epoll, wake;
	int reserve; /* given up for a moment when descriptors run out */
	uint64_t now;
	_Atomic(struct task *) posted; /* newest first */
	atomic_uint posting;           /* threads in reactor_post() now */
	struct wheel wheel;
	struct buffers buffers;
	atomic_uint load; /* sessions, those on their way here included; any thread may look */
	struct pstn_session *sessions;
	struct pstn_session *runnable, **runnable_end; /* have work without an epoll event */
	struct pstn_session *current;                  /* whose turn it is */
	struct watch *dead; /* freed when no event of this turn can name them any more */
	struct listener *listeners;
	struct lingerer *lingering;
	unsigned nlingering;
	bool stopping;
	atomic_uint pulse_asked, pulse_seen;
	atomic_uint turns;
	struct watch wake_watch;
	char *input; /* INPUT_ROOM */
	char *stage; /* STAGE_SIZE */
};

struct reactors {
	struct reactors_limits limits;
	unsigned count;
	struct reactor *reactors;
	atomic_uint_least64_t sessions;
	atomic_uint_least64_t last_id;
	struct listening *listening; /* every one there ever was: sessions point to them */
	bool ending;                 /* reactors_end_sessions() was called before */
};

uint64_t reactor_clock(const struct reactor *);
void reactor_poke(struct reactor *); /* any thread: turn the loop once */
/* Runs fn on a reactor's thread and waits for it. Not from a reactor. */
void reactor_call(struct reactor *, void (*fn)(struct reactor *, void *arg), void *arg);
/* Frees what begins with this watch, once no pending event can name it. */
void reactor_bury(struct reactor *, struct watch *);
int reactor_watch(struct reactor *, int op, int fd, uint32_t events, struct watch *);
/* The thread: begins, loops, ends. reactor.c */
int reactor_open(struct reactor *, struct reactors *, unsigned number);
void *reactor_main(void *reactor);
void reactor_close(struct reactor *);

/* ---- accepting ------------------------------------------------------------------------------- */

/* A listening socket with its service, for all reactors. */
struct listening {
	struct listening *next;
	struct pstn_self *self;
	const struct pstn_service *service;
	void *handle;  /* what the instance's start() returned */
	char *address; /* as configured */
	int fd;
};

int accept_start(struct reactor *, struct listening *);
void accept_stop(struct reactor *); /* all of this reactor's listeners */

/* ---- sessions -------------------------------------------------------------------------------- */

struct session_peer {
	union {
		struct in_addr in;
		struct in6_addr in6;
	};
	uint16_t port, family;
};

/* Octets received and not yet used; exactly as large as it has to be. */
struct input {
	uint32_t start, end;
	char bytes[];
};

struct pstn_session {
	struct watch watch; /* first */
	struct reactor *reactor;
	struct listening *listening;
	struct pstn_session *next, **prev;
	struct pstn_session *next_runnable;
	struct op *ops;
	struct timer idle;

	struct input *input; /* NULL: nothing */
	struct segment *head, *tail;
	uint64_t queued;
	uint64_t octets_in, octets_out;
	uint64_t opened, active; /* ms */
	uint64_t idle_limit;

	const char *state, *why;
	char *account;
	uint32_t *more_claims;
	uint32_t first_claims[2], nclaims;

	struct line_cutter cutter;
	struct session_peer peer;
	int fd;
	uint32_t interest; /* epoll events asked for */
	uint32_t lines;    /* that this turn may still deliver */
	uint32_t unsent;   /* octets in the kernel when a blocked client was looked at, plus 1 */

	bool watched : 1;      /* in the epoll set */
	bool runnable : 1;     /* in the reactor's queue */
	bool held : 1;         /* a command is being worked on */
	bool raw : 1;          /* data() instead of line() */
	bool starved : 1;      /* what there is of input is not enough */
	bool eof : 1;          /* the client sends no more */
	bool hung_up : 1;      /* nor does it read; out of the epoll set */
	bool read_full : 1;    /* the last read took all it could: there may be more */
	bool throttled : 1;    /* too much output queued */
	bool blocked : 1;      /* the kernel takes no more output now */
	bool warming : 1;      /* a job reads what is to be sent next */
	bool want_drained : 1; /* drained() is asked for */
	bool in_line : 1;      /* in a call of line() */
	bool quiet : 1;        /* finish() came in answer to the last line read */
	bool ending : 1;       /* finish as soon as the command is answered */
	bool finishing : 1;    /* send what is queued, then close */
	bool dropping : 1;     /* close at the end of the turn */
	bool left : 1;         /* the service knows nothing of it any more */
	bool gone : 1;         /* closed; memory is kept for a job or the rest of the turn */

	char id[24];
	alignas(max_align_t) char service_state[];
};

static inline const struct pstn_service *session_service(const struct pstn_session *s)
{
	return s->listening->service;
}

/* A connection becomes a session: opened, greeted and watched. Takes over fd. It is counted in
 * reactor and reactors already, until session_reap(). */
void session_start(struct reactor *, struct listening *, int fd, const struct session_peer *);
/* Gives the session a turn later in this turn of the loop. */
void session_wake(struct pstn_session *);
/* A turn: calls of the service come between begin and end. */
void session_begin_turn(struct pstn_session *);
void session_end_turn(struct pstn_session *);
/* Whether the service may be given a line now. */
bool session_listens(struct pstn_session *);
/* Frees what is left after the last job of a session that is gone. */
void session_reap(struct pstn_session *);
void session_uncount(struct reactor *);
void session_release_claims(struct pstn_session *);
/* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix". */
void session_peer_text(const struct pstn_session *, char *text, size_t size);

/* ---- streams --------------------------------------------------------------------------------- */

/* Input: the socket is readable; what is there is delivered as far as the service listens. */
void input_read(struct pstn_session *);
/* Delivers what was kept. */
void input_deliver(struct pstn_session *);
/* Whether there is input that could be delivered without reading more. */
bool input_waits(const struct pstn_session *);
void input_discard(struct pstn_session *);

/* Output: write as much as the kernel takes. */
void output_flush(struct pstn_session *);
void output_discard(struct pstn_session *);
/* Takes n octets that the kernel has accepted off the queue. */
void output_sent(struct pstn_session *, size_t n);

/* ---- lingering ------------------------------------------------------------------------------- */

/* Closes fd without the reset that would overtake the last reply. Takes over fd. */
void linger_close(struct reactor *, int fd);
void linger_end_all(struct reactor *);

#endif
