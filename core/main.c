/*
 * main.c - posternd: from the command line to what was asked for.
 */
#include "config.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "check.h"
#include "conf_doc.h"
#include "dirs.h"
#include "options.h"
#include "single.h"
#include "supervisor.h"
#include "worker.h"

/* Requests are JSON, and some bring a password: nothing of it stays in memory that was given back. */
static void wipe_and_free(void *block)
{
	if (block)
		explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

/* A file or socket that became descriptor 2 would get what is meant for standard error. */
static int fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int set_dirs(struct dirs *dirs, const struct options *o)
{
	char *modules;

	if (dirs_init(dirs, o->directory, o->config) < 0) {
		fprintf(stderr, "posternd: no memory\n");
		return -1;
	}
	if (!o->modules)
		return 0;
	modules = realpath(o->modules, NULL);
	if (!modules) {
		fprintf(stderr, "posternd: --modules %s: there is no such directory\n", o->modules);
		return -1;
	}
	free(dirs->modules);
	dirs->modules = modules;
	return 0;
}

static int run(const struct options *o)
{
	struct dirs dirs = {0};
	int status = EXIT_FAILED;

	if (set_dirs(&dirs, o) == 0) {
		if (o->mode == MODE_CHECK)
			status = check_run(&dirs);
		else if (o->mode == MODE_SINGLE)
			status = single_run(o, &dirs);
		else if (o->mode == MODE_OFFLINE)
			status = worker_run_offline(&dirs, o->offline_fd);
		else if (o->mode == MODE_PRINT)
			status =
			    conf_doc_print(o->print, &dirs, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
		else
			status = supervisor_run(o, &dirs, NULL);
	}
	dirs_clear(&dirs);
	return status;
}

int main(int argc, char *argv[])
{
	struct options o;
	char err[256];

	if (fill_standard_descriptors() < 0)
		return EXIT_FAILED;
	json_set_alloc_funcs(malloc, wipe_and_free);
	if (options_parse(&o, argc, argv, err, sizeof(err)) < 0) {
		fprintf(stderr, "posternd: %s\n", err);
		return EXIT_USAGE;
	}
	if (o.mode == MODE_WORKER)
		return worker_run();
	if (o.mode == MODE_VERSION)
		puts("posternd " PACKAGE_VERSION);
	else if (o.mode == MODE_HELP)
		fputs(options_help, stdout);
	else
		return run(&o);
	return EXIT_OK;
}
