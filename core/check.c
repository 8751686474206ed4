/*
 * check.c - see check.h.
 */
#include "config.h"

#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "privileges.h"
#include "worker.h"

static const struct place nowhere;

static void print(void *arg, bool is_error, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s%s\n", is_error ? "" : "warning: ", text);
}

/* A directory that is missing will be made; what is there has to be usable. */
static void check_dir(const char *path, const struct identity *id, struct reports *r)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			report_error(r, nowhere, "%s: %s", path, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		report_error(r, nowhere,
			     "%s: is not a directory; remove it or choose another place", path);
	} else if (!id->drop && access(path, R_OK | W_OK | X_OK) < 0) {
		report_error(r, nowhere, "%s: not usable for uid %u: %s", path, (unsigned)geteuid(),
			     strerror(errno));
	}
}

static void check_rights(const struct plan *plan, struct reports *r)
{
	const struct dirs *d = &plan->dirs;
	struct identity id;
	gid_t group;

	(void)privileges_find(plan->server.user, &id, r);
	(void)privileges_group(plan->server.control.group, &group, r);
	check_dir(d->state, &id, r);
	check_dir(d->run, &id, r);
	check_dir(d->log, &id, r);
}

int check_run(const struct dirs *dirs)
{
	struct reports *r = reports_new();
	struct plan *plan = r ? plan_make(dirs, r) : NULL;
	bool ok = false;

	if (!r) {
		fprintf(stderr, "posternd: no memory\n");
		return EXIT_FAILED;
	}
	if (plan)
		check_rights(plan, r);
	reports_each(r, print, NULL);
	ok = plan && reports_errors(r) == 0;
	if (ok)
		printf("configuration ok: %u modules, %u listeners\n", plan->nmodules,
		       worker_count_listeners(plan));
	plan_free(&plan);
	reports_free(&r);
	return ok ? EXIT_OK : EXIT_FAILED;
}
