/*
 * jobs.h - the threads on which blocking work is done: at least min, at most max, growing while
 * work waits and shrinking when it does not. The queue is bounded.
 */
#ifndef CORE_JOBS_H
#define CORE_JOBS_H

#include "reactor.h"

struct jobs_stats {
	unsigned threads, busy, waiting;
	uint64_t done, refused;
};

/* The process has one set of job threads. min >= 1. */
int jobs_start(unsigned min, unsigned max, unsigned queue, char *err, size_t errlen);
/* false: the queue is full. Any thread. Commands and commits pass `urgent`: they are always taken
 * and go before the others. */
bool jobs_submit(struct task *, bool urgent);
void jobs_stats(struct jobs_stats *);
/* A thread beyond min leaves when it was idle for so long; 10 s if never set. */
void jobs_idle_limit(uint64_t ms);
void jobs_stop(void); /* finishes what is queued, joins */

#endif
