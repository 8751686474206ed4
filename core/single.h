/*
 * single.h - posternd --single: supervisor and worker in one process, for debuggers.
 */
#ifndef CORE_SINGLE_H
#define CORE_SINGLE_H

#include "dirs.h"
#include "options.h"

int single_run(const struct options *, const struct dirs *); /* the exit code */

#endif
