/*
 * conf_doc.c - documentation of the configuration: gathers the modules, prints the page asked for.
 */
#include "config.h"

#include "conf_doc.h"
#include "conf_value.h"
#include "plan_private.h"

#include <stdlib.h>
#include <string.h>

#include <postern/service.h>

#define PATH_ROOM 256

/* ---- shared by the pages ------------------------------------------------------------------ */

void conf_doc_value(const struct pstn_option *row, char *buf, size_t n)
{
	char expected[512];

	value_expected(row, expected, sizeof expected);
	int used = snprintf(buf, n, "%s", expected);
	size_t at = used > 0 && (size_t)used < n ? (size_t)used : n - 1;

	snprintf(buf + at, n - at, "%s%s%s%s%s", row->flags & PSTN_REQUIRED ? "; required" : "",
		 row->def && *row->def ? "; default " : "", row->def ? row->def : "",
		 row->flags & PSTN_SECRET ? "; secret, may be {file: PATH}" : "",
		 row->flags & PSTN_AT_BOOT ? "; a change takes a restart" : "");
}

void conf_doc_each(const struct pstn_module *m, const struct pstn_option *rows, const char *prefix,
		   void (*each)(FILE *, const char *path, const struct pstn_option *), FILE *out)
{
	struct pstn_option row, item;
	char path[PATH_ROOM];

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", row.name);
		each(out, path, &row);
		if (row.type == PSTN_MAP)
			conf_doc_each(m, row.child, path, each, out);
		if (row.type != PSTN_LIST || !manifest_option(m, row.child, 0, &item))
			continue;
		snprintf(path, sizeof path, "%s%s%s[]", prefix, *prefix ? "." : "", row.name);
		if (item.type == PSTN_MAP)
			conf_doc_each(m, item.child, path, each, out);
		else
			each(out, path, &item);
	}
}

const char *conf_doc_listener(const struct pstn_module *m, bool *service)
{
	struct pstn_offer offer;

	*service = false;
	for (unsigned i = 0; manifest_offer(m, i, &offer); i++)
		if (!strcmp(offer.name, PSTN_SERVICE_STREAM)) {
			*service = true;
			return ((const struct pstn_service *)offer.table)->default_listener;
		}
	return NULL;
}

/* ---- the module directory ----------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct pstn_module *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static struct conf_doc gather(struct planning *p)
{
	unsigned count = 0;

	plan_search_directory(p);
	for (const struct module_file *f = p->data->files; f; f = f->next)
		count++;
	const struct pstn_module **modules = arena_array(p->arena, count, sizeof *modules);
	struct conf_doc doc = {.modules = modules};
	for (const struct module_file *f = p->data->files; f; f = f->next) {
		if (f->manifest)
			modules[doc.count++] = manifest_module(f->manifest);
		else
			fprintf(stderr, "postern: %s left out: %s\n", f->path, f->error);
	}
	qsort(modules, doc.count, sizeof *modules, by_name);
	return doc;
}

static int print_page(const char *what, const struct conf_doc *doc, FILE *out)
{
	static const struct {
		const char *name;
		void (*print)(const struct conf_doc *, FILE *);
	} pages[] = {{"sample", conf_doc_sample},
		     {"reference", conf_doc_reference},
		     {"man", conf_doc_man},
		     {"schema", conf_doc_schema}};

	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (strcmp(what, pages[i].name))
			continue;
		pages[i].print(doc, out);
		if (!fflush(out) && !ferror(out))
			return 0;
		fputs("postern: the page cannot be written\n", stderr);
		return -1;
	}
	fprintf(stderr,
		"postern: there is no page \"%s\": expected sample, reference, man or "
		"schema\n",
		what);
	return -1;
}

int conf_doc_print(const char *what, const struct dirs *dirs, FILE *out)
{
	struct planning p = {.arena = arena_new()};

	p.data = arena_alloc(p.arena, sizeof *p.data);
	p.data->arena = p.arena;
	p.data->plan.dirs = *dirs;
	struct conf_doc doc = gather(&p);
	int result = print_page(what, &doc, out);
	struct plan *plan = &p.data->plan;
	plan_free(&plan);
	return result;
}
