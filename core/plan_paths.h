/*
 * plan_paths.h - every file and directory that a configuration names, for the sandbox.
 */
#ifndef CORE_PLAN_PATHS_H
#define CORE_PLAN_PATHS_H

#include "plan.h"

/* Calls each for the value of every PSTN_PATH option of every module. */
void plan_paths(const struct plan *, void (*each)(void *arg, const char *path), void *arg);

#endif
