/*
 * conf_doc.h - documentation of the configuration, made from option rows.
 *
 * What the check knows is what the pages say: a sample file with every key at its default, a
 * reference (Markdown), a manual page (roff) and a JSON schema for editors.
 */
#ifndef CORE_CONF_DOC_H
#define CORE_CONF_DOC_H

#include "dirs.h"
#include "manifest.h"

#include <stdio.h>

struct conf_doc {
	const struct pstn_module *const *modules; /* sorted by name */
	unsigned count;
};

void conf_doc_sample(const struct conf_doc *, FILE *);
void conf_doc_reference(const struct conf_doc *, FILE *);
void conf_doc_man(const struct conf_doc *, FILE *);
void conf_doc_schema(const struct conf_doc *, FILE *);

/*
 * what is "sample", "reference", "man" or "schema", over all module files in dirs->modules. 0; or
 * -1: no such page, or out cannot be written; the reason, and files that cannot be read, to stderr.
 */
int conf_doc_print(const char *what, const struct dirs *dirs, FILE *out);

/* ---- shared by the pages ------------------------------------------------------------------ */

/* Calls each for every row, children after their parents: "limits", "limits[].network". */
void conf_doc_each(const struct pstn_module *, const struct pstn_option *rows, const char *prefix,
		   void (*each)(FILE *, const char *path, const struct pstn_option *), FILE *);
/* "a whole number from 1 to 5; default 1; a change takes a restart" */
void conf_doc_value(const struct pstn_option *, char *buf, size_t n);
/* Where a service listens by default; NULL: it is no service, or has none. */
const char *conf_doc_listener(const struct pstn_module *, bool *service);

#endif
