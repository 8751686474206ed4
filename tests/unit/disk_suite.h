/*
 * disk_suite.h - a test program that opens thousands of stores on a disk that is simulated.
 */
#ifndef TESTS_DISK_SUITE_H
#define TESTS_DISK_SUITE_H

#include "suite.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

static int disk_suite_run(const char *name, const struct suite_case *cases, int argc, char **argv)
{
	/* Hundreds of windows are allocated, which need not go back to the system each time. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	return suite_run_in_memory(name, cases, argc > 1 ? argv[1] : NULL);
}

#endif
