/*
 * worker.h - the process that is the core: from an exec'd candidate to its last session.
 *
 * worker_start.c brings a candidate up, worker_loop.c is its control thread, worker_link.c its talk
 * with the supervisor, worker.c joins them.
 */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H

#include "control.h"
#include "link_message.h"
#include "options.h"
#include "privileges.h"

struct reactors;

#define PHASES_MAX 16

enum worker_state {
	WORKER_READY, /* waits for GO */
	WORKER_SERVING,
	WORKER_DRAINING, /* accepts no more */
	WORKER_STOPPING  /* its sessions are being ended */
};

struct worker {
	int link; /* -1: none (offline) */
	bool single, offline, dry_run, orphan, retired, quick;
	enum worker_state state;
	unsigned generation, slot;
	int claims;
	struct dirs dirs;
	char *boot; /* what a generation that is alive was started with; see plan_boot.h */
	struct reports *reports;
	struct plan *plan;
	struct identity identity;
	struct instances *instances;
	struct reactors *reactors;
	struct control_scope scope;
	struct pstn_call *held; /* offline: see struct control_scope */
	char sandbox[64];
	int queue;        /* readable when the control queue has work */
	int signals;      /* SIGTERM, which only an orphan obeys; -1 in --single */
	uint64_t ends_at; /* when sessions that are still there are closed; 0: never */
	uint64_t beat_at; /* when the next heartbeat is due */
	struct {
		const char *name;
		uint64_t us;
	} phases[PHASES_MAX];
	unsigned nphases;
	uint64_t phase_began; /* us */
	struct link_message message;
};

/* ---- worker.c ---- */
int worker_run(void);            /* exec'd: its link is LINK_WORKER_FD; the exit code */
int worker_run_single(int link); /* in the supervisor's process */
/* posternctl --offline: serves one request on fd, without listeners; the exit code */
int worker_run_offline(const struct dirs *, int fd);
/* Ends sessions, modules, threads; the worker is then as before worker_start_services(). */
void worker_end(struct worker *);

/* ---- worker_start.c ---- */
/* Each in turn, 0 or -1 with everything that is wrong in reports. */
int worker_plan(struct worker *);
int worker_listen(struct worker *);
int worker_confine(struct worker *);
int worker_start_services(struct worker *, void (*early)(int level, const char *line));
void worker_phase(struct worker *, const char *name); /* the phase of that name is over */
unsigned worker_count_listeners(const struct plan *);

/* ---- worker_loop.c ---- */
void worker_loop(struct worker *);

/* ---- worker_link.c ---- */
/* Waits for LINK_START. 0, or -1: the supervisor is gone. */
int worker_hello(struct worker *);
void worker_send_reports(struct worker *); /* and forgets them */
void worker_send_plan(struct worker *);
void worker_send_ready(struct worker *);
void worker_send_took(struct worker *, uint64_t ticket);
void worker_send_beat(struct worker *, bool alive, uint64_t sessions);
void worker_send_facts(struct worker *); /* those that the supervisor does not know yet */
/* For told_progress_to(). */
void worker_send_progress(const char *instance, const char *what, uint64_t done, uint64_t total);
/* The listening socket for an address; -1 and a sentence. */
int worker_ask_socket(struct worker *, const char *address, int backlog, char *err, size_t errlen);
/* For log_start(): lines go to the supervisor. */
void worker_early_log(int level, const char *line);

#endif
