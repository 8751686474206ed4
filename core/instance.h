/*
 * instance.h - a module image with one validated configuration, started. `struct pstn_self` is it.
 */
#ifndef CORE_INSTANCE_H
#define CORE_INSTANCE_H

#include "plan.h"

struct instances; /* all of a worker, in starting order */

/*
 * Open the images; start; self-test. Each returns 0, or -1 with everything wrong in reports; what
 * was started is then stopped by instances_stop(). On the control thread.
 * instances_start() makes log sinks known to the log. Instances are not charged for each other:
 * one that cannot start keeps those that need it from starting, the others are tried all the same.
 */
struct instances *instances_open(const struct plan *, struct reports *);
int instances_start(struct instances *, struct reports *);
int instances_self_test(struct instances *, struct reports *);
void instances_drain(struct instances *);
/*
 * Stops in reverse order, each instance when none of its jobs and promises is pending, which it
 * waits for while running the control queue: sessions are closed before, reactors, job threads and
 * log are stopped after. An instance that has work left after limit_ms is not stopped; false then.
 */
bool instances_stop_within(struct instances **, uint64_t limit_ms);
void instances_stop(struct instances **); /* within 10 seconds */

unsigned instances_count(const struct instances *);
struct pstn_self *instances_at(const struct instances *, unsigned i);
const struct plan_module *instance_plan(const struct pstn_self *);
const struct dirs *instance_dirs(const struct pstn_self *);
const struct pstn_module *instance_module(const struct pstn_self *); /* the live one */
void *instance_handle(const struct pstn_self *);                     /* what start() returned */
const char *instance_name(const struct pstn_self *);
int instance_log_level(const struct pstn_self *); /* highest level wanted; cached */
struct told *instance_told(struct pstn_self *);
void instance_refresh_log_levels(struct instances *);
/* The table an instance offers under a name, NULL if it does not. */
const void *instance_offer(const struct pstn_self *, const char *interface, uint16_t major);
/* The table behind a need and the instance to pass to it; NULL if unmet. */
const void *instance_need(const struct pstn_self *, uint32_t i, void **inst);
/* Zeroed and charged to the instance. Any thread. */
void *instance_alloc(struct pstn_self *, size_t n);
void instance_free(struct pstn_self *, void *p);
/* What it costs: bytes held by alloc(), operations pending. Any thread. */
int64_t instance_bytes(const struct pstn_self *);
int64_t instance_pending(const struct pstn_self *);
void instance_pending_add(struct pstn_self *, int by);
/* Metric rows and their values over all generations, for `status` and `metrics`. */
int64_t instance_metric(const struct pstn_self *, unsigned i);
void instance_count(struct pstn_self *, uint32_t metric, int64_t by);

#endif
