/*
 * supervisor_messages.c - what workers say, one function a message. A worker that serves may have
 * been taken over: what it says can change its own lot alone.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor.h"

#define MESSAGES_A_TURN 64

static void on_hello(struct supervisor *sv, struct child *c, struct link_message *m)
{
	(void)sv;
	c->hello = supervisor_now();
	snprintf(c->version, sizeof(c->version), "%s", link_get_text(m));
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
	c->boot = strdup(link_get_text(m));
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

	snprintf(line, sizeof(line), "generation %u: %s", c->generation, link_get_text(m));
	supervisor_log_line(sv, level, line);
}

static void on_listen(struct supervisor *sv, struct child *c, struct link_message *m)
{
	char address[256], err[512] = "";
	int backlog, fd = -1;

	snprintf(address, sizeof(address), "%s", link_get_text(m));
	backlog = (int)link_get_number(m);
	/* The table of addresses is closed before module code runs: whoever takes a worker over
	 * gains no port by it. */
	if (c->confined)
		snprintf(err, sizeof(err), "%s: too late to ask for it", address);
	else
		fd = listeners_get(sv, address, backlog, err, sizeof(err));
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
		snprintf(row, sizeof(row), "%.64s %.1f ms", name, (double)us / 1000);
		lines_add(&c->phases, row);
	}
	n = link_get_number(m);
	for (uint64_t i = 0; i < n && i < LINES_MAX; i++) {
		char name[96];
		snprintf(name, sizeof(name), "%s", link_get_text(m));
		snprintf(row, sizeof(row), "%s %.64s", name, link_get_text(m));
		lines_add(&c->modules, row);
	}
	snprintf(c->sandbox, sizeof(c->sandbox), "%s", link_get_text(m));
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

static void on_took(struct supervisor *sv, struct child *c, struct link_message *m)
{
	clients_took(sv, c, link_get_number(m));
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
	    [LINK_HELLO] = on_hello,
	    [LINK_PLAN] = on_plan,
	    [LINK_REPORT] = on_report,
	    [LINK_LOG] = on_log,
	    [LINK_LISTEN] = on_listen,
	    [LINK_CONFINED] = on_confined,
	    [LINK_READY] = on_ready,
	    [LINK_SERVING] = on_serving,
	    [LINK_DRAINED] = on_drained,
	    [LINK_TOOK] = on_took,
	    [LINK_BEAT] = on_beat,
	    [LINK_FACTS] = child_facts,
	    [LINK_PROGRESS] = child_progress,
	};

	/* What this release does not know a newer worker can do without. */
	if (m->type < sizeof(on) / sizeof(on[0]) && on[m->type])
		on[m->type](sv, c, m);
}

static void wrong_language(struct supervisor *sv, struct child *c)
{
	lines_add(&c->errors, "the posternd on disk does not speak with the running supervisor: "
			      "stop posternd and start it again to change to that release");
	child_kill(sv, c, "it speaks another link version");
}

bool child_readable(struct supervisor *sv, struct child *c)
{
	struct link_message *m = &sv->received;

	/* A worker that never stops talking is not the only one there is to listen to. */
	for (int i = 0; i < MESSAGES_A_TURN; i++) {
		if (c->link < 0)
			return false;
		int n = link_receive(c->link, m, false);
		if (n < 0 && errno == EPROTO) {
			wrong_language(sv, c);
			return false;
		}
		if (n < 0)
			return false;
		if (n == 0) {
			close(c->link);
			c->link = -1;
			return false;
		}
		handle(sv, c, m);
		link_clear(m);
	}
	return true;
}
