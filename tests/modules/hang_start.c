/*
 * hang_start.c - never comes back from its start.
 */
#include <postern/module.h>

#include <unistd.h>

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	(void)host;
	(void)conf;
	(void)err;
	(void)errlen;
	while (self)
		pause();
	return NULL;
}

#define MINIMAL_START start
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("hang_start")};
