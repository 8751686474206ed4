/*
 * worker.c - a worker's life: exec'd by the supervisor, in --single's process, or offline.
 */
#include "config.h"

#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "claims.h"
#include "control_call.h"
#include "control_input.h"
#include "instance_lock.h"
#include "jobs.h"
#include "log.h"
#include "op.h"
#include "reactor.h"
#include "told.h"

#define OFFLINE_PROGRESS 2000 /* ms between lines */
#define END_LIMIT        5000 /* ms for closed sessions and modules to be done */

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Nobody uses the modules any more: no session, no command. */
static bool wait_for_users(struct worker *w)
{
	uint64_t until = reactor_now() + END_LIMIT;

	control_cancel();
	if (w->reactors)
		reactors_end_sessions(w->reactors, true);
	while ((w->reactors && reactors_sessions(w->reactors) > 0) || control_running() > 0) {
		if (reactor_now() > until)
			return false;
		control_queue_run();
		pause_ms(5);
	}
	return true;
}

void worker_end(struct worker *w)
{
	if (!wait_for_users(w)) {
		/* Modules cannot be stopped under a command that does not end: the process ends. */
		CORE_EVENT(PSTN_ERROR, "stop",
			   PSTN_S("text", "a session or command does not end; "
					  "the worker ends without it"));
		log_stop();
		_exit(EXIT_FAILED);
	}
	instances_stop(&w->instances);
	if (w->queue >= 0)
		jobs_stop();
	reactors_stop(&w->reactors);
	log_stop();
}

static void clear(struct worker *w)
{
	plan_free(&w->plan);
	reports_free(&w->reports);
	dirs_clear(&w->dirs);
	free(w->boot);
	if (w->link >= 0)
		close(w->link);
	if (w->claims >= 0)
		close(w->claims);
	if (w->signals >= 0)
		close(w->signals);
	free(w);
}

static struct worker *new_worker(int link)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->link = link;
	w->claims = w->queue = w->signals = -1;
	w->reports = reports_new();
	if (w->reports)
		return w;
	free(w);
	return NULL;
}

/* Signals are the supervisor's business; see worker_loop.c. */
static int take_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
	sigset_t set;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* 1: ready; 0: a dry run, and all is well; -1: reports tell. */
static int come_up(struct worker *w)
{
	worker_phase(w, NULL);
	if (worker_plan(w) < 0)
		return -1;
	worker_send_plan(w);
	worker_send_reports(w);
	if (w->dry_run)
		return 0;
	if (worker_listen(w) < 0)
		return -1;
	(void)link_tell(w->link, LINK_CONFINED, true);
	if (worker_confine(w) < 0)
		return -1;
	/* A module that hangs in its start would survive the supervisor as a useless process. */
	if (!w->single)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	told_progress_to(worker_send_progress);
	return worker_start_services(w, worker_early_log) < 0 ? -1 : 1;
}

static int live(struct worker *w)
{
	int status = come_up(w);

	worker_send_reports(w);
	if (status > 0) {
		CORE_EVENT(PSTN_INFO, "ready", PSTN_U("generation", w->generation),
			   PSTN_S("version", PACKAGE_VERSION), PSTN_S("sandbox", w->sandbox));
		(void)prctl(PR_SET_PDEATHSIG, 0);
		worker_send_facts(w);
		worker_send_ready(w);
		worker_loop(w);
	}
	worker_end(w);
	return status < 0 ? EXIT_FAILED : EXIT_OK;
}

int worker_run(void)
{
	struct worker *w = new_worker(LINK_WORKER_FD);
	int status = EXIT_FAILED;

	if (!w)
		return EXIT_FAILED;
	(void)prctl(PR_SET_NAME, "postern-worker");
	w->signals = take_signals();
	if (worker_hello(w) == 0)
		status = live(w);
	clear(w);
	return status;
}

int worker_run_single(int link)
{
	struct worker *w = new_worker(link);
	int status = EXIT_FAILED;

	if (!w)
		return EXIT_FAILED;
	w->single = true;
	(void)signal(SIGPIPE, SIG_IGN);
	if (worker_hello(w) == 0)
		status = live(w);
	clear(w);
	return status;
}

/* ---- offline ----------------------------------------------------------------------------------- */

static void print_early(int level, const char *line)
{
	if (level <= PSTN_WARNING)
		fprintf(stderr, "posternd: %s\n", line);
}

static void add_text(void *arg, bool is_error, const char *text)
{
	FILE *f = arg;

	if (is_error)
		fprintf(f, "%s%s", ftell(f) > 0 ? "\n" : "", text);
}

/* Instead of the command's own answer: err, or what is reported if that is "". */
static void refuse(const struct worker *w, struct pstn_call *c, const char *err)
{
	size_t size;
	FILE *f = open_memstream(&c->failure, &size);

	c->failed_as = PSTN_E_TEMPORARY;
	if (f && *err)
		fputs(err, f);
	else if (f)
		reports_each(w->reports, add_text, f);
	if (f && fclose(f) == 0)
		call_answer(c);
	call_clear(c);
}

static void refuse_offline(const struct worker *w, int fd, const char *err)
{
	struct pstn_call *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->client = dup(fd);
	refuse(w, c, err);
}

static uint64_t next_progress; /* of a start; ms, not before */

/* Somebody waits at a terminal. */
static void print_progress(const char *instance, const char *what, uint64_t done, uint64_t total)
{
	char text[256];

	if (reactor_now() < next_progress)
		return;
	next_progress = reactor_now() + OFFLINE_PROGRESS;
	told_progress_text(text, sizeof(text), instance, what, done, total);
	fprintf(stderr, "posternd: %s\n", text);
}

static int start_services_offline(struct worker *w)
{
	next_progress = 0;
	told_progress_to(print_progress);
	return worker_start_services(w, print_early);
}

static int start_offline(struct worker *w)
{
	if (worker_plan(w) < 0 || worker_confine(w) < 0)
		return -1;
	return start_services_offline(w);
}

/* 0: a whole request; -1: none, and the client has been told. */
static int read_offline(const struct worker *w, struct control_input *in, int fd)
{
	enum control_got got = CONTROL_PART;
	char err[128] = "no memory";

	if (control_input_open(in) < 0)
		got = CONTROL_BAD;
	while (got == CONTROL_PART)
		got = control_input_read(in, fd, 0, err, sizeof(err));
	if (got == CONTROL_BAD)
		refuse_offline(w, fd, err);
	return got == CONTROL_WHOLE ? 0 : -1;
}

static void serve_offline(struct control_input *in, int fd)
{
	control_serve(dup(fd), getuid(), in->text, in->files, in->nfiles);
	in->nfiles = 0; /* control_serve() closes them */
	while (control_running() > 0) {
		control_queue_run();
		pause_ms(2);
	}
}

/* What the command asked for is done in this start. */
static int start_again_offline(struct worker *w)
{
	struct pstn_call *c = w->held;
	int status;

	w->held = NULL;
	worker_end(w);
	claims_detach();
	status = start_services_offline(w);
	if (status < 0) {
		refuse(w, c, "");
		return -1;
	}
	call_answer(c);
	call_clear(c);
	return 0;
}

int worker_run_offline(const struct dirs *dirs, int fd)
{
	struct worker *w = new_worker(-1);
	struct control_input in;
	char err[512] = "";
	int lock = -1, status = -1;

	if (!w)
		return EXIT_FAILED;
	(void)signal(SIGPIPE, SIG_IGN);
	w->offline = true;
	w->dirs = *dirs;
	if (read_offline(w, &in, fd) == 0) {
		if (instance_make_dirs(dirs, err, sizeof(err)) == 0)
			lock = instance_lock(dirs, true, err, sizeof(err));
		if (lock >= 0)
			status = start_offline(w);
		if (status == 0)
			serve_offline(&in, fd);
		else
			refuse_offline(w, fd, err);
		if (w->held)
			status = start_again_offline(w);
	}
	control_input_clear(&in);
	worker_end(w);
	w->dirs = (struct dirs){0}; /* the caller's */
	clear(w);
	if (lock >= 0)
		close(lock);
	close(fd);
	return status < 0 ? EXIT_FAILED : EXIT_OK;
}
