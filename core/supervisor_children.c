/*
 * supervisor_children.c - workers as processes: watched, told, killed, reaped.
 * What their words and their deaths mean for clients is decided in supervisor_reload.c.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"

/* More messages than a link holds, in turns of child_readable(). */
#define LAST_WORDS 16

struct child *child_of_generation(const struct supervisor *sv, uint64_t generation)
{
	for (struct child *c = sv->children; c; c = c->next)
		if (c->generation == generation)
			return c;
	return NULL;
}

void child_tell(struct supervisor *sv, struct child *c, enum link_type type)
{
	if (c->link >= 0 && link_tell(c->link, type, false) < 0 && errno != EPIPE)
		supervisor_log(sv, PSTN_ERROR, "link",
			       "generation %u does not listen to its supervisor: %s", c->generation,
			       strerror(errno));
}

/* ---- ending ------------------------------------------------------------------------------------ */

void child_kill(struct supervisor *sv, struct child *c, const char *fate)
{
	if (c->fate[0] == '\0')
		snprintf(c->fate, sizeof(c->fate), "%s", fate);
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
	char how[320];
	struct child **at = &sv->children;

	for (int i = 0; i < LAST_WORDS && child_readable(sv, c); i++)
		;
	say_how(c, status, how, sizeof(how));
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	claims_clear_slot(sv->claims, c->slot);
	reload_exited(sv, c, how);
	clients_take_back(sv, c->generation);
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
		if (!c)
			continue;
		c->pid = 0; /* from here on it may be another process' */
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
	snprintf(c->fate, sizeof(c->fate), "was killed: no heartbeat for %.1f s",
		 (double)(now - c->beat) / 1000);
	supervisor_log(sv, PSTN_CRITICAL, "watchdog", "generation %u %s", c->generation, c->fate);
	/* SIGABRT first: where core files are allowed, one shows what it was doing. */
	(void)kill(c->pid, SIGABRT);
	c->kill_at = now + KILL_GRACE;
}

static void check(struct supervisor *sv, struct child *c, uint64_t now)
{
	uint64_t due = watchdog_due(c);
	char fate[sizeof(c->fate)];

	if (c->deadline && now >= c->deadline) {
		int n = snprintf(fate, sizeof(fate), "was killed: not ready within %.1f s",
				 (double)(now - c->started) / 1000);
		if (c->progress[0])
			snprintf(fate + n, sizeof(fate) - (size_t)n,
				 "; it told no progress beyond \"%.180s\"", c->progress);
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
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
			if (at[i] && (due == 0 || at[i] < due))
				due = at[i];
	}
	return due;
}
