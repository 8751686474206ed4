/*
 * runtime_rig.h - real reactors with a service made of a test's own functions, and clients.
 *
 * The clock is the test's: time passes when rig_pass() is called and at no other time.
 */
#ifndef TESTS_RUNTIME_RIG_H
#define TESTS_RUNTIME_RIG_H

#include "runtime.h"

#include <stdatomic.h>

extern atomic_int standin_claims, standin_events, standin_jobs, standin_orphaned;
extern atomic_bool standin_refuse_jobs;
void standin_jobs_wait(void); /* until no job runs any more */

/* What is the service's instance. Functions may be NULL. */
struct rig {
	void (*open)(struct rig *, struct pstn_session *, void *state);
	void (*line)(struct rig *, struct pstn_session *, void *state, char *line, size_t n);
	void (*overlong)(struct rig *, struct pstn_session *, void *state);
	size_t (*data)(struct rig *, struct pstn_session *, void *state, const char *, size_t n);
	void (*drained)(struct rig *, struct pstn_session *, void *state);
	void (*timeout)(struct rig *, struct pstn_session *, void *state);
	void (*close)(struct rig *, struct pstn_session *, void *state, const char *why);
	void *arg;
	struct reactors_limits limits; /* zero: 1 reactor, many sessions, 64 KiB */
	uint32_t session_size, line_limit;

	struct reactors *all;
	struct pstn_service service;
	struct plan_listener listener;
	char address[128];
	bool unix_socket;
	int fd;
	unsigned port;
	atomic_int opened, closed;
	atomic_int wrong;          /* for checks on a reactor's thread */
	_Atomic(const char *) why; /* of the last close */
};

int rig_start(struct rig *);
void rig_stop(struct rig *);
/* Time passes for all reactors; what was due has been done when it returns. */
void rig_pass(struct rig *, uint64_t ms);
/* Every reactor has turned at least twice. */
void rig_settle(struct rig *);
/* Waits (in real time, with a generous limit) until n sessions are live. */
bool rig_wait_sessions(struct rig *, uint64_t n);
uint64_t rig_clock(void);
/* Output buffers that sessions hold. */
uint64_t rig_buffers(struct rig *);

/* Clients, blocking, with a limit of some seconds. */
int client_connect(const struct rig *);
/* The same with a socket that is there already. */
int client_join(const struct rig *, int fd);
int client_connect_small(const struct rig *, int receive_buffer);
bool client_send(int fd, const void *bytes, size_t n);
bool client_says(int fd, const char *text);
/* Reads exactly n octets. */
bool client_reads(int fd, void *bytes, size_t n);
bool client_expects(int fd, const char *text);
/* Whether the server's end of file comes next. */
bool client_eof(int fd);
/* All that comes until end of file; malloc'd. */
char *client_read_all(int fd, size_t *n);

#endif
