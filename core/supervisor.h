/*
 * supervisor.h - the process that owns the listening sockets and starts workers.
 *
 * One thread, one poll loop, no YAML and no module code. What it knows of a configuration a worker
 * told it. Everything here is private to supervisor*.c but supervisor_run().
 *
 * The life of a generation:
 *
 *   CANDIDATE --ready--> CURRENT --a newer one serves--> DRAINING --retired and empty--> gone
 *       |                   |  ^                            |
 *    refused             crashed  `-----rollback------------'
 */
#ifndef CORE_SUPERVISOR_H
#define CORE_SUPERVISOR_H

#include <sys/types.h>

#include <postern/module.h>

#include "backoff.h"
#include "claims.h"
#include "control_input.h"
#include "control_request.h"
#include "dirs.h"
#include "lines.h"
#include "link_message.h"
#include "options.h"

#define CLIENTS_MAX       64
#define CLIENT_TIMEOUT    10000 /* ms for a request to arrive, and for each piece of an answer */
#define CLIENT_HOLD       5000  /* ms for a worker that is being started to take a request */
#define CLIENT_OUTPUT_MAX (1u << 20)
#define READY_DEADLINE    20000 /* ms, until the candidate told its own */
#define ORPHANS_LIMIT     1500  /* ms that a start waits for orphans to let go of its addresses */
#define HANDOVER_LIMIT    2000  /* ms for an old worker to stop accepting */
#define KILL_GRACE        2000  /* ms between SIGABRT and SIGKILL */
#define END_GRACE         15000 /* ms for a worker without sessions to stop its modules */

struct supervisor;

struct limits { /* ms; of struct server_conf */
	uint64_t ready_deadline, probation, drain_limit, stop_limit, watchdog;
};

enum reason {
	REASON_START,   /* posternd was started */
	REASON_RELOAD,  /* somebody asked */
	REASON_RESTART, /* the worker before it crashed */
	REASON_CHECK    /* reload --dry-run: it ends when the configuration is judged */
};

enum child_state { CHILD_CANDIDATE, CHILD_CURRENT, CHILD_DRAINING };

struct child {
	struct child *next; /* the list is ordered, newest first */
	unsigned generation, slot;
	pid_t pid; /* 0 in --single */
	int link;  /* -1: closed */
	enum child_state state;
	enum reason reason;
	bool planned, confined, going, retired;
	char fate[288]; /* why the supervisor killed it; "": it did not */
	char version[32];
	struct limits limits;
	bool has_group;
	gid_t control_group;
	uint64_t modules_count, listeners_count;
	uint64_t started, hello, serving; /* when */
	uint64_t deadline;                /* 0: none; then it is killed */
	uint64_t beat;                    /* the last one with all reactors turning */
	uint64_t kill_at;                 /* 0: not ending */
	uint64_t sessions;
	char progress[224]; /* of its start; "": it told nothing */
	uint64_t progress_done, progress_said;
	struct json_t *facts; /* by instance, of keys and values; NULL: none */
	char *boot;           /* what a reload may not change; see plan_boot.h */
	struct lines errors, warnings, modules, phases, addresses;
	char sandbox[64];
};

struct listener { /* a bound address; closed when no child uses it */
	struct listener *next;
	char *address;
	int fd;
};

enum client_state {
	CLIENT_READING,
	CLIENT_HELD,    /* until a worker serves */
	CLIENT_HANDED,  /* sent to a worker that did not say LINK_TOOK yet */
	CLIENT_QUEUED,  /* for the next candidate */
	CLIENT_WAITING, /* for a candidate's fate */
	CLIENT_STOPPING,
	CLIENT_ENDING
};

struct client { /* of the control socket */
	int fd; /* -1: free */
	enum client_state state;
	bool dry_run;        /* what it waits for */
	unsigned generation; /* WAITING: the candidate's; HANDED: the worker's */
	uint64_t ticket;     /* HANDED */
	uint64_t deadline;   /* 0: none */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	struct control_input in;
	char *out;
	size_t out_size, out_sent;
};

enum stopping { RUNNING, STOP_GRACEFUL, STOP_QUICK };

struct supervisor {
	const struct options *options;
	struct dirs dirs;
	char *program; /* the path that is exec'd for each worker */
	char *pid_file;
	int lock, claims, signals, control;
	int boot;      /* a daemon's parent waits at the other end; -1 */
	int in_worker; /* --single: the worker's end of the link, for its thread */
	int log;       /* the supervisor's own log file; -1: standard error */
	bool serving_once, boot_failed;
	unsigned last_generation;
	uint64_t last_ticket;
	struct child *children, *candidate, *current, *handover_from;
	uint64_t handover_deadline;
	uint64_t probation_until;
	bool reload_wanted;
	struct listener *listeners;
	struct client clients[CLIENTS_MAX];
	struct backoff backoff;
	uint64_t restart_at; /* 0: no restart is due */
	uint64_t started;
	unsigned restarts; /* workers started anew after a crash */
	char *trouble;     /* what an administrator has to know in `status`; NULL: nothing */
	enum stopping stopping;
	uint64_t watchdog_every, watchdog_next; /* systemd's, of the supervisor itself */
	bool control_group_known;
	gid_t control_group;
	struct link_message message; /* scratch for sending */
	struct link_message received;
};

/* ---- supervisor.c ---- */
/* in_worker: the descriptor that --single's worker takes is stored there before the loop begins.
 * Returns the exit code. */
int supervisor_run(const struct options *, const struct dirs *, void (*worker_link)(int fd));
uint64_t supervisor_now(void);                                  /* monotonic ms */
void supervisor_trouble(struct supervisor *, const char *text); /* copied; NULL: none */

/* ---- supervisor_log.c ---- */
int supervisor_log_open(struct supervisor *, char *err, size_t errlen);
void supervisor_log_reopen(struct supervisor *);
/* event: a literal. The line goes to the supervisor's log and to the current worker's. */
void supervisor_log(struct supervisor *, int level, const char *event, const char *fmt, ...)
    PSTN_PRINTF(4, 5);
/* A line that came from a worker, for the supervisor's own log only. */
void supervisor_log_line(struct supervisor *, int level, const char *line);
/* Tells a daemon's waiting parent how the start went. */
void supervisor_boot_done(struct supervisor *, bool ok);
/* Tells it something on the way. */
void supervisor_boot_note(struct supervisor *, const char *text);

/* ---- supervisor_spawn.c ---- */
/* A new candidate, or NULL and a sentence. */
struct child *child_start(struct supervisor *, enum reason, char *err, size_t errlen);
void child_free(struct child *);

/* ---- supervisor_messages.c ---- */
/* Hears a bounded number of messages; true: there may be more. */
bool child_readable(struct supervisor *, struct child *);

/* ---- supervisor_told.c ---- */
void child_facts(struct supervisor *, struct child *, struct link_message *);
void child_progress(struct supervisor *, struct child *, struct link_message *);
/* { "instance.key": "value" }, the caller's. */
struct json_t *child_facts_flat(const struct child *);

/* ---- supervisor_children.c ---- */
void children_reap(struct supervisor *);
void children_timers(struct supervisor *);
uint64_t children_next(const struct supervisor *); /* the earliest of their deadlines */
/* SIGKILL, now; fate (a sentence's end) is what the log and waiting clients are told. */
void child_kill(struct supervisor *, struct child *, const char *fate);
struct child *child_of_generation(const struct supervisor *, uint64_t generation);
void child_tell(struct supervisor *, struct child *, enum link_type);

/* ---- supervisor_reload.c ---- */
void reload_start(struct supervisor *);   /* the first generation */
void reload_request(struct supervisor *); /* SIGHUP */
void reload_next(struct supervisor *);    /* starts what is waiting, if nothing is under way */
void reload_ready(struct supervisor *, struct child *);
void reload_serving(struct supervisor *, struct child *);
void reload_drained(struct supervisor *, struct child *);
void reload_exited(struct supervisor *, struct child *, const char *how);
void reload_timers(struct supervisor *);
uint64_t reload_next_timer(const struct supervisor *);

/* ---- supervisor_crash.c ---- */
void crash_of_current(struct supervisor *, struct child *, const char *how);
void crash_of_draining(struct supervisor *, const struct child *, const char *how);
/* None serves and the candidate that was to was refused. */
void crash_no_worker(struct supervisor *, const char *why);

/* ---- supervisor_stop.c ---- */
void supervisor_stop(struct supervisor *, bool quick);

/* ---- supervisor_listeners.c ---- */
/* The descriptor of an address, bound if nobody had it yet; -1 and a sentence. */
int listeners_get(struct supervisor *, const char *address, int backlog, char *err, size_t errlen);
void listeners_sweep(struct supervisor *); /* closes those that no child uses */
void listeners_close(struct supervisor *);

/* ---- supervisor_control.c ---- */
int control_open(struct supervisor *, char *err, size_t errlen);
void control_close(struct supervisor *);
/* Tells those who asked for the stop that it is done. */
void control_farewell(struct supervisor *);
void control_set_group(struct supervisor *, const struct child *);
void control_accept(struct supervisor *);
void client_event(struct supervisor *, struct client *, bool readable);
void clients_took(struct supervisor *, const struct child *worker, uint64_t ticket);
/* That worker is gone: requests that it had not taken go elsewhere. */
void clients_take_back(struct supervisor *, unsigned generation);
void clients_timers(struct supervisor *);
uint64_t clients_next(const struct supervisor *);
void client_note(struct supervisor *, struct client *, const char *text);
void client_error(struct supervisor *, struct client *, const char *text);
void client_later(struct supervisor *, struct client *, const char *text); /* may work then */
struct json_t;
void client_ok(struct supervisor *, struct client *, struct json_t *result); /* takes over */
/* Takes over; with a worker there would be more. */
void client_part(struct supervisor *, struct client *, struct json_t *result);

/* ---- supervisor_commands.c ---- */
void supervisor_command(struct supervisor *, struct client *, const struct control_request *);
/* Calls for all clients that wait for a candidate of that generation. */
void clients_note(struct supervisor *, unsigned generation, const char *text);
void clients_answer(struct supervisor *, unsigned generation, bool ok, const char *text);

/* ---- supervisor_status.c ---- */
struct json_t *supervisor_status(const struct supervisor *);
struct json_t *supervisor_generations(const struct supervisor *);

/* ---- supervisor_signals.c ---- */
int signals_open(struct supervisor *, char *err, size_t errlen);
void signals_read(struct supervisor *);

/* ---- supervisor_notify.c: systemd ---- */
void notify_ready(struct supervisor *);
void notify_reloading(struct supervisor *);
void notify_stopping(struct supervisor *);
void notify_status(struct supervisor *);
/* A start takes long but gets ahead: it is given ms more. */
void notify_starting(struct supervisor *, const char *progress, uint64_t ms);
void notify_watchdog(struct supervisor *);

#endif
