/*
 * backoff.c - see backoff.h.
 */
#include "config.h"

#include "backoff.h"

uint64_t backoff_fail(struct backoff *b, uint64_t now)
{
	/* The wait itself is no sign of stability. */
	if (b->failures == 0 || now - b->failed >= BACKOFF_STABLE + b->delay) {
		b->failures = 0;
		b->delay = 0;
	} else if (b->delay == 0) {
		b->delay = BACKOFF_FIRST;
	} else {
		b->delay = b->delay * 2 < BACKOFF_MAX ? b->delay * 2 : BACKOFF_MAX;
	}
	b->failures++;
	b->failed = now;
	return b->delay;
}
