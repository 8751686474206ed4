/*
 * levels.h - which level is wanted of which service: as configured, or as raised at run time.
 */
#ifndef LOGGING_LEVELS_H
#define LOGGING_LEVELS_H

#include "logging.h"

enum { LEVELS_RAISED_MAX = 32, LEVELS_SERVICE_MAX = 64 };

struct levels;

struct levels_raised {
	char service[LEVELS_SERVICE_MAX];
	int level;
	uint64_t until; /* host->now(); UINT64_MAX: as long as this generation lives */
};

struct levels *levels_new(const struct pstn_host *, struct pstn_self *,
			  const struct logging_conf *);
void levels_free(struct levels *);

/* Any thread. */
int levels_of(struct levels *, const char *service);
/* level 0 is a level ("off"), -1 takes back. false: no room for one more service. */
bool levels_raise(struct levels *, const char *service, int level, uint64_t until);
/* Copies what is raised now; how many. */
unsigned levels_raised(struct levels *, struct levels_raised out[LEVELS_RAISED_MAX]);

#endif
