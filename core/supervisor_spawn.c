/*
 * supervisor_spawn.c - a worker process is made: the link, a slot for its counts, fork and exec.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "supervisor.h"

static int free_slot(const struct supervisor *sv)
{
	for (unsigned slot = 0; slot < CLAIMS_SLOTS; slot++) {
		const struct child *c = sv->children;
		while (c && c->slot != slot)
			c = c->next;
		if (!c)
			return (int)slot;
	}
	return -1;
}

/* In the forked process, which never returns. */
static _Noreturn void become_worker(struct supervisor *sv, const struct child *c, int end)
{
	static const char *const private[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
	char generation[16], why[600];
	sigset_t none;

	snprintf(generation, sizeof(generation), "%u", c->generation);
	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
		(void)unsetenv(private[i]);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (end == LINK_WORKER_FD)
		(void)fcntl(end, F_SETFD, 0);
	else
		(void)dup2(end, LINK_WORKER_FD);
	/* What the supervisor's own parent left open is not for a process without rights. */
	(void)close_range(LINK_WORKER_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	/* The configuration's name is for those who look at ps. */
	execl(sv->program, "posternd", "--worker", generation, "--config", sv->dirs.config_file,
	      (char *)NULL);
	snprintf(why, sizeof(why),
		 "%.400s: cannot execute: %s; install the program again, then reload", sv->program,
		 strerror(errno));
	link_begin(&sv->message, LINK_REPORT);
	link_put_number(&sv->message, 1);
	link_put_text(&sv->message, why);
	(void)link_send(end, &sv->message, false);
	_exit(EXIT_FAILED);
}

/* What a generation that is alive was started with: whatever it shares has to stay. */
static const char *boot_values(const struct supervisor *sv)
{
	for (const struct child *c = sv->children; c; c = c->next)
		if (c->boot && c->state != CHILD_CANDIDATE)
			return c->boot;
	return "";
}

static int send_start(struct supervisor *sv, const struct child *c)
{
	struct link_message *m = &sv->message;

	link_begin(m, LINK_START);
	link_put_number(m, c->generation);
	link_put_number(m, c->slot);
	link_put_number(m, c->reason == REASON_CHECK);
	link_put_text(m, sv->dirs.config_file);
	link_put_text(m, sv->dirs.config);
	link_put_text(m, sv->dirs.state);
	link_put_text(m, sv->dirs.run);
	link_put_text(m, sv->dirs.log);
	link_put_text(m, sv->dirs.modules);
	link_put_text(m, boot_values(sv));
	link_put_fd(m, sv->claims);
	return link_send(c->link, m, false);
}

static int launch(struct supervisor *sv, struct child *c)
{
	int ends[2];

	if (link_pair(ends) < 0)
		return -1;
	c->link = ends[0];
	if (sv->options->mode == MODE_SINGLE) {
		sv->in_worker = ends[1];
		return send_start(sv, c);
	}
	c->pid = fork();
	if (c->pid == 0)
		become_worker(sv, c, ends[1]);
	int saved = errno;
	close(ends[1]);
	errno = saved;
	return c->pid < 0 ? -1 : send_start(sv, c);
}

void child_free(struct child *c)
{
	if (c->link >= 0)
		close(c->link);
	free(c->boot);
	lines_clear(&c->errors);
	lines_clear(&c->warnings);
	lines_clear(&c->modules);
	lines_clear(&c->phases);
	lines_clear(&c->addresses);
	json_decref(c->facts);
	free(c);
}

struct child *child_start(struct supervisor *sv, enum reason reason, char *err, size_t errlen)
{
	int slot = free_slot(sv);

	/* Whatever fails: clients wait for a candidate of this number. */
	sv->last_generation++;
	struct child *c = slot < 0 ? NULL : calloc(1, sizeof(*c));

	if (!c) {
		snprintf(err, errlen,
			 slot < 0 ? "%d generations are alive, no more are possible: "
				    "wait for sessions to end, or set server.drain_limit"
				  : "no memory",
			 CLAIMS_SLOTS);
		return NULL;
	}
	c->generation = sv->last_generation;
	c->slot = (unsigned)slot;
	c->reason = reason;
	c->link = -1;
	c->started = c->beat = supervisor_now();
	c->limits.ready_deadline = READY_DEADLINE;
	c->deadline = c->started + READY_DEADLINE;
	if (launch(sv, c) < 0) {
		snprintf(err, errlen, "cannot start a worker process: %s", strerror(errno));
		if (c->pid <= 0) {
			child_free(c);
			return NULL;
		}
		child_kill(sv, c, "it could not be told where to begin");
	}
	c->next = sv->children;
	sv->children = c;
	return c;
}
