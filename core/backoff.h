/*
 * backoff.h - how long to wait before a worker that fails again and again is started once more.
 */
#ifndef CORE_BACKOFF_H
#define CORE_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST  100   /* ms before the second start */
#define BACKOFF_MAX    30000 /* ms; the delay doubles up to it */
#define BACKOFF_STABLE 60000 /* ms without failure after which all is forgotten */

struct backoff {         /* zeroed: no failure yet */
	uint64_t failed; /* when, the last time */
	uint64_t delay;  /* given for it */
	unsigned failures;
};

/* A failure at `now` (monotonic ms): how many ms to wait. The first start is at once. */
uint64_t backoff_fail(struct backoff *, uint64_t now);

#endif
