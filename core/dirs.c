/*
 * dirs.c - where an instance keeps what is its own.
 */
#include "config.h"

#include "dirs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Take out "//", "/." and trailing slashes, in place; ".." stays, it may pass a symbolic link. */
static void tidy(char *path)
{
	char *to = path;

	for (const char *from = path; *from;) {
		if (from[0] == '/' && from[1] == '/')
			from++;
		else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || !from[2]))
			from += 2;
		else
			*to++ = *from++;
	}
	if (to > path + 1 && to[-1] == '/')
		to--;
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static char *absolute(const char *path)
{
	char *whole = NULL;

	if (path[0] == '/') {
		whole = strdup(path);
	} else {
		char *cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&whole, "%s/%s", cwd, path) < 0)
			whole = NULL;
		free(cwd);
	}
	if (whole)
		tidy(whole);
	return whole;
}

static char *below(const char *directory, const char *name)
{
	char *path = NULL;

	if (!directory || asprintf(&path, "%s/%s", directory, name) < 0)
		return NULL;
	return path;
}

static char *parent(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		return NULL;
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static void set_installed(struct dirs *d)
{
	d->config_file = strdup(SYSCONFDIR "/postern/postern.yaml");
	d->state = strdup(LOCALSTATEDIR "/lib/postern");
	d->run = strdup(RUNSTATEDIR "/postern");
	d->log = strdup(LOCALSTATEDIR "/log/postern");
}

static void set_below(struct dirs *d, const char *directory)
{
	char *top = absolute(directory);

	d->config_file = below(top, "postern.yaml");
	d->state = below(top, "state");
	d->run = below(top, "run");
	d->log = below(top, "log");
	free(top);
}

int dirs_init(struct dirs *d, const char *directory, const char *config_file)
{
	memset(d, 0, sizeof *d);
	if (directory)
		set_below(d, directory);
	else
		set_installed(d);
	if (config_file) {
		free(d->config_file);
		d->config_file = absolute(config_file);
	}
	d->config = parent(d->config_file);
	d->modules = strdup(PKGLIBDIR);
	if (d->config_file && d->config && d->state && d->run && d->log && d->modules)
		return 0;
	dirs_clear(d);
	return -1;
}

void dirs_clear(struct dirs *d)
{
	free(d->config_file);
	free(d->config);
	free(d->state);
	free(d->run);
	free(d->log);
	free(d->modules);
	memset(d, 0, sizeof *d);
}
