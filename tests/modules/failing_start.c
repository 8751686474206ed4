/*
 * failing_start.c - refuses its configuration.
 */
#include <postern/module.h>

#include <stdio.h>

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	(void)self;
	(void)host;
	(void)conf;
	snprintf(err, errlen, "the moon is in the wrong phase");
	return NULL;
}

#define MINIMAL_START start
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("failing_start")};
