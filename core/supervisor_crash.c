/*
 * supervisor_crash.c - a worker is gone that was to serve: an older one resumes, or a new one is
 * started, at once or with back-off.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor.h"

static bool give_sockets(struct supervisor *sv, const struct child *c)
{
	char err[512];

	for (unsigned i = 0; i < c->addresses.n; i++) {
		int fd = listeners_get(sv, c->addresses.v[i], 128, err, sizeof(err));
		if (fd < 0) {
			supervisor_log(sv, PSTN_ERROR, "listen", "%s", err);
			continue;
		}
		link_begin(&sv->message, LINK_SOCKET);
		link_put_text(&sv->message, c->addresses.v[i]);
		link_put_text(&sv->message, "");
		link_put_fd(&sv->message, fd);
		if (link_send(c->link, &sv->message, false) < 0)
			return false;
	}
	return link_tell(c->link, LINK_RESUME, false) == 0;
}

/* Lets the newest of the older generations accept again. */
static bool resume_older(struct supervisor *sv)
{
	for (struct child *c = sv->children; c; c = c->next) {
		if (c->state != CHILD_DRAINING || c->link < 0 || c->fate[0] || !give_sockets(sv, c))
			continue;
		c->state = CHILD_CURRENT;
		c->retired = false;
		sv->current = c;
		sv->probation_until = supervisor_now() + c->limits.probation;
		control_set_group(sv, c);
		listeners_sweep(sv);
		return true;
	}
	return false;
}

static void roll_back(struct supervisor *sv, const struct child *failed, const char *how)
{
	char *text;

	if (asprintf(&text,
		     "rolled back: generation %u %s within its probation; generation %u "
		     "serves again with the configuration and modules before",
		     failed->generation, how, sv->current->generation) < 0)
		return;
	supervisor_log(sv, PSTN_CRITICAL, "rollback", "%s", text);
	supervisor_trouble(sv, text);
	clients_answer(sv, failed->generation, false, text);
	notify_ready(sv);
	free(text);
}

void crash_no_worker(struct supervisor *sv, const char *why)
{
	uint64_t now = supervisor_now(), delay;
	char *text;

	if (sv->stopping)
		return;
	if (resume_older(sv)) {
		if (asprintf(&text, "generation %u serves again because no new worker starts: %s",
			     sv->current->generation, why) < 0)
			return;
	} else {
		delay = backoff_fail(&sv->backoff, now);
		sv->restart_at = now + delay;
		if (asprintf(&text, "no worker serves, the next start is in %.1f s: %s",
			     (double)delay / 1000, why) < 0)
			return;
	}
	supervisor_log(sv, PSTN_CRITICAL, "restart", "%s", text);
	supervisor_trouble(sv, text);
	free(text);
}

void crash_of_current(struct supervisor *sv, struct child *c, const char *how)
{
	bool on_probation = supervisor_now() < sv->probation_until;
	char *text;

	sv->current = NULL;
	sv->restarts++;
	supervisor_log(sv, PSTN_CRITICAL, "crash", "generation %u %s; its %llu sessions are lost",
		       c->generation, how, (unsigned long long)c->sessions);
	if (on_probation && resume_older(sv)) {
		roll_back(sv, c, how);
		return;
	}
	if (asprintf(&text, "generation %u %s", c->generation, how) < 0)
		text = NULL;
	clients_answer(sv, c->generation, false, text ? text : how);
	/* If a candidate is under way it will serve, unless it only checks; otherwise one is started
	 * from the same file. */
	if (!sv->candidate || sv->candidate->reason == REASON_CHECK) {
		uint64_t now = supervisor_now();
		sv->restart_at = now + backoff_fail(&sv->backoff, now);
		if (sv->restart_at > now)
			supervisor_trouble(sv, text);
	}
	free(text);
}

void crash_of_draining(struct supervisor *sv, const struct child *c, const char *how)
{
	if (strcmp(how, "ended") == 0)
		supervisor_log(sv, PSTN_INFO, "generation",
			       "generation %u is gone: its last session ended", c->generation);
	else
		supervisor_log(sv, PSTN_ERROR, "generation",
			       "generation %u %s while draining; its %llu sessions are lost",
			       c->generation, how, (unsigned long long)c->sessions);
}
