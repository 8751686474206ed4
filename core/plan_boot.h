/*
 * plan_boot.h - options that a reload may not change (PSTN_AT_BOOT).
 *
 * Generations that live at the same time share what such an option names: a store's directory, say.
 * The supervisor keeps the values of a generation and hands them to the next candidate.
 */
#ifndef CORE_PLAN_BOOT_H
#define CORE_PLAN_BOOT_H

#include "plan.h"

/* The values as lines of key, tab, value; malloc'd. */
char *plan_boot(const struct plan *);
/* Reports every option of the plan that differs from such lines. */
void plan_check_boot(const struct plan *, const char *lines, struct reports *);

#endif
