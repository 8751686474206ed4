/*
 * plan_paths.c - walks the filled conf structs along their option rows.
 */
#include "config.h"

#include "plan_paths.h"

struct walk {
	const struct pstn_module *module;
	void (*each)(void *arg, const char *path);
	void *arg;
};

static void walk_rows(const struct walk *w, const struct pstn_option *rows, const char *conf);

static void walk_value(const struct walk *w, const struct pstn_option *row, const char *at);

static void walk_list(const struct walk *w, const struct pstn_option *row, const char *at)
{
	const struct pstn_list *list = (const struct pstn_list *)at;
	struct pstn_option item;

	if (!manifest_option(w->module, row->child, 0, &item))
		return;
	for (uint32_t i = 0; i < list->count; i++)
		walk_value(w, &item, (const char *)list->items + (size_t)i * item.item_size);
}

static void walk_value(const struct walk *w, const struct pstn_option *row, const char *at)
{
	if (row->type == PSTN_PATH) {
		const char *path = *(const char *const *)at;
		if (path && *path)
			w->each(w->arg, path);
	} else if (row->type == PSTN_MAP && row->child) {
		walk_rows(w, row->child, at);
	} else if (row->type == PSTN_LIST && row->child) {
		walk_list(w, row, at);
	}
}

static void walk_rows(const struct walk *w, const struct pstn_option *rows, const char *conf)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(w->module, rows, i, &row) && row.name; i++)
		walk_value(w, &row, conf + row.offset);
}

void plan_paths(const struct plan *plan, void (*each)(void *arg, const char *path), void *arg)
{
	for (unsigned i = 0; i < plan->nmodules; i++) {
		const struct plan_module *m = &plan->modules[i];
		struct walk w = {.module = m->manifest, .each = each, .arg = arg};
		if (m->manifest->options && m->conf)
			walk_rows(&w, m->manifest->options, m->conf);
	}
}
