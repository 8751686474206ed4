/*
 * manifest.h - read a module's descriptor from its file without running a line of it.
 *
 * The file's loadable segments are copied to the heap and its relative relocations applied, so that
 * the constant `pstn_module` and all that it points to can be read like ordinary memory. Function
 * pointers in it must not be called. Everything reachable is checked to lie inside the copy before
 * it is handed out: a file that lies about itself is refused with a sentence.
 */
#ifndef CORE_MANIFEST_H
#define CORE_MANIFEST_H

#include <postern/module.h>

struct manifest; /* keeps the copy alive */

/* NULL, and in err what is wrong with the file and what to do. */
struct manifest *manifest_read(const char *path, char *err, size_t errlen);
const struct pstn_module *manifest_module(const struct manifest *);
/* Whether a pointer into the copy leads to executable code of the file (a function). */
bool manifest_is_code(const struct manifest *, const void *p);
void manifest_free(struct manifest **);

/* Rows are read by stride: a newer core meets older, shorter rows. Fields beyond are zero. */
bool manifest_option(const struct pstn_module *, const struct pstn_option *rows, unsigned i,
		     struct pstn_option *out);
bool manifest_metric(const struct pstn_module *, unsigned i, struct pstn_metric *out);
bool manifest_offer(const struct pstn_module *, unsigned i, struct pstn_offer *out);
bool manifest_need(const struct pstn_module *, unsigned i, struct pstn_need *out);

#endif
