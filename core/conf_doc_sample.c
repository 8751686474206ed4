/*
 * conf_doc_sample.c - a configuration file with every key, its help and its default.
 *
 * What it says is valid as it stands: keys that have no default are commented out.
 */
#include "config.h"

#include "conf_doc.h"
#include "conf_print.h"
#include "conf_rows.h"

#include <string.h>

#define COLUMNS 90

static void print_rows(FILE *, const struct pstn_module *, const struct pstn_option *rows,
		       unsigned indent, bool off);

static void print_comment(FILE *out, unsigned indent, const char *text)
{
	while (*text) {
		size_t room = COLUMNS - indent, n = strlen(text);
		if (n > room)
			for (n = room; n > 1 && text[n] != ' ';)
				n--;
		fprintf(out, "%*s# %.*s\n", (int)indent, "", (int)n, text);
		text += n + strspn(text + n, " ");
	}
}

static void print_list_default(FILE *out, const struct pstn_option *row)
{
	const char *p = row->def ? row->def : "";
	bool first = true;

	putc('[', out);
	while (*p) {
		char item[1024];
		p += strspn(p, ", ");
		size_t n = strcspn(p, ",");
		snprintf(item, sizeof item, "%.*s", (int)n, p);
		if (n) {
			fputs(first ? "" : ", ", out);
			conf_print_text(out, item);
			first = false;
		}
		p += n;
	}
	fputs("]\n", out);
}

static bool has_value(const struct pstn_option *row)
{
	return row->type == PSTN_LIST || (row->def && *row->def);
}

static void print_default(FILE *out, const struct pstn_option *row)
{
	putc(' ', out);
	if (row->type == PSTN_LIST) {
		print_list_default(out, row);
		return;
	}
	if (row->type == PSTN_STRING || row->type == PSTN_PATH || row->type == PSTN_ADDRESS ||
	    row->type == PSTN_ENUM)
		conf_print_text(out, row->def);
	else
		fputs(row->def, out);
	putc('\n', out);
}

static void print_item_rows(FILE *out, const struct pstn_module *m, const struct pstn_option *row,
			    unsigned indent)
{
	struct pstn_option item;

	if (!manifest_option(m, row->child, 0, &item) || item.type != PSTN_MAP)
		return;
	print_comment(out, indent, "Each item has:");
	print_rows(out, m, item.child, indent + 2, true);
}

static void print_row(FILE *out, const struct pstn_module *m, const struct pstn_option *row,
		      unsigned indent, bool off)
{
	char text[1024];

	conf_doc_value(row, text, sizeof text);
	if (row->help && *row->help)
		print_comment(out, indent, row->help);
	if (row->type != PSTN_MAP) {
		char line[1100];
		snprintf(line, sizeof line, "(%s)", text);
		print_comment(out, indent, line);
	}
	if (row->type == PSTN_LIST)
		print_item_rows(out, m, row, indent);
	off |= row->type != PSTN_MAP && !has_value(row);
	fprintf(out, "%*s%s%s:", (int)indent, "", off ? "#" : "", row->name);
	if (row->type == PSTN_MAP) {
		putc('\n', out);
		print_rows(out, m, row->child, indent + 2, off);
	} else if (has_value(row)) {
		print_default(out, row);
	} else {
		putc('\n', out);
	}
}

static void print_rows(FILE *out, const struct pstn_module *m, const struct pstn_option *rows,
		       unsigned indent, bool off)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++)
		print_row(out, m, &row, indent, off);
}

static void print_listeners(FILE *out, const struct pstn_module *m)
{
	bool service;
	const char *listener = conf_doc_listener(m, &service);

	if (!service)
		return;
	print_comment(out, 4,
		      "Where clients connect; an item may be {address: ..., backlog: ...}.");
	fputs("    listeners: [", out);
	if (listener)
		conf_print_text(out, listener);
	fputs("]\n", out);
}

void conf_doc_sample(const struct conf_doc *doc, FILE *out)
{
	fputs("# Configuration of Postern: every key with its default. Keys may be left out.\n"
	      "# `posternd --check` judges the file, `posternctl config explain KEY` explains a "
	      "key.\n"
	      "\n"
	      "# More files, relative to this one; a pattern may match none.\n"
	      "#include: [conf.d/*.yaml]\n"
	      "\n",
	      out);
	fputs("server:\n", out);
	print_rows(out, &conf_server, conf_server.options, 2, false);
	fputs("\n# Each key is a module; every module also takes these:\n"
	      "#   enabled: false         as if it were not in the file\n"
	      "#   file: NAME.so          instead of the key and .so\n"
	      "#   uses: {INTERFACE: KEY}  if more than one module offers what it needs\n"
	      "modules:\n",
	      out);
	for (unsigned i = 0; i < doc->count; i++) {
		const struct pstn_module *m = doc->modules[i];
		print_comment(out, 2, m->summary);
		fprintf(out, "  %s:\n", m->name);
		print_listeners(out, m);
		print_rows(out, m, m->options, 4, false);
		if (i + 1 < doc->count)
			putc('\n', out);
	}
}
