/*
 * config_rig.c - a scratch directory, files in it, and what plan_make() says of them.
 */
#include "config.h"

#include "config_rig.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];
static char said[65536];

int rig_begin(void)
{
	snprintf(scratch, sizeof scratch, "/tmp/postern-config-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

int rig_end(void)
{
	return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static char *next_path(void)
{
	static char paths[8][512];
	static unsigned n;

	return paths[n++ % 8];
}

const char *rig_path(const char *name)
{
	char *path = next_path();

	snprintf(path, 512, "%s/%s", scratch, name);
	return path;
}

const char *rig_module(const char *name)
{
	char *path = next_path();

	snprintf(path, 512, "%s/%s.so", TEST_MODULES, name);
	return path;
}

static void must(bool good, const char *what)
{
	if (!good) {
		perror(what);
		exit(2);
	}
}

void rig_write(const char *name, const void *bytes, size_t n, unsigned mode)
{
	const char *path = rig_path(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0, path);
	must(write(fd, bytes, n) == (ssize_t)n, path);
	must(!fchmod(fd, mode), path);
	must(!close(fd), path);
}

void rig_text(const char *name, const char *text)
{
	rig_write(name, text, strlen(text), 0600);
}

void rig_remove(const char *name)
{
	must(!remove(rig_path(name)), name);
}

void rig_copy_module(const char *name, const char *as)
{
	static char bytes[4 << 20];
	int fd = open(rig_module(name), O_RDONLY);

	must(fd >= 0, rig_module(name));
	ssize_t n = read(fd, bytes, sizeof bytes);
	must(n > 0 && (size_t)n < sizeof bytes, name);
	must(!close(fd), name);
	rig_write(as, bytes, (size_t)n, 0755);
}

static void collect_one(void *arg, bool is_error, const char *text)
{
	size_t used = strlen(said), n = strlen(scratch);
	const char *rest = strncmp(text, scratch, n) ? text : text + n + 1;

	(void)arg;
	snprintf(said + used, sizeof said - used, "%s%s\n", is_error ? "" : "warning: ", rest);
}

void rig_collect(const struct reports *reports)
{
	said[0] = '\0';
	reports_each(reports, collect_one, NULL);
}

struct plan *rig_plan(const char *name, const char *modules)
{
	struct reports *reports = reports_new();
	struct dirs dirs;

	must(!dirs_init(&dirs, scratch, rig_path(name)), name);
	free(dirs.modules);
	dirs.modules = strdup(modules);
	must(dirs.modules, name);
	struct plan *plan = plan_make(&dirs, reports);
	rig_collect(reports);
	reports_free(&reports);
	dirs_clear(&dirs);
	return plan;
}

bool rig_judge(const char *text)
{
	rig_text("postern.yaml", text);
	struct plan *plan = rig_plan("postern.yaml", TEST_MODULES);
	bool good = plan != NULL;
	plan_free(&plan);
	return good;
}

const char *rig_reports(void)
{
	return said;
}

unsigned rig_count(void)
{
	unsigned n = 0;

	for (const char *p = said; *p; p++)
		n += *p == '\n';
	return n;
}

bool rig_said(const char *fragment)
{
	if (strstr(said, fragment))
		return true;
	fprintf(stderr, "not said: %s\nsaid:\n%s", fragment, said);
	return false;
}

bool rig_said_at(unsigned line, const char *fragment)
{
	char prefix[40], row[2048];

	snprintf(prefix, sizeof prefix, "postern.yaml:%u:", line);
	for (const char *p = said; *p; p += strcspn(p, "\n") + 1) {
		snprintf(row, sizeof row, "%.*s", (int)strcspn(p, "\n"), p);
		if (!strncmp(row, prefix, strlen(prefix)) && strstr(row, fragment))
			return true;
	}
	fprintf(stderr, "not said in line %u: %s\nsaid:\n%s", line, fragment, said);
	return false;
}
