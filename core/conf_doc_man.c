/*
 * conf_doc_man.c - the manual page postern.yaml(5), in man macros.
 */
#include "config.h"

#include "conf_doc.h"
#include "conf_rows.h"

#include <ctype.h>

/* roff takes a backslash, and a dot or an apostrophe at a line's begin, for its own. */
static void print_text(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			putc(*text, out);
	}
	putc('\n', out);
}

static void print_row(FILE *out, const char *path, const struct pstn_option *row)
{
	char text[1024];

	conf_doc_value(row, text, sizeof text);
	fputs(".TP\n.B ", out);
	print_text(out, path);
	print_text(out, text);
	if (row->help && *row->help) {
		fputs(".br\n", out);
		print_text(out, row->help);
	}
}

static void print_heading(FILE *out, const char *words, const char *name)
{
	fputs(".SH \"", out);
	for (; *words; words++)
		putc(toupper((unsigned char)*words), out);
	for (; *name; name++)
		putc(toupper((unsigned char)*name), out);
	fputs("\"\n", out);
}

static void print_module(FILE *out, const struct pstn_module *m)
{
	bool service;
	const char *listener = conf_doc_listener(m, &service);

	print_heading(out, "module ", m->name);
	print_text(out, m->summary);
	if (listener) {
		fputs(".PP\nListens on ", out);
		print_text(out, listener);
		fputs("unless its listeners are named.\n", out);
	}
	conf_doc_each(m, m->options, "", print_row, out);
}

void conf_doc_man(const struct conf_doc *doc, FILE *out)
{
	fputs(".TH POSTERN.YAML 5 \"\" \"Postern " PACKAGE_VERSION "\"\n"
	      ".SH NAME\npostern.yaml \\- configuration of the Postern mail server\n"
	      ".SH DESCRIPTION\n"
	      "One YAML file with the mappings\n.B server\nand\n.BR modules ,\nand optionally\n"
	      ".BR include :\n"
	      "a file name or a list of them, patterns allowed, relative to the including file.\n"
	      ".PP\n"
	      "Sizes are written as 512, 64KiB, 10MB; durations as 250ms, 30s, 1h30m.\n"
	      "A path may begin with {config}, {state}, {run}, {log} or {modules}.\n"
	      "A list item that is a mapping may be written as the value of its first key alone.\n"
	      ".PP\n"
	      "posternd \\-\\-check names every fault of a file with its line.\n",
	      out);
	print_heading(out, "server", "");
	conf_doc_each(&conf_server, conf_server.options, "", print_row, out);
	print_heading(out, "keys of every module", "");
	conf_doc_each(&conf_module_keys, conf_module_keys.options, "", print_row, out);
	fputs(".TP\n.B uses\na mapping of interfaces to modules, if more than one module offers "
	      "what this one needs.\n",
	      out);
	for (unsigned i = 0; i < doc->count; i++)
		print_module(out, doc->modules[i]);
	fputs(".SH \"SEE ALSO\"\n.BR posternd (8),\n.BR posternctl (1)\n", out);
}
