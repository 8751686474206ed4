/*
 * plan_show.c - a plan as YAML, defaults included, and the differences between two plans.
 */
#include "config.h"

#include "conf_print.h"
#include "plan_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- show --------------------------------------------------------------------------------- */

static void listeners_row(const struct plan_module *m, struct pstn_option *row,
			  struct pstn_list *list)
{
	manifest_option(&conf_module_keys, conf_module_keys.options, KEY_LISTENERS, row);
	*list = (struct pstn_list){.count = m->nlisteners, .items = m->listeners};
}

static void show_uses(FILE *out, const struct plan *plan, const struct plan_module *m)
{
	struct pstn_need need;
	bool any = false;

	for (unsigned i = 0; manifest_need(m->manifest, i, &need); i++) {
		if (m->needs[i].module < 0)
			continue;
		fprintf(out, "%s%s: %s", any ? ", " : "    uses: {", need.name,
			plan->modules[m->needs[i].module].name);
		any = true;
	}
	if (any)
		fputs("}\n", out);
}

static void show_module(FILE *out, const struct plan *plan, const struct plan_module *m)
{
	struct pstn_list list;
	struct pstn_option row;

	fprintf(out, "  %s:\n    file: ", m->name);
	conf_print_text(out, m->path);
	putc('\n', out);
	show_uses(out, plan, m);
	if (plan_is_service(m->manifest)) {
		listeners_row(m, &row, &list);
		fputs("    listeners: ", out);
		conf_print_value(out, &conf_module_keys, &row, &list, CONF_HIDE_SECRETS);
		putc('\n', out);
	}
	if (m->manifest->options)
		conf_print_rows(out, m->manifest, m->manifest->options, m->conf, 4);
}

char *plan_show(const struct plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = arena_must(open_memstream(&text, &size));

	fputs("server:\n", out);
	conf_print_rows(out, &conf_server, conf_server.options, &plan->server, 2);
	fputs("modules:\n", out);
	for (unsigned i = 0; i < plan->nmodules; i++)
		show_module(out, plan, &plan->modules[i]);
	if (fclose(out))
		arena_must(NULL);
	return text;
}

/* ---- differences -------------------------------------------------------------------------- */

/* A value as text, once as it is, for comparing, and once as it may be shown. */
struct line {
	const char *path, *value, *shown;
	bool met;
};

struct lines {
	struct arena *arena;
	struct line *rows;
	unsigned count, room;
};

static void add_line(struct lines *lines, const char *path, const char *value, const char *shown)
{
	if (lines->count == lines->room) {
		struct line *old = lines->rows;
		lines->room = lines->room ? lines->room * 2 : 64;
		lines->rows = arena_array(lines->arena, lines->room, sizeof *old);
		if (old)
			memcpy(lines->rows, old, lines->count * sizeof *old);
	}
	lines->rows[lines->count++] = (struct line){path, value, shown, false};
}

static const char *value_text(struct lines *lines, const struct pstn_module *m,
			      const struct pstn_option *row, const void *field,
			      enum conf_secrets secrets)
{
	char *text = NULL;
	size_t size;
	FILE *out = arena_must(open_memstream(&text, &size));

	conf_print_value(out, m, row, field, secrets);
	if (fclose(out))
		arena_must(NULL);
	const char *copy = arena_strndup(lines->arena, text, size);
	explicit_bzero(text, size);
	free(text);
	return copy;
}

static void add_value(struct lines *lines, const struct pstn_module *m,
		      const struct pstn_option *row, const void *field, const char *path)
{
	add_line(lines, path, value_text(lines, m, row, field, CONF_REVEAL_SECRETS),
		 value_text(lines, m, row, field, CONF_HIDE_SECRETS));
}

static void add_rows(struct lines *lines, const struct pstn_module *m,
		     const struct pstn_option *rows, const void *base, const char *prefix)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		const char *field = (const char *)base + row.offset;
		const char *path = arena_printf(lines->arena, "%s.%s", prefix, row.name);
		if (row.type == PSTN_MAP)
			add_rows(lines, m, row.child, field, path);
		else
			add_value(lines, m, &row, field, path);
	}
}

static void add_module(struct lines *lines, const struct plan *plan, const struct plan_module *m)
{
	struct pstn_list list;
	struct pstn_option row;
	struct pstn_need need;

	add_line(lines, m->name, "", "");
	add_line(lines, arena_printf(lines->arena, "%s.file", m->name), m->path, m->path);
	for (unsigned i = 0; manifest_need(m->manifest, i, &need); i++) {
		int other = m->needs[i].module;
		const char *name = other < 0 ? "none" : plan->modules[other].name;
		add_line(lines, arena_printf(lines->arena, "%s.uses.%s", m->name, need.name), name,
			 name);
	}
	if (plan_is_service(m->manifest)) {
		listeners_row(m, &row, &list);
		add_value(lines, &conf_module_keys, &row, &list,
			  arena_printf(lines->arena, "%s.listeners", m->name));
	}
	add_rows(lines, m->manifest, m->manifest->options, m->conf, m->name);
}

static struct lines flatten(struct arena *arena, const struct plan *plan)
{
	struct lines lines = {.arena = arena};

	add_rows(&lines, &conf_server, conf_server.options, &plan->server, "server");
	for (unsigned i = 0; i < plan->nmodules; i++)
		add_module(&lines, plan, &plan->modules[i]);
	return lines;
}

static struct line *find_line(struct lines *lines, const char *path)
{
	for (unsigned i = 0; i < lines->count; i++)
		if (!strcmp(lines->rows[i].path, path))
			return &lines->rows[i];
	return NULL;
}

static bool is_module(const struct line *line)
{
	return !strchr(line->path, '.');
}

/* Of a module that is there on one side only, its name says all. */
static bool belongs_to(const struct line *line, const char *module)
{
	size_t n = module ? strlen(module) : 0;

	return n && !strncmp(line->path, module, n) && line->path[n] == '.';
}

static const char *compare(struct arena *arena, const struct line *old, const struct line *new)
{
	const char *path = old ? old->path : new->path;
	const char *of = old && new ? NULL : old ? "removed" : "added";

	if (of && is_module(old ? old : new))
		return arena_printf(arena, "%s: %s", path, of);
	if (!old)
		return arena_printf(arena, "%s: (none) -> %s", path, new->shown);
	if (!new)
		return arena_printf(arena, "%s: %s -> (none)", path, old->shown);
	if (!strcmp(old->value, new->value))
		return NULL;
	return arena_printf(arena, "%s: %s -> %s", path, old->shown, new->shown);
}

unsigned plan_diff(const struct plan *old, const struct plan *new,
		   void (*each)(void *arg, const char *line), void *arg)
{
	struct arena *arena = arena_new();
	struct lines a = flatten(arena, old), b = flatten(arena, new);
	const char *gone = NULL, *come = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < a.count; i++) {
		struct line *other = find_line(&b, a.rows[i].path);
		if (other)
			other->met = true;
		if (belongs_to(&a.rows[i], gone))
			continue;
		const char *text = compare(arena, &a.rows[i], other);
		if (is_module(&a.rows[i]))
			gone = other ? NULL : a.rows[i].path;
		if (text && each)
			each(arg, text);
		count += text != NULL;
	}
	for (unsigned i = 0; i < b.count; i++) {
		if (b.rows[i].met || belongs_to(&b.rows[i], come))
			continue;
		if (is_module(&b.rows[i]))
			come = b.rows[i].path;
		if (each)
			each(arg, compare(arena, NULL, &b.rows[i]));
		count++;
	}
	arena_free(&arena);
	return count;
}
