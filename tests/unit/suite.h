/*
 * suite.h - a test program that is one table of cases: exit 0 if and only if all pass.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include <stdlib.h>
#include <unistd.h>

struct suite_case {
	const char *name;
	void (*run)(void);
};

/* A program's argument picks the cases whose name contains it. */
static int suite_run(const char *name, const struct suite_case *cases, const char *only)
{
	unsigned failures;
	CU_pSuite suite;

	if (CU_initialize_registry())
		return 1;
	suite = CU_add_suite(name, NULL, NULL);
	for (; suite && cases->name; cases++)
		if ((!only || strstr(cases->name, only)) &&
		    !CU_add_test(suite, cases->name, cases->run))
			return 1;
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}

/* Where scratch directories are in memory: for many stores, of which each opening syncs. */
static inline int suite_run_in_memory(const char *name, const struct suite_case *cases,
				      const char *only)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	return suite_run(name, cases, only);
}

#endif
