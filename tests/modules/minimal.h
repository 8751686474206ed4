/*
 * minimal.h - the least that a module consists of; the faulty ones add their fault.
 *
 * A file that includes it may define MINIMAL_START, MINIMAL_SELF_TEST (functions of its own),
 * MINIMAL_NEEDS and MINIMAL_OFFERS (arrays) before.
 */
#ifndef TESTS_MODULES_MINIMAL_H
#define TESTS_MODULES_MINIMAL_H

#include <postern/module.h>

#ifndef MINIMAL_START
#define MINIMAL_START minimal_start
static void *minimal_start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
			   char *err, size_t errlen)
{
	(void)host;
	(void)conf;
	(void)err;
	(void)errlen;
	return self;
}
#endif

#ifndef MINIMAL_SELF_TEST
#define MINIMAL_SELF_TEST minimal_self_test
static int minimal_self_test(void *inst, char *err, size_t errlen)
{
	(void)inst;
	(void)err;
	(void)errlen;
	return 0;
}
#endif

static void minimal_stop(void *inst)
{
	(void)inst;
}

#ifndef MINIMAL_NEEDS
#define MINIMAL_NEEDS NULL
#endif
#ifndef MINIMAL_OFFERS
#define MINIMAL_OFFERS NULL
#endif

/* The descriptor's members, for those who change some of them. */
#define MINIMAL_MODULE(module_name)                                                            \
	PSTN_MODULE_HEAD, .name = module_name, .version = "1.0", .summary = "Made for tests.", \
			  .needs = MINIMAL_NEEDS, .offers = MINIMAL_OFFERS,                    \
			  .start = MINIMAL_START, .self_test = MINIMAL_SELF_TEST,              \
			  .stop = minimal_stop

#endif
