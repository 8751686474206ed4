/*
 * plan-check.c - reads configurations as `posternd --check` does, for tests without a server.
 *
 * plan-check [--show] MODULES FILE...: prints the reports of each file; 1 if there was an error.
 */
#include "config.h"

#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(void *arg, bool is_error, const char *text)
{
	(void)arg;
	printf("%s%s\n", is_error ? "" : "warning: ", text);
}

static int check(const char *modules, const char *file, bool show)
{
	struct reports *reports = reports_new();
	struct dirs dirs;

	if (dirs_init(&dirs, NULL, file))
		return 1;
	free(dirs.modules);
	dirs.modules = strdup(modules);
	struct plan *plan = plan_make(&dirs, reports);
	reports_each(reports, print, NULL);
	if (plan && show) {
		char *text = plan_show(plan);
		fputs(text, stdout);
		free(text);
	}
	int result = plan ? 0 : 1;
	plan_free(&plan);
	reports_free(&reports);
	dirs_clear(&dirs);
	return result;
}

int main(int argc, char **argv)
{
	bool show = argc > 1 && !strcmp(argv[1], "--show");
	int first = 1 + show, result = 0;

	if (argc < first + 2) {
		fprintf(stderr, "usage: plan-check [--show] MODULES FILE...\n");
		return 2;
	}
	for (int i = first + 1; i < argc; i++) {
		if (argc > first + 2)
			printf("== %s\n", argv[i]);
		result |= check(argv[first], argv[i], show);
	}
	return result;
}
