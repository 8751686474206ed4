/*
 * config_rig.h - a scratch directory, files in it, and what plan_make() says of them.
 */
#ifndef TESTS_UNIT_CONFIG_RIG_H
#define TESTS_UNIT_CONFIG_RIG_H

#include "plan.h"

#include <stddef.h>

int rig_begin(void); /* 0; a new scratch directory */
int rig_end(void);   /* 0; removes it */

const char *rig_path(const char *name); /* valid until the eighth next call */
void rig_write(const char *name, const void *bytes, size_t n, unsigned mode);
void rig_text(const char *name, const char *text);
void rig_remove(const char *name);
/* A module made for tests, as built: TEST_MODULES/NAME.so; same lifetime as rig_path(). */
const char *rig_module(const char *name);
/* Copies it into the scratch directory, mode 0755. */
void rig_copy_module(const char *name, const char *as);

/* plan_make() on NAME, modules from the scratch directory or from TEST_MODULES. */
struct plan *rig_plan(const char *name, const char *modules);
/* As rig_plan(), on this text as postern.yaml, freed again: true if it was good. */
bool rig_judge(const char *text);
/* What the last plan_make() or conf_read() reported, a line each, file names without directory. */
const char *rig_reports(void);
unsigned rig_count(void); /* lines of it */
bool rig_said(const char *fragment);
/* A report for that line of postern.yaml that contains the fragment. */
bool rig_said_at(unsigned line, const char *fragment);
void rig_collect(const struct reports *);

#endif
