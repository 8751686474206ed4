/*
 * plan_modules.c - find the file of each configured module and judge it, without running it.
 */
#include "config.h"

#include "conf_value.h"
#include "image.h"
#include "nearest.h"
#include "plan_private.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX       ".so"
#define MODULES_MAX  256
#define FILES_MAX    512
#define NAME_MAX_LEN 64

/* ---- files -------------------------------------------------------------------------------- */

const struct module_file *plan_judge_file(struct planning *p, const char *path)
{
	char err[512];

	for (struct module_file *f = p->data->files; f; f = f->next)
		if (!strcmp(f->path, path))
			return f;
	struct module_file *file = arena_alloc(p->arena, sizeof *file);
	file->path = arena_strdup(p->arena, path);
	if (!image_check_file(path, err, sizeof err))
		file->manifest = manifest_read(path, err, sizeof err);
	if (!file->manifest)
		file->error = arena_strdup(p->arena, err);
	file->next = p->data->files;
	p->data->files = file;
	return file;
}

static bool is_module_name(const char *name)
{
	size_t n = strlen(name), m = strlen(SUFFIX);

	return n > m && name[0] != '.' && !strcmp(name + n - m, SUFFIX);
}

/* Names (without .so) of the files in the module directory, NULL at the end. */
static const char **list_directory(struct planning *p)
{
	const char **names = arena_array(p->arena, FILES_MAX + 1, sizeof *names);
	DIR *dir = opendir(p->data->plan.dirs.modules);
	unsigned n = 0;

	for (struct dirent *e; dir && n < FILES_MAX && (e = readdir(dir));)
		if (is_module_name(e->d_name))
			names[n++] =
			    arena_strndup(p->arena, e->d_name, strlen(e->d_name) - strlen(SUFFIX));
	if (dir)
		closedir(dir);
	return names;
}

void plan_search_directory(struct planning *p)
{
	if (p->searched)
		return;
	p->searched = true;
	for (const char **name = list_directory(p); *name; name++)
		plan_judge_file(
		    p, arena_printf(p->arena, "%s/%s" SUFFIX, p->data->plan.dirs.modules, *name));
}

/* The module that was probably meant, so that what is configured can be judged all the same. */
static const struct pstn_module *no_such_file(struct planning *p, struct place place,
					      const char *instance, const char *path)
{
	const char **names = list_directory(p);
	const char *all = "";
	struct nearest near;

	nearest_init(&near, instance);
	for (unsigned i = 0; names[i]; i++) {
		nearest_try(&near, names[i]);
		all = arena_printf(p->arena, "%s%s%s", all, *all ? ", " : "", names[i]);
	}
	const char *name = nearest_name(&near);
	if (!name) {
		report_error(p->reports, place, "%s: there is no module file %s; %s has: %s",
			     instance, path, p->data->plan.dirs.modules, *all ? all : "none");
		return NULL;
	}
	report_error(p->reports, place, "%s: there is no module file %s; did you mean \"%s\"?",
		     instance, path, name);
	const struct module_file *file = plan_judge_file(
	    p, arena_printf(p->arena, "%s/%s" SUFFIX, p->data->plan.dirs.modules, name));
	return file->manifest ? manifest_module(file->manifest) : NULL;
}

/* ---- the core's keys ---------------------------------------------------------------------- */

static bool key_row(unsigned i, struct pstn_option *out)
{
	return manifest_option(&conf_module_keys, conf_module_keys.options, i, out);
}

static struct conf_check checker(struct planning *p)
{
	return (struct conf_check){.arena = p->arena,
				   .reports = p->reports,
				   .dirs = &p->data->plan.dirs,
				   .module = &conf_module_keys};
}

static bool is_enabled(struct planning *p, const struct conf_node *node)
{
	struct conf_node *enabled = conf_node_find(node, "enabled");
	struct conf_check c = checker(p);
	struct pstn_option row;
	bool on = true;

	if (enabled && key_row(KEY_ENABLED, &row))
		conf_check_value(&c, &row, enabled, &on,
				 arena_printf(p->arena, "%s.enabled", node->key));
	return on;
}

/* *place: what to blame for the file. */
static const char *file_of(struct planning *p, const struct conf_node *node, struct place *place)
{
	struct conf_node *file = conf_node_find(node, "file");
	struct conf_check c = checker(p);
	const char *directory = p->data->plan.dirs.modules;
	const char *path = "";
	struct pstn_option row;

	*place = node->key_place;
	if (!file)
		return arena_printf(p->arena, "%s/%s" SUFFIX, directory, node->key);
	*place = file->place;
	if (file->kind == CONF_TEXT && *file->text && *file->text != '{' &&
	    !strchr(file->text, '/')) {
		file->known = true;
		return arena_printf(p->arena, "%s/%s", directory, file->text);
	}
	if (key_row(KEY_FILE, &row))
		conf_check_value(&c, &row, file, &path,
				 arena_printf(p->arena, "%s.file", node->key));
	return *path ? path : NULL;
}

/* ---- modules ------------------------------------------------------------------------------ */

static bool is_instance_name(const char *name)
{
	size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return name[0] >= 'a' && name[0] <= 'z' && !name[good] && good <= NAME_MAX_LEN &&
	       strcmp(name, "server") != 0;
}

static bool can_be_module(struct planning *p, const struct conf_node *node)
{
	if (!is_instance_name(node->key)) {
		report_error(
		    p->reports, node->key_place,
		    "%s: not a name for a module: expected a-z, 0-9, - and _, a letter first "
		    "(and not \"server\")",
		    node->key);
		return false;
	}
	if (node->kind != CONF_MAP && !conf_node_is_null(node)) {
		report_error(p->reports, node->place, "%s: %s, expected the module's options as %s",
			     node->key, conf_found(p->arena, node), value_type_name(PSTN_MAP));
		return false;
	}
	return true;
}

static void find_one(struct planning *p, struct conf_node *node)
{
	struct place place;

	if (!can_be_module(p, node)) {
		p->lossy = true;
		return;
	}
	if (!is_enabled(p, node))
		return;
	struct candidate *c = &p->candidates[p->count++];
	c->node = node;
	c->module.name = node->key;
	c->module.place = node->key_place;
	c->module.path = file_of(p, node, &place);
	if (c->module.path && access(c->module.path, F_OK)) {
		c->module.manifest = no_such_file(p, place, node->key, c->module.path);
	} else if (c->module.path) {
		const struct module_file *file = plan_judge_file(p, c->module.path);
		if (file->manifest)
			c->module.manifest = manifest_module(file->manifest);
		else
			report_error(p->reports, place, "%s: module file %s: %s", node->key,
				     file->path, file->error);
	}
	p->lossy |= !c->module.manifest;
}

void plan_find_modules(struct planning *p, const struct conf_node *modules)
{
	unsigned count = conf_node_count(modules);

	if (modules->kind != CONF_MAP) {
		if (!modules->broken && !modules->lossy)
			report_error(p->reports, modules->place,
				     "modules: %s, expected the modules to run as %s",
				     conf_found(p->arena, modules), value_type_name(PSTN_MAP));
		p->lossy = true;
		return;
	}
	if (count > MODULES_MAX) {
		report_error(p->reports, modules->key_place, "more than %d modules", MODULES_MAX);
		return;
	}
	p->candidates = arena_array(p->arena, count, sizeof *p->candidates);
	for (struct conf_node *n = modules->first; n; n = n->next)
		find_one(p, n);
	if (!p->count && !p->lossy)
		report_error(p->reports, modules->key_place,
			     "modules: all are disabled or none is named: nothing would run");
}
