/*
 * conf_doc_reference.c - the reference page, in Markdown.
 */
#include "config.h"

#include "conf_doc.h"
#include "conf_rows.h"

#include <string.h>

/* What Markdown would take for its own. */
static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("*_<>[]|`\\", *text))
			putc('\\', out);
		putc(*text, out);
	}
}

static void print_row(FILE *out, const char *path, const struct pstn_option *row)
{
	char text[1024];

	conf_doc_value(row, text, sizeof text);
	fprintf(out, "* `%s`: ", path);
	print_escaped(out, text);
	fputs(".", out);
	if (row->help && *row->help) {
		fputs("\n  ", out);
		print_escaped(out, row->help);
	}
	putc('\n', out);
}

static void print_interfaces(FILE *out, const struct pstn_module *m)
{
	struct pstn_offer offer;
	struct pstn_need need;
	bool any = false;

	for (unsigned i = 0; manifest_offer(m, i, &offer); i++, any = true)
		fprintf(out, "%s`%s` %u.%u", any ? ", " : "Offers ", offer.name, offer.major,
			offer.minor);
	fputs(any ? ".\n" : "", out);
	any = false;
	for (unsigned i = 0; manifest_need(m, i, &need); i++, any = true)
		fprintf(out, "%s`%s` %u.%u%s", any ? ", " : "Needs ", need.name, need.major,
			need.minor, need.flags & PSTN_OPTIONAL ? " (optional)" : "");
	fputs(any ? ".\n" : "", out);
}

static void print_metrics(FILE *out, const struct pstn_module *m)
{
	struct pstn_metric metric;

	for (unsigned i = 0; manifest_metric(m, i, &metric); i++) {
		if (!i)
			fputs("\nMetrics:\n\n", out);
		fprintf(out, "* `%s`: ", metric.name);
		print_escaped(out, metric.help ? metric.help : "");
		putc('\n', out);
	}
}

static void print_module(FILE *out, const struct pstn_module *m)
{
	bool service;
	const char *listener = conf_doc_listener(m, &service);

	fprintf(out, "\n## modules.%s\n\n", m->name);
	print_escaped(out, m->summary);
	fputs("\n\n", out);
	print_interfaces(out, m);
	if (listener)
		fprintf(out, "Listens on `%s` unless `listeners` says otherwise.\n", listener);
	putc('\n', out);
	conf_doc_each(m, m->options, "", print_row, out);
	print_metrics(out, m);
}

void conf_doc_reference(const struct conf_doc *doc, FILE *out)
{
	fputs(
	    "# Configuration reference\n\n"
	    "One YAML file with the mappings `server` and `modules`, and optionally `include` (a\n"
	    "file name or a list of them, patterns allowed, relative to the including file).\n"
	    "Sizes are written as `512`, `64KiB`, `10MB`; durations as `250ms`, `30s`, `1h30m`.\n"
	    "A path may begin with `{config}`, `{state}`, `{run}`, `{log}` or `{modules}`.\n"
	    "A list item that is a mapping may be written as the value of its first key alone.\n"
	    "\n## server\n\n",
	    out);
	conf_doc_each(&conf_server, conf_server.options, "", print_row, out);
	fputs("\n## Keys of every module\n\n", out);
	conf_doc_each(&conf_module_keys, conf_module_keys.options, "", print_row, out);
	fputs("* `uses`: a mapping of interfaces to modules, if more than one module offers what "
	      "this one needs.\n",
	      out);
	for (unsigned i = 0; i < doc->count; i++)
		print_module(out, doc->modules[i]);
}
