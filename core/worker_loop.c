/*
 * worker_loop.c - the control thread: hears the supervisor, beats, drains, and knows when to end.
 *
 * When the supervisor dies the link reads end-of-file. The worker is then an orphan: it lets go of
 * the listening sockets at once, so that a new posternd can start, keeps its sessions until they
 * end, and ends with the last of them. Only an orphan obeys SIGTERM; while there is a supervisor
 * the signal is meant for that one (a terminal or a service manager sends it to the whole group).
 */
#include "config.h"

#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <postern/service.h>

#include "log.h"
#include "metrics_shared.h"
#include "op.h"
#include "reactor.h"

#define BEAT_EVERY 1000 /* ms, or a quarter of the watchdog's time if that is less */
#define END_POLL   50   /* ms between looks whether the last session has ended */

/* ---- listening --------------------------------------------------------------------------------- */

static void close_sockets(struct worker *w)
{
	for (unsigned i = 0; i < w->plan->nmodules; i++) {
		struct plan_module *m = &w->plan->modules[i];
		for (unsigned j = 0; j < m->nlisteners; j++) {
			if (m->listeners[j].fd >= 0)
				close(m->listeners[j].fd);
			m->listeners[j].fd = -1;
		}
	}
}

static void stop(struct worker *w, bool quick);

static void stop_listening(struct worker *w)
{
	reactors_unlisten(w->reactors);
	close_sockets(w);
}

static bool listen_on(struct worker *w, struct pstn_self *self, const struct plan_listener *l)
{
	const struct pstn_service *svc = instance_offer(self, PSTN_SERVICE_STREAM, 1);

	if (l->fd >= 0 && svc && reactors_listen(w->reactors, self, svc, l, l->fd) == 0)
		return true;
	report_error(w->reports, instance_plan(self)->place, "%s: cannot accept on %s: %s",
		     instance_name(self), l->address, strerror(errno));
	return false;
}

static bool listen_all(struct worker *w)
{
	bool all = true;

	for (unsigned i = 0; i < instances_count(w->instances); i++) {
		struct pstn_self *self = instances_at(w->instances, i);
		const struct plan_module *m = instance_plan(self);
		for (unsigned j = 0; j < m->nlisteners; j++)
			all = listen_on(w, self, &m->listeners[j]) && all;
	}
	return all;
}

/* A candidate accepts everywhere or is refused; one that is needed again does what it can. */
static void serve(struct worker *w, bool resumed)
{
	bool all = listen_all(w);

	if (!all)
		worker_send_reports(w);
	if (!all && !resumed) {
		stop(w, true);
		return;
	}
	w->state = WORKER_SERVING;
	w->retired = false;
	w->ends_at = 0;
	(void)link_tell(w->link, LINK_SERVING, true);
}

static void take_socket(struct worker *w)
{
	char address[256];
	int fd;

	strncpy(address, link_get_text(&w->message), sizeof(address) - 1);
	address[sizeof(address) - 1] = '\0';
	fd = link_take_fd(&w->message);
	for (unsigned i = 0; i < w->plan->nmodules; i++) {
		struct plan_module *m = &w->plan->modules[i];
		for (unsigned j = 0; j < m->nlisteners && fd >= 0; j++) {
			if (m->listeners[j].fd < 0 &&
			    strcmp(m->listeners[j].address, address) == 0) {
				m->listeners[j].fd = fd;
				fd = -1;
			}
		}
	}
	if (fd >= 0)
		close(fd);
}

/* ---- draining and stopping --------------------------------------------------------------------- */

static void drain(struct worker *w)
{
	stop_listening(w);
	w->state = WORKER_DRAINING;
	if (w->plan->server.drain_limit > 0)
		w->ends_at = reactor_now() + w->plan->server.drain_limit;
	if (!w->orphan)
		(void)link_tell(w->link, LINK_DRAINED, true);
}

/* Modules hear of it only now: until here a RESUME could have come, which they know nothing of. */
static void retire(struct worker *w)
{
	if (w->retired)
		return;
	w->retired = true;
	instances_drain(w->instances);
}

static void stop(struct worker *w, bool quick)
{
	w->quick = w->quick || quick;
	if (w->state != WORKER_STOPPING) {
		stop_listening(w);
		instances_drain(w->instances);
		w->ends_at = reactor_now() + w->plan->server.stop_limit;
	}
	w->state = WORKER_STOPPING;
	if (w->quick) {
		w->ends_at = 0;
		control_cancel();
	}
	reactors_end_sessions(w->reactors, w->quick);
}

static void lose_supervisor(struct worker *w)
{
	close(w->link);
	w->link = -1;
	w->orphan = true;
	if (w->single) {
		stop(w, true);
		return;
	}
	/* One that was being stopped goes on with that. */
	if (w->state != WORKER_STOPPING) {
		drain(w);
		retire(w);
	}
	CORE_EVENT(PSTN_CRITICAL, "supervisor-gone", PSTN_U("generation", w->generation),
		   PSTN_U("sessions", reactors_sessions(w->reactors)),
		   PSTN_S("text", "the supervisor has died; the listening sockets are free, "
				  "sessions go on until they end"));
}

/* ---- messages ---------------------------------------------------------------------------------- */

/* Event names are literals all over the log: what comes over the link is mapped to one. */
static const char *event_name(const char *name)
{
	static const char *const known[] = {
	    "start",      "reload", "candidate", "rollback", "restart", "crash",  "watchdog",
	    "generation", "stop",   "command",   "listen",   "link",    "reopen", "control"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i]) == 0)
			return known[i];
	return "supervisor";
}

static void log_event_of(struct worker *w)
{
	int level = (int)link_get_number(&w->message);
	const char *event = event_name(link_get_text(&w->message));

	CORE_EVENT(level, event, PSTN_S("text", link_get_text(&w->message)));
}

static void serve_control(struct worker *w)
{
	struct link_message *m = &w->message;
	uint32_t uid = (uint32_t)link_get_number(m);
	int client = link_take_fd(m), files[CONTROL_FILES_MAX];
	unsigned nfiles = 0;
	char *request = strdup(link_get_text(m));
	uint64_t ticket = link_get_number(m);

	while (nfiles < CONTROL_FILES_MAX && (files[nfiles] = link_take_fd(m)) >= 0)
		nfiles++;
	if (client >= 0 && request) {
		/* Until then the supervisor would ask another worker if this one died. */
		worker_send_took(w, ticket);
		control_serve(client, uid, request, files, nfiles);
	} else {
		for (unsigned i = 0; i < nfiles; i++)
			close(files[i]);
		if (client >= 0)
			close(client);
	}
	if (request)
		explicit_bzero(request, strlen(request)); /* it may have been a password */
	link_wipe(m);
	free(request);
}

static void handle(struct worker *w)
{
	switch (w->message.type) {
	case LINK_GO:
		serve(w, false);
		break;
	case LINK_RESUME:
		serve(w, true);
		break;
	case LINK_SOCKET:
		take_socket(w);
		break;
	case LINK_DRAIN:
		drain(w);
		break;
	case LINK_RETIRE:
		retire(w);
		break;
	case LINK_STOP:
		stop(w, link_get_number(&w->message) != 0);
		break;
	case LINK_REOPEN:
		log_reopen();
		break;
	case LINK_EVENT:
		log_event_of(w);
		break;
	case LINK_CONTROL:
		serve_control(w);
		break;
	default:
		break;
	}
}

static void read_link(struct worker *w)
{
	int n;

	while ((n = link_receive(w->link, &w->message, false)) == 1) {
		handle(w);
		link_clear(&w->message);
	}
	if (n == 0)
		lose_supervisor(w);
}

/* ---- time -------------------------------------------------------------------------------------- */

static uint64_t beat_interval(const struct worker *w)
{
	uint64_t quarter = w->plan->server.watchdog / 4;

	return quarter > 0 && quarter < BEAT_EVERY ? quarter : BEAT_EVERY;
}

static void beat(struct worker *w, uint64_t now)
{
	if (w->link < 0 || now < w->beat_at)
		return;
	worker_send_beat(w, reactors_pulse(w->reactors), reactors_sessions(w->reactors));
	worker_send_facts(w);
	w->beat_at = now + beat_interval(w);
	/* A sink may want more or less than before: somebody raised a level, or its time is over. */
	instance_refresh_log_levels(w->instances);
	metrics_publish();
}

static bool may_end(const struct worker *w)
{
	return w->state == WORKER_STOPPING || (w->state == WORKER_DRAINING && w->retired);
}

static bool is_done(const struct worker *w)
{
	return may_end(w) && reactors_sessions(w->reactors) == 0 && control_running() == 0;
}

static void end_late_sessions(struct worker *w, uint64_t now)
{
	if (w->ends_at == 0 || now < w->ends_at)
		return;
	CORE_EVENT(PSTN_INFO, "sessions-ended", PSTN_U("sessions", reactors_sessions(w->reactors)),
		   PSTN_S("why", w->state == WORKER_STOPPING ? "stop_limit" : "drain_limit"));
	/* A drained generation's clients get their answer first; what then remains is closed. */
	bool again = w->state == WORKER_STOPPING || w->quick;
	w->quick = true;
	reactors_end_sessions(w->reactors, again);
	w->ends_at = again ? 0 : now + 2000;
	if (again)
		control_cancel();
}

static int time_to_wait(const struct worker *w)
{
	uint64_t now = reactor_now(), wait = control_queue_next_timer();
	uint64_t due[] = {w->link >= 0 ? w->beat_at : 0, w->ends_at,
			  may_end(w) ? now + END_POLL : 0};

	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		uint64_t ms = due[i] > now ? due[i] - now : 0;
		if (due[i] && ms < wait)
			wait = ms;
	}
	return wait > 60000 ? 60000 : (int)wait;
}

static void read_signal(struct worker *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (w->orphan)
			stop(w, w->state == WORKER_STOPPING);
}

void worker_loop(struct worker *w)
{
	while (!is_done(w)) {
		struct pollfd fds[] = {{.fd = w->link, .events = POLLIN},
				       {.fd = w->queue, .events = POLLIN},
				       {.fd = w->signals, .events = POLLIN}};
		if (poll(fds, 3, time_to_wait(w)) < 0 && errno != EINTR)
			abort();
		if (fds[0].revents && w->link >= 0)
			read_link(w);
		if (fds[2].revents)
			read_signal(w);
		control_queue_run();
		uint64_t now = reactor_now();
		beat(w, now);
		end_late_sessions(w, now);
	}
	if (w->link >= 0)
		worker_send_beat(w, true, 0);
}
