/*
 * conf_read.c - YAML files to nodes, by libyaml's parser events, which know line and column.
 */
#include "config.h"

#include "conf_parse.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INCLUDE_DEPTH_MAX 8
#define FILES_MAX         200

/* A file that is being read, and those that include it. */
struct open_file {
	const struct open_file *includer;
	dev_t device;
	ino_t inode;
};

struct reading {
	struct arena *arena;
	struct reports *reports;
	struct conf_node *root;
	unsigned nfiles;
};

static void read_file(struct reading *, const char *path, struct place from,
		      const struct open_file *includer, unsigned depth);

/* ---- joining files ------------------------------------------------------------------------ */

static void join(struct reading *, struct conf_node *into, struct conf_node *from);

static void join_one(struct reading *rd, struct conf_node *into, struct conf_node *node)
{
	struct conf_node *there = conf_node_find(into, node->key);

	if (!there)
		conf_node_add(into, node);
	else if (there->kind == CONF_MAP && node->kind == CONF_MAP)
		join(rd, there, node);
	else if (!there->broken && !node->broken)
		report_error(rd->reports, node->key_place,
			     "%s is set here and in %s:%u: remove one of them", node->key,
			     there->key_place.file, there->key_place.line);
}

static void join(struct reading *rd, struct conf_node *into, struct conf_node *from)
{
	into->lossy |= from->lossy;
	for (struct conf_node *node = from->first, *next; node; node = next) {
		next = node->next;
		node->next = NULL;
		join_one(rd, into, node);
	}
}

/* ---- include: ----------------------------------------------------------------------------- */

static const char *beside(struct reading *rd, const char *including, const char *path)
{
	const char *slash = strrchr(including, '/');

	if (path[0] == '/' || !slash)
		return arena_strdup(rd->arena, path);
	return arena_printf(rd->arena, "%.*s/%s", (int)(slash - including), including, path);
}

static void include_pattern(struct reading *rd, const struct conf_node *node, const char *pattern,
			    const struct open_file *self, unsigned depth)
{
	glob_t found;
	int result = glob(pattern, 0, NULL, &found);

	if (result == GLOB_NOMATCH) /* an empty conf.d is no error */
		return;
	if (result) {
		report_error(rd->reports, node->place, "include: %s cannot be searched", pattern);
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		read_file(rd, arena_strdup(rd->arena, found.gl_pathv[i]), node->place, self, depth);
	globfree(&found);
}

static void include_one(struct reading *rd, const struct conf_node *node,
			const struct open_file *self, unsigned depth)
{
	if (node->broken)
		return;
	if (node->kind != CONF_TEXT || !*node->text) {
		report_error(rd->reports, node->place,
			     "include: expected a file name or a list of file names");
		return;
	}
	const char *path = beside(rd, node->place.file, node->text);
	if (strpbrk(path, "*?["))
		include_pattern(rd, node, path, self, depth);
	else
		read_file(rd, path, node->place, self, depth);
}

static void take_includes(struct reading *rd, struct conf_node *map, const struct open_file *self,
			  unsigned depth)
{
	struct conf_node *kept = NULL, *include = NULL;

	for (struct conf_node *n = map->first, *next; n; n = next) {
		next = n->next;
		if (!strcmp(n->key, "include")) {
			include = n;
			continue;
		}
		n->next = NULL;
		if (kept)
			kept->next = n;
		else
			map->first = n;
		kept = n;
	}
	if (!include)
		return;
	if (!kept)
		map->first = NULL;
	map->last = kept;
	join(rd, rd->root, map);
	map->first = map->last = NULL;
	if (include->kind != CONF_LIST)
		include_one(rd, include, self, depth);
	else
		for (struct conf_node *n = include->first; n; n = n->next)
			include_one(rd, n, self, depth);
}

/* ---- one file ----------------------------------------------------------------------------- */

static bool may_read(struct reading *rd, const char *path, struct place from,
		     const struct open_file *self, unsigned depth)
{
	for (const struct open_file *f = self->includer; f; f = f->includer)
		if (f->device == self->device && f->inode == self->inode) {
			report_error(rd->reports, from, "include: %s includes itself", path);
			return false;
		}
	if (depth > INCLUDE_DEPTH_MAX || ++rd->nfiles > FILES_MAX) {
		report_error(rd->reports, from, "include: %s: more than %d files, or files %d deep",
			     path, FILES_MAX, INCLUDE_DEPTH_MAX);
		return false;
	}
	return true;
}

static void read_file(struct reading *rd, const char *path, struct place from,
		      const struct open_file *includer, unsigned depth)
{
	struct open_file self = {.includer = includer};
	struct conf_source source;
	struct stat st;

	if (!stat(path, &st)) { /* otherwise loading says why not */
		self.device = st.st_dev;
		self.inode = st.st_ino;
		if (!may_read(rd, path, from, &self, depth))
			return;
	}
	if (!conf_source_load(&source, path, from, rd->arena, rd->reports))
		return;
	struct conf_node *map = conf_parse(&source, rd->reports);
	if (!map)
		return;
	take_includes(rd, map, &self, depth + 1);
	join(rd, rd->root, map);
}

struct conf_node *conf_read(const char *path, struct arena *arena, struct reports *reports)
{
	struct reading rd = {.arena = arena, .reports = reports};
	unsigned errors = reports_errors(reports);

	rd.root = conf_node_new(arena, CONF_MAP, (struct place){.file = path});
	read_file(&rd, arena_strdup(arena, path), (struct place){0}, NULL, 0);
	return rd.root->first || reports_errors(reports) == errors ? rd.root : NULL;
}
