/*
 * control_config.c - commands about the configuration: check, show, diff, explain.
 *
 * They run unprivileged in the worker: a file that only root may read is checked by posternd
 * --check or posternctl reload --dry-run.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "host.h"

struct text { /* lines as they come, in one string */
	FILE *out;
	char *bytes;
	size_t size;
};

static bool text_open(struct text *t, struct pstn_call *c)
{
	t->out = open_memstream(&t->bytes, &t->size);
	if (!t->out)
		call_ops.fail(c, "no memory");
	return t->out != NULL;
}

static void add_report(void *arg, bool is_error, const char *report)
{
	struct text *t = arg;

	fprintf(t->out, "%s%s%s", ftell(t->out) > 0 ? "\n" : "",
		is_error ? "" : "warning: ", report);
}

static void add_line(void *arg, const char *line)
{
	struct text *t = arg;

	fprintf(t->out, "%s%s", ftell(t->out) > 0 ? "\n" : "", line);
}

static void text_end(struct text *t, struct pstn_call *c, bool failed)
{
	if (fclose(t->out) != 0)
		call_ops.fail(c, "no memory");
	else if (failed)
		call_ops.fail(c, "%s", t->bytes);
	else
		call_ops.text(c, NULL, t->bytes);
	free(t->bytes);
}

static unsigned count_listeners(const struct plan *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->nmodules; i++)
		n += p->modules[i].nlisteners;
	return n;
}

static void check_file(struct pstn_call *c, const struct dirs *dirs)
{
	struct reports *reports = reports_new();
	struct plan *plan = reports ? plan_make(dirs, reports) : NULL;
	struct text t;

	if (text_open(&t, c)) {
		if (reports)
			reports_each(reports, add_report, &t);
		if (plan)
			fprintf(t.out, "%s%s: configuration ok: %u modules, %u listeners",
				ftell(t.out) > 0 ? "\n" : "", dirs->config_file, plan->nmodules,
				count_listeners(plan));
		text_end(&t, c, !plan);
	}
	plan_free(&plan);
	reports_free(&reports);
}

void control_config_check(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	struct dirs dirs = s->plan->dirs;
	char link[48], file[PATH_MAX], directory[PATH_MAX];
	int fd = call_ops.fd(c, "file");

	if (fd >= 0) {
		/* By name, so that reports and relative paths in it are right. */
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, file, sizeof(file) - 1);
		if (n <= 0 || file[0] != '/') {
			call_ops.fail(c, "give the name of a file");
			return;
		}
		file[n] = '\0';
		memcpy(directory, file, (size_t)n + 1);
		char *slash = strrchr(directory, '/');
		slash[slash == directory] = '\0';
		dirs.config_file = file;
		dirs.config = directory;
	}
	check_file(c, &dirs);
}

void control_config_show(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	char *text = plan_show(s->plan);

	if (text)
		call_ops.text(c, NULL, text);
	else
		call_ops.fail(c, "no memory");
	free(text);
}

void control_config_diff(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	struct reports *reports = reports_new();
	struct plan *plan = reports ? plan_make(&s->plan->dirs, reports) : NULL;
	struct text t;

	if (text_open(&t, c)) {
		if (reports && !plan)
			reports_each(reports, add_report, &t);
		else if (plan && plan_diff(s->plan, plan, add_line, &t) == 0)
			fputs("the file says what is running", t.out);
		text_end(&t, c, !plan);
	}
	plan_free(&plan);
	reports_free(&reports);
}

void control_config_explain(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	const char *key = call_ops.arg(c, "key");
	char *nearest = NULL, *text = plan_explain(s->plan, key, &nearest);

	if (text)
		call_ops.text(c, NULL, text);
	else if (nearest)
		call_ops.fail(c, "there is no key \"%s\"; did you mean \"%s\"?", key, nearest);
	else
		call_ops.fail(c, "there is no key \"%s\"; posternctl config show lists all", key);
	free(text);
	free(nearest);
}
