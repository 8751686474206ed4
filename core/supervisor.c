/*
 * supervisor.c - the loop, and what stands before and after it.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemonize.h"
#include "instance_lock.h"
#include "supervisor.h"

uint64_t supervisor_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void supervisor_trouble(struct supervisor *sv, const char *text)
{
	free(sv->trouble);
	sv->trouble = text ? strdup(text) : NULL;
	notify_status(sv);
}

/* As many as allowed: a connection is a descriptor, and workers inherit the limit. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (geteuid() == 0 && limit.rlim_max < 1048576) {
		struct rlimit more = {.rlim_cur = 1048576, .rlim_max = 1048576};
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Where the binary lies, found once: later /proc/self/exe tells of a file that was replaced. */
static char *find_program(char *err, size_t errlen)
{
	char *path = realpath("/proc/self/exe", NULL);

	if (!path)
		snprintf(err, errlen, "cannot find the posternd program's own path: %s",
			 strerror(errno));
	return path;
}

static int write_pid_file(struct supervisor *sv, char *err, size_t errlen)
{
	if (!sv->pid_file && asprintf(&sv->pid_file, "%s/posternd.pid", sv->dirs.run) < 0) {
		sv->pid_file = NULL;
		snprintf(err, errlen, "no memory");
		return -1;
	}
	return pid_file_write(sv->pid_file, err, errlen);
}

/* Before the daemon leaves its directory. */
static int place_pid_file(struct supervisor *sv)
{
	const char *path = sv->options->pid_file;
	char *cwd;

	if (!path)
		return 0;
	if (path[0] == '/') {
		sv->pid_file = strdup(path);
		return sv->pid_file ? 0 : -1;
	}
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&sv->pid_file, "%s/%s", cwd, path) < 0)
		sv->pid_file = NULL;
	free(cwd);
	return sv->pid_file ? 0 : -1;
}

static int set_up(struct supervisor *sv, char *err, size_t errlen)
{
	raise_descriptor_limit();
	sv->program = find_program(err, errlen);
	if (!sv->program || instance_make_dirs(&sv->dirs, err, errlen) < 0)
		return -1;
	sv->lock = instance_lock(&sv->dirs, false, err, errlen);
	if (sv->lock < 0 || supervisor_log_open(sv, err, errlen) < 0)
		return -1;
	sv->claims = claims_create();
	if (sv->claims < 0) {
		snprintf(err, errlen, "cannot make the memory shared by workers: %s",
			 strerror(errno));
		return -1;
	}
	if (signals_open(sv, err, errlen) < 0 || control_open(sv, err, errlen) < 0)
		return -1;
	return write_pid_file(sv, err, errlen);
}

static void tear_down(struct supervisor *sv)
{
	listeners_close(sv);
	/* Without the lock all this is another daemon's. */
	if (sv->pid_file && sv->lock >= 0)
		(void)unlink(sv->pid_file);
	control_close(sv);
	free(sv->pid_file);
	free(sv->program);
	free(sv->trouble);
	int fds[] = {sv->claims, sv->signals, sv->log, sv->lock};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	/* After the lock: whoever is told may start the next one at once. */
	control_farewell(sv);
	supervisor_boot_done(sv, false);
}

enum { POLL_SIGNALS, POLL_CONTROL, POLL_FIXED };
#define POLL_MAX (POLL_FIXED + CLAIMS_SLOTS * 2 + CLIENTS_MAX)

struct watch {
	struct pollfd fds[POLL_MAX];
	struct child *children[POLL_MAX];
	struct client *clients[POLL_MAX];
	nfds_t n;
};

static void watch_all(struct supervisor *sv, struct watch *w)
{
	w->fds[POLL_SIGNALS] = (struct pollfd){.fd = sv->signals, .events = POLLIN};
	w->fds[POLL_CONTROL] = (struct pollfd){.fd = sv->control, .events = POLLIN};
	w->n = POLL_FIXED;
	for (struct child *c = sv->children; c && w->n < POLL_MAX; c = c->next) {
		if (c->link < 0)
			continue;
		w->children[w->n] = c;
		w->clients[w->n] = NULL;
		w->fds[w->n++] = (struct pollfd){.fd = c->link, .events = POLLIN};
	}
	for (struct client *c = sv->clients; c < sv->clients + CLIENTS_MAX; c++) {
		if (c->fd < 0 || w->n == POLL_MAX)
			continue;
		short events = c->state == CLIENT_READING ? POLLIN : 0;
		if (c->out_size > c->out_sent)
			events |= POLLOUT;
		w->children[w->n] = NULL;
		w->clients[w->n] = c;
		w->fds[w->n++] = (struct pollfd){.fd = c->fd, .events = events};
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

static int time_to_wait(const struct supervisor *sv)
{
	uint64_t due = earlier(children_next(sv), reload_next_timer(sv));
	uint64_t now = supervisor_now();

	due = earlier(due, earlier(clients_next(sv), sv->watchdog_next));
	if (due == 0)
		return -1;
	if (due <= now)
		return 0;
	return due - now > 60000 ? 60000 : (int)(due - now);
}

static void dispatch(struct supervisor *sv, const struct watch *w)
{
	/* Links first: what a worker said before it died is read before its death is. A child or
	 * client is freed by the timers below only, so all pointers here are good. */
	for (nfds_t i = POLL_FIXED; i < w->n; i++)
		if (w->children[i] && w->fds[i].revents)
			child_readable(sv, w->children[i]);
	if (w->fds[POLL_SIGNALS].revents)
		signals_read(sv);
	for (nfds_t i = POLL_FIXED; i < w->n; i++)
		if (w->clients[i] && w->fds[i].revents)
			client_event(sv, w->clients[i],
				     w->fds[i].revents & (POLLIN | POLLHUP | POLLERR));
	if (w->fds[POLL_CONTROL].revents)
		control_accept(sv);
}

static void loop(struct supervisor *sv)
{
	static struct watch w; /* large, and there is one loop */

	while (!(sv->stopping && !sv->children)) {
		watch_all(sv, &w);
		int n = poll(w.fds, w.n, time_to_wait(sv));
		if (n > 0)
			dispatch(sv, &w);
		children_timers(sv);
		reload_timers(sv);
		clients_timers(sv);
		notify_watchdog(sv);
	}
}

static void begin(struct supervisor *sv, void (*worker_link)(int fd))
{
	sv->started = supervisor_now();
	supervisor_log(sv, PSTN_INFO, "start", "posternd " PACKAGE_VERSION " starts");
	reload_start(sv);
	if (worker_link)
		worker_link(sv->in_worker);
}

static struct supervisor *make(const struct options *options, const struct dirs *dirs)
{
	struct supervisor *sv = calloc(1, sizeof(*sv));

	if (!sv)
		return NULL;
	sv->options = options;
	sv->dirs = *dirs;
	sv->boot = sv->lock = sv->claims = sv->signals = sv->control = sv->log = -1;
	sv->in_worker = -1;
	for (int i = 0; i < CLIENTS_MAX; i++)
		sv->clients[i].fd = -1;
	return sv;
}

int supervisor_run(const struct options *options, const struct dirs *dirs,
		   void (*worker_link)(int fd))
{
	struct supervisor *sv = make(options, dirs);
	char err[512] = "no memory";
	bool ok = sv && place_pid_file(sv) == 0;

	if (ok && !options->foreground && options->mode != MODE_SINGLE) {
		sv->boot = daemonize();
		ok = sv->boot >= 0;
		snprintf(err, sizeof(err), "cannot become a daemon: %s", strerror(errno));
	}
	if (!sv) {
		fprintf(stderr, "posternd: %s\n", err);
		return EXIT_FAILED;
	}
	umask(027);
	ok = ok && set_up(sv, err, sizeof(err)) == 0;
	if (ok) {
		begin(sv, worker_link);
		loop(sv);
		supervisor_log(sv, PSTN_INFO, "stop", "posternd has stopped");
	} else {
		supervisor_log_line(sv, PSTN_CRITICAL, err);
		if (worker_link)
			worker_link(-1);
	}
	bool failed = !ok || sv->boot_failed;
	tear_down(sv);
	free(sv);
	return failed ? EXIT_FAILED : EXIT_OK;
}
