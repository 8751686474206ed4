/*
 * metrics.h - counters that any thread may add to without meeting another.
 *
 * Each thread adds into a shard of its own; reading sums the shards. A shard outlives its thread
 * and is taken over by the next one, so nothing that was counted is lost.
 */
#ifndef CORE_METRICS_H
#define CORE_METRICS_H

#include <stdint.h>

#define METRICS_MAX 2048 /* counters of a worker */

/* n counters in a row, starting at 0; the first one's number, or -1 if there are no more. */
int metrics_reserve(unsigned n);
void metrics_add(int counter, int64_t by); /* any thread; a number below 0 is ignored */
int64_t metrics_read(int counter);

#endif
