/*
 * plan_boot.c - options that a reload may not change.
 */
#include "config.h"

#include "plan_boot.h"

#include "conf_print.h"
#include "plan_private.h"

#include <stdlib.h>
#include <string.h>

struct visit {
	const struct pstn_module *module;
	struct arena *arena;
	/* Called for each such option; node NULL: it is not in the file. */
	void (*each)(struct visit *, const char *key, const struct pstn_option *, const void *field,
		     const struct conf_node *node, struct place otherwise);
	FILE *out;         /* of plan_boot() */
	const char *lines; /* of plan_check_boot() */
	struct reports *reports;
};

static const char *value_text(struct arena *arena, const struct pstn_module *m,
			      const struct pstn_option *row, const void *field)
{
	char *text = NULL;
	size_t size;
	FILE *out = arena_must(open_memstream(&text, &size));

	conf_print_value(out, m, row, field, CONF_HIDE_SECRETS);
	if (fclose(out))
		arena_must(NULL);
	const char *copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

static void visit_rows(struct visit *v, const struct pstn_option *rows, const char *base,
		       const struct conf_node *map, const char *prefix, struct place otherwise)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(v->module, rows, i, &row); i++) {
		const struct conf_node *node = conf_node_find(map, row.name);
		const char *key = arena_printf(v->arena, "%s.%s", prefix, row.name);
		if (row.flags & PSTN_AT_BOOT)
			v->each(v, key, &row, base + row.offset, node, otherwise);
		else if (row.type == PSTN_MAP)
			visit_rows(v, row.child, base + row.offset, node, key, otherwise);
	}
}

static void visit_plan(struct visit *v, const struct plan *plan)
{
	const struct plan_data *data = (const struct plan_data *)plan;
	const struct conf_node *modules = conf_node_find(data->root, "modules");

	v->arena = arena_new();
	v->module = &conf_server;
	visit_rows(v, conf_server.options, (const char *)&plan->server,
		   conf_node_find(data->root, "server"), "server", (struct place){0});
	for (unsigned i = 0; i < plan->nmodules; i++) {
		const struct plan_module *m = &plan->modules[i];
		v->module = m->manifest;
		visit_rows(v, m->manifest->options, m->conf, conf_node_find(modules, m->name),
			   m->name, m->place);
	}
	arena_free(&v->arena);
}

static void write_line(struct visit *v, const char *key, const struct pstn_option *row,
		       const void *field, const struct conf_node *node, struct place otherwise)
{
	(void)node;
	(void)otherwise;
	fprintf(v->out, "%s\t%s\n", key, value_text(v->arena, v->module, row, field));
}

char *plan_boot(const struct plan *plan)
{
	char *text = NULL;
	size_t size;
	struct visit v = {.each = write_line, .out = arena_must(open_memstream(&text, &size))};

	visit_plan(&v, plan);
	if (fclose(v.out))
		arena_must(NULL);
	return text;
}

/* What the lines say of a key; NULL: nothing. */
static const char *find_line(struct arena *arena, const char *lines, const char *key)
{
	size_t length = strlen(key);

	for (const char *p = lines; *p;) {
		size_t n = strcspn(p, "\n");
		if (n > length && !memcmp(p, key, length) && p[length] == '\t')
			return arena_strndup(arena, p + length + 1, n - length - 1);
		p += n + (p[n] == '\n');
	}
	return NULL;
}

static void compare(struct visit *v, const char *key, const struct pstn_option *row,
		    const void *field, const struct conf_node *node, struct place otherwise)
{
	const char *was = find_line(v->arena, v->lines, key);
	const char *is = value_text(v->arena, v->module, row, field);

	if (was && strcmp(was, is))
		report_error(
		    v->reports, node ? node->place : otherwise,
		    "%s: a reload cannot change it from %s to %s: set it back, or stop the "
		    "server and start it again",
		    key, was, is);
}

void plan_check_boot(const struct plan *plan, const char *lines, struct reports *reports)
{
	struct visit v = {.each = compare, .lines = lines, .reports = reports};

	visit_plan(&v, plan);
}
