/*
 * conf_print.h - values from their structs back to YAML, by the rows that put them there.
 */
#ifndef CORE_CONF_PRINT_H
#define CORE_CONF_PRINT_H

#include <postern/module.h>

#include <stdio.h>

enum conf_secrets { CONF_HIDE_SECRETS, CONF_REVEAL_SECRETS };

/* One value on one line, lists and mappings in [] and {}. */
void conf_print_value(FILE *, const struct pstn_module *, const struct pstn_option *row,
		      const void *field, enum conf_secrets);
/* "key: value" lines, mappings indented. */
void conf_print_rows(FILE *, const struct pstn_module *, const struct pstn_option *rows,
		     const void *base, unsigned indent);
/* A text in quotes if YAML needs them. */
void conf_print_text(FILE *, const char *text);

#endif
