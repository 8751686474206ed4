/*
 * check.h - posternd --check: what is wrong with the configuration, without starting anything.
 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "dirs.h"

int check_run(const struct dirs *); /* prints; the exit code */

#endif
