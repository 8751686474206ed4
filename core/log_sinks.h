/*
 * log_sinks.h - what log.c needs of the sinks; others use log.h.
 */
#ifndef CORE_LOG_SINKS_H
#define CORE_LOG_SINKS_H

#include <postern/log_sink.h>

void log_sinks_early(void (*early)(int level, const char *line));
/* On the log thread: to all sinks; without any, a line each. */
void log_sinks_write(const struct pstn_log_event *, size_t n);
void log_sinks_reopen(void);
/* Any thread: one line, as if there were no sinks. */
void log_sinks_line(const struct pstn_log_event *);
/* The highest level wanted of the core. Any thread. */
int log_sinks_core_level(void);

#endif
