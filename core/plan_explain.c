/*
 * plan_explain.c - what one key is: its value, where it was set, what it may be, what it does.
 */
#include "config.h"

#include "conf_print.h"
#include "conf_value.h"
#include "nearest.h"
#include "plan_private.h"

#include <stdlib.h>
#include <string.h>

/* A key on its way from "pop3.limits.sessions" to its row. */
struct walk {
	const struct pstn_module *rows_of; /* whose strides */
	struct pstn_option row;
	const char *field;            /* NULL: inside a list, of which there are many */
	const struct conf_node *node; /* NULL: not in the file */
};

static bool step(struct walk *w, const struct pstn_option *rows, const char *base,
		 const struct conf_node *map, const char *name, size_t length)
{
	for (unsigned i = 0; manifest_option(w->rows_of, rows, i, &w->row); i++)
		if (strlen(w->row.name) == length && !memcmp(w->row.name, name, length)) {
			w->field = base ? base + w->row.offset : NULL;
			w->node = conf_node_find(map, w->row.name);
			return true;
		}
	return false;
}

static bool walk_rows(struct walk *w, const struct pstn_option *rows, const char *base,
		      const struct conf_node *map, const char *key)
{
	while (rows) {
		size_t length = strcspn(key, ".");
		if (!step(w, rows, base, map, key, length))
			return false;
		if (!key[length])
			return true;
		key += length + 1;
		rows = w->row.child;
		base = w->field;
		map = w->node;
		if (w->row.type == PSTN_LIST) { /* its items' rows stand for all items */
			struct pstn_option item;
			base = NULL;
			map = NULL;
			rows = manifest_option(w->rows_of, rows, 0, &item) ? item.child : NULL;
		}
	}
	return false;
}

/* ---- text --------------------------------------------------------------------------------- */

static void print_origin(FILE *out, const struct conf_node *node)
{
	if (node && node->key_place.file)
		fprintf(out, "  set in %s:%u\n", node->key_place.file, node->key_place.line);
	else
		fputs("  not set: this is the default\n", out);
}

static void print_row(FILE *out, const struct walk *w, const char *key)
{
	char expected[512];

	fputs(key, out);
	if (w->field) {
		fputs(": ", out);
		conf_print_value(out, w->rows_of, &w->row, w->field, CONF_HIDE_SECRETS);
		putc('\n', out);
		print_origin(out, w->node);
	} else {
		fputs(" (of each item)\n", out);
	}
	value_expected(&w->row, expected, sizeof expected);
	fprintf(out, "  %s", expected);
	if (w->row.flags & PSTN_REQUIRED)
		fputs("; required", out);
	else if (w->row.def && *w->row.def)
		fprintf(out, "; default %s", w->row.def);
	if (w->row.flags & PSTN_AT_BOOT)
		fputs("; a change takes a restart", out);
	fprintf(out, "\n  %s\n", w->row.help ? w->row.help : "");
}

static void print_module(FILE *out, const struct plan_module *m)
{
	struct pstn_option row;

	fprintf(out, "%s: %s\n  %s %s, %s\n  set in %s:%u\n", m->name, m->manifest->summary,
		m->manifest->name, m->manifest->version, m->path, m->place.file, m->place.line);
	for (unsigned i = 0; manifest_option(m->manifest, m->manifest->options, i, &row); i++)
		fprintf(out, "  %s.%s\n", m->name, row.name);
}

/* ---- finding ------------------------------------------------------------------------------ */

static bool explain_server(FILE *out, const struct plan_data *data, const char *key)
{
	struct walk w = {.rows_of = &conf_server};

	if (strncmp(key, "server.", 7))
		return false;
	if (!walk_rows(&w, conf_server.options, (const char *)&data->plan.server,
		       conf_node_find(data->root, "server"), key + 7))
		return false;
	print_row(out, &w, key);
	return true;
}

/* The keys of the core: their values are spread over the plan's own structs. */
static bool explain_core_key(FILE *out, const struct plan_module *m, const struct conf_node *map,
			     const char *key, const char *name)
{
	struct module_keys keys = {
	    .enabled = true, .file = m->path, .listeners = {m->nlisteners, m->listeners}};
	struct walk w = {.rows_of = &conf_module_keys};

	if (!walk_rows(&w, conf_module_keys.options, (const char *)&keys, map, name))
		return false;
	print_row(out, &w, key);
	return true;
}

static bool explain_module(FILE *out, const struct plan_data *data, const struct plan_module *m,
			   const char *key)
{
	const struct conf_node *modules = conf_node_find(data->root, "modules");
	const struct conf_node *map = conf_node_find(modules, m->name);
	struct walk w = {.rows_of = m->manifest};
	size_t length = strlen(m->name);

	if (strncmp(key, m->name, length) || (key[length] && key[length] != '.'))
		return false;
	if (!key[length]) {
		print_module(out, m);
		return true;
	}
	if (!walk_rows(&w, m->manifest->options, m->conf, map, key + length + 1))
		return explain_core_key(out, m, map, key, key + length + 1);
	print_row(out, &w, key);
	return true;
}

static bool explain(FILE *out, const struct plan_data *data, const char *key)
{
	for (unsigned i = 0; i < data->plan.nmodules; i++)
		if (explain_module(out, data, &data->plan.modules[i], key))
			return true;
	return explain_server(out, data, key);
}

/* ---- suggestions -------------------------------------------------------------------------- */

struct guess {
	struct nearest whole; /* of "pop3.idle_timeout" */
	struct nearest last;  /* of "idle_timeout" */
	const char *tail;     /* the whole path of the nearest last word */
	struct arena *arena;
};

static void guess_rows(struct guess *g, const struct pstn_module *m, const struct pstn_option *rows,
		       const char *prefix)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		const char *path = arena_printf(g->arena, "%s.%s", prefix, row.name);
		nearest_try(&g->whole, path);
		unsigned before = g->last.distance;
		nearest_try(&g->last, row.name);
		if (g->last.distance < before)
			g->tail = path;
		if (row.type == PSTN_MAP)
			guess_rows(g, m, row.child, path);
	}
}

static char *suggest(const struct plan *plan, const char *key)
{
	struct guess g = {.arena = arena_new()};
	const char *dot = strrchr(key, '.');
	char *answer = NULL;

	nearest_init(&g.last, dot ? dot + 1 : key);
	nearest_init(&g.whole, key);
	guess_rows(&g, &conf_server, conf_server.options, "server");
	for (unsigned i = 0; i < plan->nmodules; i++) {
		const struct plan_module *m = &plan->modules[i];
		nearest_try(&g.whole, m->name);
		guess_rows(&g, m->manifest, m->manifest->options, m->name);
		guess_rows(&g, &conf_module_keys, conf_module_keys.options, m->name);
	}
	const char *name = nearest_name(&g.whole);
	if (!name && nearest_name(&g.last))
		name = g.tail;
	if (name)
		answer = arena_must(strdup(name));
	arena_free(&g.arena);
	return answer;
}

char *plan_explain(const struct plan *plan, const char *key, char **nearest)
{
	const struct plan_data *data = (const struct plan_data *)plan;
	char *text = NULL;
	size_t size;
	FILE *out = arena_must(open_memstream(&text, &size));
	bool found = explain(out, data, key);

	if (fclose(out))
		arena_must(NULL);
	if (nearest)
		*nearest = found ? NULL : suggest(plan, key);
	if (found)
		return text;
	free(text);
	return NULL;
}
