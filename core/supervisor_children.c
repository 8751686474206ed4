/*
 * supervisor_children.c - workers as processes: started, listened to, watched, killed, reaped.
 * What their words and their deaths mean for clients is decided in supervisor_reload.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"

struct child *child_of_generation(const struct supervisor *sv, uint64_t generation)
{
	for (struct child *c = sv->children; c; c = c->next)
		if (c->generation == generation)
			return c;
	return NULL;
}

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

void child_tell(struct supervisor *sv, struct child *c, enum link_type type)
{
	if (c->link >= 0 && link_tell(c->link, type, false) < 0 && errno != EPIPE)
		supervisor_log(sv, PSTN_ERROR, "link",
			       "generation %u does not listen to its supervisor: %s", c->generation,
			       strerror(errno));
}

/* ---- starting ---------------------------------------------------------------------------------- */

/* In the forked process, which never returns. */
static _Noreturn void become_worker(struct supervisor *sv, const struct child *c, int end)
{
	static const char *const private[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
	char generation[16], why[600];
	sigset_t none;

	snprintf(generation, sizeof generation, "%u", c->generation);
	for (size_t i = 0; i < sizeof private / sizeof private[0]; i++)
		(void)unsetenv(private[i]);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (end == LINK_WORKER_FD)
		(void)fcntl(end, F_SETFD, 0);
	else
		(void)dup2(end, LINK_WORKER_FD);
	/* The configuration's name is for those who look at ps. */
	execl(sv->program, "posternd", "--worker", generation, "--config", sv->dirs.config_file,
	      (char *)NULL);
	snprintf(why, sizeof why,
		 "%.400s: cannot execute: %s; install the program again, then reload", sv->program,
		 strerror(errno));
	link_begin(&sv->message, LINK_REPORT);
	link_put_number(&sv->message, 1);
	link_put_text(&sv->message, why);
	(void)link_send(end, &sv->message, false);
	_exit(EXIT_FAILED);
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

static void child_free(struct child *c)
{
	if (c->link >= 0)
		close(c->link);
	lines_clear(&c->errors);
	lines_clear(&c->warnings);
	lines_clear(&c->modules);
	lines_clear(&c->phases);
	lines_clear(&c->addresses);
	free(c);
}

struct child *child_start(struct supervisor *sv, enum reason reason, char *err, size_t errlen)
{
	int slot = free_slot(sv);
	struct child *c = slot < 0 ? NULL : calloc(1, sizeof *c);

	if (!c) {
		snprintf(err, errlen,
			 slot < 0 ? "%d generations are alive, no more are possible: "
				    "wait for sessions to end, or set server.drain_limit"
				  : "no memory",
			 CLAIMS_SLOTS);
		return NULL;
	}
	c->generation = ++sv->last_generation;
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

/* ---- listening --------------------------------------------------------------------------------- */

static void on_hello(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)sv;
	c->hello = supervisor_now();
	snprintf(c->version, sizeof c->version, "%s", link_get_text(m));
}

static void on_plan(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)sv;
	if (c->planned)
		return;
	c->planned = true;
	c->limits.ready_deadline = link_get_number(m);
	c->limits.probation = link_get_number(m);
	c->limits.drain_limit = link_get_number(m);
	c->limits.stop_limit = link_get_number(m);
	c->limits.watchdog = link_get_number(m);
	c->has_group = link_get_number(m) != 0;
	c->control_group = (gid_t)link_get_number(m);
	c->modules_count = link_get_number(m);
	c->listeners_count = link_get_number(m);
	if (c->deadline)
		c->deadline = c->started + c->limits.ready_deadline;
}

static void on_report(struct supervisor *sv, struct child *c, struct link_message *m)
{
	bool is_error = link_get_number(m) != 0;
	const char *text = link_get_text(m);

	lines_add(is_error ? &c->errors : &c->warnings, text);
	supervisor_log(sv, is_error ? PSTN_ERROR : PSTN_WARNING, "candidate", "%s", text);
	if (!is_error)
		clients_note(sv, c->generation, text);
}

static void on_log(struct supervisor *sv, struct child *c, struct link_message *m)
{
	int level = (int)link_get_number(m);
	char line[1024];

	snprintf(line, sizeof line, "generation %u: %s", c->generation, link_get_text(m));
	supervisor_log_line(sv, level, line);
}

static void on_listen(struct supervisor *sv, struct child *c, struct link_message *m)
{
	char address[256], err[512] = "";
	int backlog, fd = -1;

	snprintf(address, sizeof address, "%s", link_get_text(m));
	backlog = (int)link_get_number(m);
	/* The table of addresses is closed before module code runs: whoever takes a worker over
	 * gains no port by it. */
	if (c->confined)
		snprintf(err, sizeof err, "%s: too late to ask for it", address);
	else
		fd = listeners_get(sv, address, backlog, err, sizeof err);
	link_begin(&sv->message, LINK_SOCKET);
	link_put_text(&sv->message, address);
	link_put_text(&sv->message, err);
	if (fd >= 0) {
		link_put_fd(&sv->message, fd);
		lines_add(&c->addresses, address);
	}
	(void)link_send(c->link, &sv->message, false);
}

static void on_confined(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)sv;
	(void)m;
	c->confined = true;
}

static void on_ready(struct supervisor *sv, struct child *c, struct link_message *m)
{
	char row[200];
	uint64_t n;

	n = link_get_number(m);
	for (uint64_t i = 0; i < n && i < 32; i++) {
		const char *name = link_get_text(m);
		uint64_t us = link_get_number(m);
		snprintf(row, sizeof row, "%.64s %.1f ms", name, (double)us / 1000);
		lines_add(&c->phases, row);
	}
	n = link_get_number(m);
	for (uint64_t i = 0; i < n && i < LINES_MAX; i++) {
		char name[96];
		snprintf(name, sizeof name, "%s", link_get_text(m));
		snprintf(row, sizeof row, "%s %.64s", name, link_get_text(m));
		lines_add(&c->modules, row);
	}
	snprintf(c->sandbox, sizeof c->sandbox, "%s", link_get_text(m));
	reload_ready(sv, c);
}

static void on_serving(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)m;
	c->beat = supervisor_now();
	reload_serving(sv, c);
}

static void on_drained(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)m;
	reload_drained(sv, c);
}

static void on_beat(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)sv;
	if (link_get_number(m) != 0)
		c->beat = supervisor_now();
	c->sessions = link_get_number(m);
}

static void handle(struct supervisor *sv, struct child *c, struct link_message *m)
{
	static void (*const on[])(struct supervisor *, struct child *, struct link_message *) = {
	    [LINK_HELLO] = on_hello, [LINK_PLAN] = on_plan,       [LINK_REPORT] = on_report,
	    [LINK_LOG] = on_log,     [LINK_LISTEN] = on_listen,   [LINK_CONFINED] = on_confined,
	    [LINK_READY] = on_ready, [LINK_SERVING] = on_serving, [LINK_DRAINED] = on_drained,
	    [LINK_BEAT] = on_beat,
	};

	/* What this release does not know a newer worker can do without. */
	if (m->type < sizeof on / sizeof on[0] && on[m->type])
		on[m->type](sv, c, m);
}

static void wrong_language(struct supervisor *sv, struct child *c)
{
	lines_add(&c->errors, "the posternd on disk does not speak with the running supervisor: "
			      "stop posternd and start it again to change to that release");
	child_kill(sv, c, "it speaks another link version");
}

void child_readable(struct supervisor *sv, struct child *c)
{
	struct link_message *m = &sv->received;

	while (c->link >= 0) {
		int n = link_receive(c->link, m, false);
		if (n < 0 && errno == EPROTO) {
			wrong_language(sv, c);
			return;
		}
		if (n < 0)
			return;
		if (n == 0) {
			close(c->link);
			c->link = -1;
			return;
		}
		handle(sv, c, m);
		link_clear(m);
	}
}

/* ---- ending ------------------------------------------------------------------------------------ */

void child_kill(struct supervisor *sv, struct child *c, const char *fate)
{
	if (c->fate[0] == '\0')
		snprintf(c->fate, sizeof c->fate, "%s", fate);
	c->deadline = c->kill_at = 0;
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		return;
	}
	/* --single: the worker is this process. */
	if (sv->options->mode == MODE_SINGLE && c->link >= 0) {
		supervisor_log(sv, PSTN_CRITICAL, "stop", "the worker does not end (%s): giving up",
			       fate);
		_exit(EXIT_FAILED);
	}
}

static void say_how(const struct child *c, int status, char *how, size_t size)
{
	if (c->fate[0])
		snprintf(how, size, "%s", c->fate);
	else if (WIFSIGNALED(status))
		snprintf(how, size, "crashed with SIG%s (%s)", sigabbrev_np(WTERMSIG(status)),
			 strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		snprintf(how, size, "ended with exit status %d", WEXITSTATUS(status));
	else
		snprintf(how, size, "ended");
}

static void bury(struct supervisor *sv, struct child *c, int status)
{
	char how[160];
	struct child **at = &sv->children;

	child_readable(sv, c);
	say_how(c, status, how, sizeof how);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	claims_clear_slot(sv->claims, c->slot);
	reload_exited(sv, c, how);
	child_free(c);
}

void children_reap(struct supervisor *sv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = sv->children;
		while (c && c->pid != pid)
			c = c->next;
		if (c)
			bury(sv, c, status);
	}
}

/* ---- watching ---------------------------------------------------------------------------------- */

static uint64_t watchdog_due(const struct child *c)
{
	if (c->state == CHILD_CANDIDATE || c->limits.watchdog == 0 || c->pid <= 0 || c->kill_at)
		return 0;
	return c->beat + c->limits.watchdog;
}

static void bark(struct supervisor *sv, struct child *c, uint64_t now)
{
	snprintf(c->fate, sizeof c->fate, "was killed: no heartbeat for %.1f s",
		 (double)(now - c->beat) / 1000);
	supervisor_log(sv, PSTN_CRITICAL, "watchdog", "generation %u %s", c->generation, c->fate);
	/* SIGABRT first: where core files are allowed, one shows what it was doing. */
	(void)kill(c->pid, SIGABRT);
	c->kill_at = now + KILL_GRACE;
}

static void check(struct supervisor *sv, struct child *c, uint64_t now)
{
	uint64_t due = watchdog_due(c);
	char fate[96];

	if (c->deadline && now >= c->deadline) {
		snprintf(fate, sizeof fate, "was killed: not ready within %.1f s",
			 (double)(now - c->started) / 1000);
		child_kill(sv, c, fate);
	} else if (c->kill_at && now >= c->kill_at) {
		child_kill(sv, c, "was killed: it did not end when asked to");
	} else if (due && now >= due) {
		bark(sv, c, now);
	}
}

void children_timers(struct supervisor *sv)
{
	uint64_t now = supervisor_now();

	for (struct child *c = sv->children, *next; c; c = next) {
		next = c->next;
		check(sv, c, now);
		if (c->pid == 0 && c->link < 0)
			bury(sv, c, 0);
	}
}

uint64_t children_next(const struct supervisor *sv)
{
	uint64_t due = 0;

	for (const struct child *c = sv->children; c; c = c->next) {
		uint64_t at[] = {c->deadline, c->kill_at, watchdog_due(c)};
		for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
			if (at[i] && (due == 0 || at[i] < due))
				due = at[i];
	}
	return due;
}
