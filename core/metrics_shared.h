/*
 * metrics_shared.h - what is counted, over all generations.
 *
 * A worker's counters start at zero, but an administrator counts logins and not generations. So
 * each worker publishes its counts in the memory file of claims.h; when a worker ends, what it
 * counted is kept, and what it measured (a gauge: sessions that are open) goes with it.
 */
#ifndef CORE_METRICS_SHARED_H
#define CORE_METRICS_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

size_t metrics_shared_size(void);
/* The part of the file that begins at offset. A file that is too small or of another layout is not
 * used: then a worker knows its own counts alone. */
void metrics_shared_init(int fd, off_t offset);                  /* supervisor */
void metrics_shared_forget(int fd, off_t offset, unsigned slot); /* supervisor: that worker ended */
void metrics_shared_attach(int fd, off_t offset, unsigned slot); /* worker */
void metrics_shared_detach(void);

/* The counter (of metrics.h) stands for an instance's metric. On the control thread. */
void metrics_share(int counter, const char *instance, const char *metric, bool gauge);
/* What other generations count or counted; added to metrics_read() it is the whole. */
int64_t metrics_elsewhere(int counter);
void metrics_publish(void); /* now and then, and at the end */

#endif
