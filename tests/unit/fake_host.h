/*
 * fake_host.h - a `struct pstn_host` without sockets, for unit tests of modules.
 *
 *	fake_begin();                                  a scratch directory, a clock, no memory in use
 *	struct pstn_self *self = fake_self("pop3");
 *	fake_need(self, 0, &table, inst);              what host->need(self, 0, ...) answers
 *	void *pop3 = module.start(self, fake_host(), &conf, err, sizeof(err));
 *	struct pstn_session *s = fake_connect(self, &service, pop3);     or fake_session(self)
 *	fake_input(s, "STAT\r\n", 6);                  lines are cut, held back and timed as for real
 *	fake_settle();                                 jobs, then completions, until all is quiet
 *	CU_ASSERT_STRING_EQUAL(fake_output(s), "+OK 0 0\r\n");
 *	fake_close(s, "client closed");
 *	module.stop(pop3);
 *	CU_ASSERT_EQUAL(fake_end(), 0);                counts what leaked or still waits, and says what
 *
 * The thread that calls fake_begin() is the reactor and the control thread in one. Misuse of the
 * table (posting twice, touching a closed session or one from a job, freeing what was not alloc'd)
 * prints a sentence and aborts. Link with $(fake_host_lib); see tests/unit/services.am.
 */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include <postern/commands.h>
#include <postern/log_sink.h>
#include <postern/module.h>
#include <postern/service.h>

/* ---- the world ---- */
void fake_begin(void);
/* Allocations, operations, contents and open sessions left over, each told on stderr. */
unsigned fake_end(void);
const struct pstn_host *fake_host(void);
struct pstn_self *fake_self(const char *name);
const char *fake_directory(void); /* the scratch directory; config, state, run, log are below it */
void fake_need(struct pstn_self *, uint32_t i, const void *table, void *inst);
int64_t fake_metric(struct pstn_self *, uint32_t metric);
/* What the instance tells for `status`, copied; "" if it does not. */
const char *fake_fact(struct pstn_self *, const char *key, char value[128]);
/* How often it told progress, and what its start was doing last. */
unsigned fake_progressed(struct pstn_self *);
const char *fake_progress(struct pstn_self *);

/* ---- memory: host->alloc and the operations themselves count as allocations ---- */
void fake_fail_alloc(unsigned long n); /* the n-th from now fails, and only that one; 0 = none */
bool fake_alloc_failed(void);          /* since fake_fail_alloc(): false = there were fewer */
size_t fake_live(void);                /* blocks not freed */
size_t fake_live_bytes(void);

/* ---- time, jobs, completions; each returns how many it ran ---- */
unsigned fake_advance(uint64_t ms); /* fires timers in order of time, then idle limits */
unsigned fake_run_jobs(void);       /* in the order they were given, on this thread */
unsigned fake_run(void);            /* completions posted so far; then output, input, closing */
unsigned fake_settle(void);         /* jobs and completions until there are none */
unsigned fake_jobs_waiting(void);
void fake_skip_orphans(
    bool skip); /* an orphaned job that has not begun: skipped (default) or run */
/* From now on jobs run on n real threads; fake_settle() waits for them. */
void fake_use_threads(unsigned n);
/* Run something that blocks as if on a job thread, while this thread runs jobs and completions. */
void fake_block_on(void (*fn)(void *arg), void *arg);

/* ---- sessions ---- */
struct pstn_session *fake_session(struct pstn_self *); /* of no service */
struct pstn_session *fake_connect(struct pstn_self *, const struct pstn_service *, void *inst);
/* The same from another address than 192.0.2.1, known already in open(). */
struct pstn_session *fake_connect_from(struct pstn_self *, const struct pstn_service *, void *inst,
				       const char *address);
void fake_input(struct pstn_session *, const void *bytes, size_t n); /* from the client */
void fake_line(struct pstn_session *, const char *line);             /* adds CRLF */
/* The connection ends: the service's close(), then its operations and contents. */
void fake_close(struct pstn_session *, const char *why);
/* What closed sessions still had to send is released, as the core does before a module's stop(). */
void fake_clients_gone(void);
void *fake_state(struct pstn_session *); /* the service's session_size bytes */
/* What the client got so far, '\0' behind it; dots are stuffed. Also after the session closed. */
const char *fake_output(struct pstn_session *);
size_t fake_output_length(struct pstn_session *);
void fake_clear_output(struct pstn_session *);
void fake_block(struct pstn_session *, bool blocked);         /* the client does not read */
void fake_set_queued(struct pstn_session *, uint64_t octets); /* host->queued says so many more */
void fake_set_peer(struct pstn_session *, const char *address, uint16_t port, const char *listener);
bool fake_held(struct pstn_session *);
bool fake_raw(struct pstn_session *);
bool fake_closed(struct pstn_session *);
const char *fake_ended(struct pstn_session *); /* why of finish() or drop(); NULL: neither */
bool fake_dropped(struct pstn_session *);
uint64_t fake_idle_limit(struct pstn_session *);
size_t fake_line_limit(struct pstn_session *);
const char *fake_account(struct pstn_session *); /* "" if never set */
const char *fake_state_label(struct pstn_session *);

/* ---- claims: how many places are taken; places that other workers hold ---- */
uint32_t fake_claims(const char *key);
void fake_claim_elsewhere(const char *key, uint32_t places);

/* ---- log ---- */
struct fake_event {
	int level;
	const char *service, *session, *event;
	const char *fields; /* "user=a@b n=3" */
};
void fake_log_level(int level); /* what host->logs() says is wanted; default: everything */
unsigned fake_log_count(void);
const struct fake_event *fake_log_at(unsigned i);
/* The latest event of that name, NULL if none. */
const struct fake_event *fake_log_find(const char *event);
bool fake_log_contains(const char *text); /* in any event's name or fields: a password must not */
void fake_log_clear(void);

/* ---- administrative commands ---- */
struct pstn_call *fake_call(void);
void fake_call_arg(struct pstn_call *, const char *name, const char *value);
void fake_call_fd(struct pstn_call *, const char *name, int fd); /* stays the test's to close */
/* A directory argument is fake_call_arg() with its path: files below it are opened for real. */
void fake_call_cancel(struct pstn_call *);
/* Runs the command of that name as if on a job thread; aborts if there is none. */
void fake_call_run(struct pstn_call *, const struct pstn_commands *, const char *name, void *inst);
const char *fake_call_answer(struct pstn_call *); /* compact JSON; "" if nothing was answered */
const char *fake_call_error(struct pstn_call *);  /* what fail() said; NULL: it did not */
const char *fake_call_notes(struct pstn_call *);  /* what note() said, a line each */
const char *fake_call_bytes(struct pstn_call *, size_t *n);
uint64_t fake_call_progress(struct pstn_call *); /* the last `done` */
void fake_call_free(struct pstn_call *);

#endif
