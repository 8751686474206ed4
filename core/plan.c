/*
 * plan.c - a configuration that has been read and found good, before anything is started.
 */
#include "config.h"

#include "nearest.h"
#include "plan_private.h"

#include <stdlib.h>
#include <string.h>

static void check_top(struct planning *p, struct conf_node *root)
{
	static const char *const names[] = {"include", "modules", "server", NULL};

	for (struct conf_node *n = root->first; n; n = n->next) {
		struct nearest near;
		if (!strcmp(n->key, "modules") || !strcmp(n->key, "server"))
			continue;
		nearest_init(&near, n->key);
		for (unsigned i = 0; names[i]; i++)
			nearest_try(&near, names[i]);
		const char *name = nearest_name(&near);
		report_error(p->reports, n->key_place, "%s: unknown key%s%s%s", n->key,
			     name ? "; did you mean \"" : ": expected include, modules or server",
			     name ? name : "", name ? "\"?" : "");
	}
}

static void copy_dirs(struct arena *arena, struct dirs *to, const struct dirs *from)
{
	to->config_file = arena_strdup(arena, from->config_file);
	to->config = arena_strdup(arena, from->config);
	to->state = arena_strdup(arena, from->state);
	to->run = arena_strdup(arena, from->run);
	to->log = arena_strdup(arena, from->log);
	to->modules = arena_strdup(arena, from->modules);
}

/* Needed before the rest of `server` can be judged: where the module files are. */
static void find_module_directory(struct planning *p, const struct conf_node *server)
{
	struct dirs *dirs = &p->data->plan.dirs;
	const struct conf_node *node = conf_node_find(server, "module_directory");
	const char *word;

	if (!node || node->kind != CONF_TEXT || !*node->text)
		return;
	const char *path = conf_path(p->arena, dirs, node->text, node->place.file, &word);
	if (path)
		dirs->modules = arena_strdup(p->arena, path);
}

static void make(struct planning *p, struct conf_node *root)
{
	struct conf_node *server = conf_node_find(root, "server");
	struct conf_node *modules = conf_node_find(root, "modules");

	check_top(p, root);
	find_module_directory(p, server);
	p->lossy = root->lossy || (modules && modules->lossy);
	if (modules)
		plan_find_modules(p, modules);
	else if (!root->lossy)
		report_error(p->reports, root->place,
			     "modules: is missing: expected the modules to run");
	plan_check_server(p, server);
	for (unsigned i = 0; i < p->count; i++)
		plan_check_module(p, &p->candidates[i]);
	plan_check_overlaps(p);
	plan_bind(p);
}

struct plan *plan_make(const struct dirs *dirs, struct reports *reports)
{
	struct arena *arena = arena_new();
	struct plan_data *data = arena_alloc(arena, sizeof *data);
	struct planning p = {.data = data, .arena = arena, .reports = reports};
	struct plan *plan = &data->plan;
	unsigned errors = reports_errors(reports);

	data->arena = arena;
	copy_dirs(arena, &plan->dirs, dirs);
	data->root = conf_read(plan->dirs.config_file, arena, reports);
	if (data->root)
		make(&p, data->root);
	if (reports_errors(reports) > errors || !data->root)
		plan_free(&plan);
	return plan;
}

void plan_free(struct plan **plan)
{
	struct plan_data *data = (struct plan_data *)*plan;

	if (!data)
		return;
	for (struct module_file *f = data->files; f; f = f->next)
		manifest_free(&f->manifest);
	struct arena *arena = data->arena;
	arena_free(&arena);
	*plan = NULL;
}
