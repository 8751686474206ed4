/*
 * crash_start.c - dies of a signal when it is started.
 */
#include <postern/module.h>

#include <signal.h>

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	(void)self;
	(void)host;
	(void)conf;
	(void)err;
	(void)errlen;
	raise(SIGSEGV);
	return NULL;
}

#define MINIMAL_START start
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("crash_start")};
