/*
 * worker_link.c - the worker's side of the link.
 */
#include "config.h"

#include "plan_boot.h"
#include "told.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The log thread has no struct worker at hand, and no message. */
static struct {
	pthread_mutex_t lock;
	int link;
	struct link_message message;
} early = {.lock = PTHREAD_MUTEX_INITIALIZER, .link = -1};

void worker_early_log(int level, const char *line)
{
	pthread_mutex_lock(&early.lock);
	link_begin(&early.message, LINK_LOG);
	link_put_number(&early.message, (uint64_t)level);
	link_put_text(&early.message, line);
	if (early.link < 0 || link_send(early.link, &early.message, true) < 0)
		fprintf(stderr, "postern: %s\n", line);
	pthread_mutex_unlock(&early.lock);
}

static void send_now(struct worker *w)
{
	/* A supervisor that is gone is noticed by reading. */
	(void)link_send(w->link, &w->message, true);
}

static char *take_text(struct link_message *m)
{
	return strdup(link_get_text(m));
}

static int take_start(struct worker *w)
{
	struct link_message *m = &w->message;

	w->generation = (unsigned)link_get_number(m);
	w->slot = (unsigned)link_get_number(m);
	w->dry_run = link_get_number(m) != 0;
	w->dirs.config_file = take_text(m);
	w->dirs.config = take_text(m);
	w->dirs.state = take_text(m);
	w->dirs.run = take_text(m);
	w->dirs.log = take_text(m);
	w->dirs.modules = take_text(m);
	w->boot = take_text(m);
	w->claims = link_take_fd(m);
	link_clear(m);
	if (m->bad || w->claims < 0 || !w->dirs.config_file || !w->dirs.config || !w->dirs.state ||
	    !w->dirs.run || !w->dirs.log || !w->dirs.modules || !w->boot)
		return -1;
	return 0;
}

int worker_hello(struct worker *w)
{
	int n;

	early.link = w->link;
	link_begin(&w->message, LINK_HELLO);
	link_put_text(&w->message, PACKAGE_VERSION);
	send_now(w);
	while ((n = link_receive(w->link, &w->message, true)) == 1) {
		if (w->message.type == LINK_START)
			return take_start(w);
		link_clear(&w->message);
	}
	return -1;
}

static void send_report(void *arg, bool is_error, const char *text)
{
	struct worker *w = arg;

	link_begin(&w->message, LINK_REPORT);
	link_put_number(&w->message, is_error);
	link_put_text(&w->message, text);
	send_now(w);
}

void worker_send_reports(struct worker *w)
{
	reports_each(w->reports, send_report, w);
	reports_free(&w->reports);
	w->reports = reports_new();
}

void worker_send_plan(struct worker *w)
{
	const struct server_conf *s = &w->plan->server;
	struct link_message *m = &w->message;
	gid_t group = 0;
	int has_group = privileges_group(s->control.group, &group, w->reports);

	link_begin(m, LINK_PLAN);
	link_put_number(m, s->ready_deadline);
	link_put_number(m, s->probation);
	link_put_number(m, s->drain_limit);
	link_put_number(m, s->stop_limit);
	link_put_number(m, s->watchdog);
	link_put_number(m, has_group > 0);
	link_put_number(m, group);
	link_put_number(m, w->plan->nmodules);
	link_put_number(m, worker_count_listeners(w->plan));
	char *boot = plan_boot(w->plan);
	link_put_text(m, boot);
	free(boot);
	send_now(w);
}

void worker_send_ready(struct worker *w)
{
	struct link_message *m = &w->message;

	link_begin(m, LINK_READY);
	link_put_number(m, w->nphases);
	for (unsigned i = 0; i < w->nphases; i++) {
		link_put_text(m, w->phases[i].name);
		link_put_number(m, w->phases[i].us);
	}
	link_put_number(m, w->plan->nmodules);
	for (unsigned i = 0; i < w->plan->nmodules; i++) {
		link_put_text(m, w->plan->modules[i].name);
		link_put_text(m, w->plan->modules[i].manifest->version);
	}
	link_put_text(m, w->sandbox);
	send_now(w);
}

/* Has a message of its own: the worker's is being read. */
void worker_send_took(struct worker *w, uint64_t ticket)
{
	pthread_mutex_lock(&early.lock);
	link_begin(&early.message, LINK_TOOK);
	link_put_number(&early.message, ticket);
	(void)link_send(w->link, &early.message, true);
	pthread_mutex_unlock(&early.lock);
}

void worker_send_beat(struct worker *w, bool alive, uint64_t sessions)
{
	link_begin(&w->message, LINK_BEAT);
	link_put_number(&w->message, alive);
	link_put_number(&w->message, sessions);
	/* Not waiting: a supervisor that is stopped for a while must not stop us. */
	(void)link_send(w->link, &w->message, false);
}

/* What does not get through goes with a later beat. */
static void send_facts_of(struct worker *w, struct pstn_self *self)
{
	struct told *told = instance_told(self);
	struct fact facts[FACTS_MAX];
	unsigned changes, n = told_facts(told, facts, &changes);

	if (changes == told->sent)
		return;
	link_begin(&w->message, LINK_FACTS);
	link_put_text(&w->message, instance_name(self));
	link_put_number(&w->message, n);
	for (unsigned i = 0; i < n; i++) {
		link_put_text(&w->message, facts[i].key);
		link_put_text(&w->message, facts[i].value);
	}
	if (link_send(w->link, &w->message, false) == 0)
		told->sent = changes;
}

void worker_send_facts(struct worker *w)
{
	for (unsigned i = 0; w->link >= 0 && i < instances_count(w->instances); i++)
		send_facts_of(w, instances_at(w->instances, i));
}

void worker_send_progress(const char *instance, const char *what, uint64_t done, uint64_t total)
{
	pthread_mutex_lock(&early.lock);
	link_begin(&early.message, LINK_PROGRESS);
	link_put_text(&early.message, instance);
	link_put_text(&early.message, what);
	link_put_number(&early.message, done);
	link_put_number(&early.message, total);
	if (early.link >= 0)
		(void)link_send(early.link, &early.message, true);
	pthread_mutex_unlock(&early.lock);
}

int worker_ask_socket(struct worker *w, const char *address, int backlog, char *err, size_t errlen)
{
	struct link_message *m = &w->message;
	int n, fd = -1;

	link_begin(m, LINK_LISTEN);
	link_put_text(m, address);
	link_put_number(m, (uint64_t)backlog);
	send_now(w);
	/* Nothing else is said to a candidate but REOPEN, which can wait for the next rotation. */
	while ((n = link_receive(w->link, m, true)) == 1 && m->type != LINK_SOCKET)
		link_clear(m);
	if (n != 1) {
		snprintf(err, errlen, "%s: the supervisor does not answer", address);
		return -1;
	}
	(void)link_get_text(m);
	snprintf(err, errlen, "%s", link_get_text(m));
	fd = link_take_fd(m);
	link_clear(m);
	if (fd < 0 && !*err)
		snprintf(err, errlen, "%s: the supervisor sent no socket", address);
	return fd;
}
