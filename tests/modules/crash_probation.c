/*
 * crash_probation.c - starts well, proves that it works, and dies a little later.
 */
#include <postern/module.h>

#include <signal.h>

struct crash_conf {
	uint64_t after;
};

static const struct pstn_option options[] = {
    PSTN_OPT_DURATION(struct crash_conf, after, .def = "1s", .help = "When to die."), {0}};

static void crash(void *arg, int status)
{
	(void)arg;
	(void)status;
	raise(SIGSEGV);
}

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	const struct crash_conf *c = conf;

	(void)err;
	(void)errlen;
	return host->after(self, NULL, c->after, crash, NULL) ? self : NULL;
}

#define MINIMAL_START start
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {
    MINIMAL_MODULE("crash_probation"),
    .conf_size = sizeof(struct crash_conf),
    .options = options,
};
