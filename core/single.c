/*
 * single.c - the supervisor's loop on a thread of its own, the worker on the main thread, the link
 * between them as always. Nothing is forked, rights are kept, there is no sandbox and no reload.
 */
#include "config.h"

#include "single.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#include "supervisor.h"
#include "worker.h"

static struct {
	const struct options *options;
	const struct dirs *dirs;
	sem_t started;
	int link; /* the worker's end; -1: the supervisor did not come so far */
	int status;
} single;

static void take_link(int fd)
{
	single.link = fd;
	sem_post(&single.started);
}

static void *supervise(void *arg)
{
	(void)arg;
	single.status = supervisor_run(single.options, single.dirs, take_link);
	return NULL;
}

int single_run(const struct options *options, const struct dirs *dirs)
{
	pthread_t thread;
	sigset_t all;
	int status = EXIT_OK;

	single.options = options;
	single.dirs = dirs;
	/* Before there is a thread, so that all have it: signals are read by the supervisor. */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (sem_init(&single.started, 0, 0) < 0 ||
	    pthread_create(&thread, NULL, supervise, NULL) != 0) {
		fprintf(stderr, "posternd: cannot start a thread\n");
		return EXIT_FAILED;
	}
	while (sem_wait(&single.started) < 0)
		continue;
	if (single.link >= 0)
		status = worker_run_single(single.link);
	pthread_join(thread, NULL);
	sem_destroy(&single.started);
	return status > single.status ? status : single.status;
}
