/*
 * failing_self_test.c - starts, and finds out that it does not work.
 */
#include <postern/module.h>

#include <stdio.h>

static int self_test(void *inst, char *err, size_t errlen)
{
	(void)inst;
	snprintf(err, errlen, "two and two did not make four");
	return -1;
}

#define MINIMAL_SELF_TEST self_test
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("failing_self_test")};
