/*
 * bench_host.h - the least host under which the store runs: memory, job threads, and one reactor,
 * which is the thread that calls bench_turn(). So that the store is measured without the core.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <postern/module.h>

extern const struct pstn_host bench_host;
extern const char *bench_directory; /* where the store is made */
extern struct pstn_session
    *const bench_session; /* whoever is asked by it must not be made to wait */

/* Waits for what was posted to the reactor and calls it done. */
void bench_turn(void);
/* Until no job is queued or runs, and everything posted was called. */
void bench_settle(void);

#endif
