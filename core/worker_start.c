/*
 * worker_start.c - how a candidate comes up, in this order: read and check the configuration (no
 * module code) - listening sockets from the supervisor - directories - become the configured user,
 * enter the sandbox - threads - open, start and self-test the modules. So no module code ever runs
 * with root's rights, and all threads live inside the sandbox.
 */
#include "config.h"

#include "worker.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "claims.h"
#include "jobs.h"
#include "log.h"
#include "op.h"
#include "plan_boot.h"
#include "reactor.h"
#include "sandbox.h"
#include "told.h"

static const struct place nowhere;

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void worker_phase(struct worker *w, const char *name)
{
	uint64_t now = clock_us();

	if (name && w->nphases < PHASES_MAX) {
		w->phases[w->nphases].name = name;
		w->phases[w->nphases++].us = now - w->phase_began;
	}
	w->phase_began = now;
}

unsigned worker_count_listeners(const struct plan *plan)
{
	unsigned n = 0;

	for (unsigned i = 0; i < plan->nmodules; i++)
		n += plan->modules[i].nlisteners;
	return n;
}

int worker_plan(struct worker *w)
{
	gid_t group;

	w->plan = plan_make(&w->dirs, w->reports);
	if (!w->plan)
		return -1;
	unsigned errors = reports_errors(w->reports);
	if (w->boot)
		plan_check_boot(w->plan, w->boot, w->reports);
	int user = privileges_find(w->plan->server.user, &w->identity, w->reports);
	int known = privileges_group(w->plan->server.control.group, &group, w->reports);
	worker_phase(w, "configuration");
	return user < 0 || known < 0 || reports_errors(w->reports) > errors ? -1 : 0;
}

static int listen_one(struct worker *w, const struct plan_module *m, struct plan_listener *l)
{
	char err[512];

	l->fd = worker_ask_socket(w, l->address, (int)l->backlog, err, sizeof(err));
	if (l->fd >= 0)
		return 0;
	report_error(w->reports, m->place, "%s: listener %s", m->name, err);
	return -1;
}

int worker_listen(struct worker *w)
{
	int status = 0;

	for (unsigned i = 0; i < w->plan->nmodules; i++) {
		struct plan_module *m = &w->plan->modules[i];
		for (unsigned j = 0; j < m->nlisteners; j++)
			if (listen_one(w, m, &m->listeners[j]) < 0)
				status = -1;
	}
	worker_phase(w, "sockets");
	return status;
}

/* Files that are no connections: modules' files, logs, sockets that listen. */
#define FILES_BESIDE_SESSIONS 256

static uint64_t files_for_sessions(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur > 2 * FILES_BESIDE_SESSIONS ? limit.rlim_cur - FILES_BESIDE_SESSIONS
							  : limit.rlim_cur / 2;
}

/* Said once, at the start: a reload cannot change the limit. */
static void check_descriptors(struct worker *w)
{
	uint64_t wanted = (uint64_t)w->plan->server.max_sessions, files = files_for_sessions();

	if (w->generation == 1 && wanted > files)
		report_warning(w->reports, nowhere,
			       "server.max_sessions is %llu but this process may open files for "
			       "%llu only; raise the limit (LimitNOFILE=, ulimit -n) or lower "
			       "max_sessions",
			       (unsigned long long)wanted, (unsigned long long)files);
}

static uint64_t max_sessions(const struct server_conf *s)
{
	return s->max_sessions > 0 ? (uint64_t)s->max_sessions : files_for_sessions();
}

int worker_confine(struct worker *w)
{
	if (privileges_dirs(&w->plan->dirs, &w->identity, w->reports) < 0)
		return -1;
	if (!w->single && (privileges_drop(&w->identity, w->reports) < 0 ||
			   privileges_reach(&w->plan->dirs, &w->identity, w->reports) < 0))
		return -1;
	snprintf(w->sandbox, sizeof(w->sandbox), "none");
	if (!w->single)
		sandbox_enter(w->plan, w->sandbox, sizeof(w->sandbox), w->reports);
	check_descriptors(w);
	worker_phase(w, "rights");
	return 0;
}

static unsigned reactor_count(const struct server_conf *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n = cores > 0 ? cores : 1;

	if (s->reactors.max > 0)
		n = n < s->reactors.max ? n : s->reactors.max;
	return (unsigned)(n > s->reactors.min ? n : s->reactors.min);
}

static int start_threads(struct worker *w)
{
	const struct server_conf *s = &w->plan->server;
	struct reactors_limits limits = {.count = reactor_count(s),
					 .max_sessions = max_sessions(s),
					 .output_limit = s->output_limit,
					 .generation = w->generation};
	char err[256] = "";

	w->queue = control_queue_init();
	if (w->queue < 0 || claims_attach(w->claims, w->slot) < 0) {
		report_error(w->reports, nowhere, "no memory to start with");
		return -1;
	}
	if (jobs_start((unsigned)s->job_threads.min, (unsigned)s->job_threads.max,
		       (unsigned)s->job_threads.queue, err, sizeof(err)) < 0) {
		report_error(w->reports, nowhere, "server.job_threads: %s", err);
		return -1;
	}
	w->reactors = reactors_start(&limits, err, sizeof(err));
	if (!w->reactors)
		report_error(w->reports, nowhere, "server.reactors: %s", err);
	return w->reactors ? 0 : -1;
}

static int start_modules(struct worker *w)
{
	w->instances = instances_open(w->plan, w->reports);
	worker_phase(w, "open modules");
	if (!w->instances)
		return -1;
	int started = instances_start(w->instances, w->reports);
	told_progress_to(NULL);
	if (started < 0)
		return -1;
	worker_phase(w, "start modules");
	if (instances_self_test(w->instances, w->reports) < 0)
		return -1;
	worker_phase(w, "self-test");
	w->scope = (struct control_scope){.generation = w->generation,
					  .plan = w->plan,
					  .instances = w->instances,
					  .reactors = w->reactors,
					  .held = w->offline ? &w->held : NULL};
	control_start(&w->scope);
	return 0;
}

int worker_start_services(struct worker *w, void (*early)(int level, const char *line))
{
	if (log_start(w->generation, early) < 0) {
		report_error(w->reports, nowhere, "cannot start the log thread");
		return -1;
	}
	if (start_threads(w) < 0)
		return -1;
	worker_phase(w, "threads");
	return start_modules(w);
}
