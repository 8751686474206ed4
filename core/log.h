/*
 * log.h - events from any thread to the sinks, without waiting.
 *
 * Each thread writes into a ring of its own; the log thread empties the rings and hands batches to
 * the sinks (interface log.sink). Before there is a sink events go to stderr as plain lines, or to
 * the function given to log_start(). A full ring counts what it dropped and says so later.
 * Before log_start() and after log_stop() events are written to stderr by the calling thread.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <postern/module.h>

struct pstn_log_sink;
struct pstn_log_event;

/* early: gets lines until the first sink is added (a candidate sends them to its supervisor);
 * NULL: stderr. On the log thread. */
int log_start(unsigned generation, void (*early)(int level, const char *line));
void log_add_sink(const struct pstn_log_sink *, void *inst); /* control thread; twice is once */
void log_remove_sinks(void); /* back to early; returns when no sink is in use */
/* Ask the sinks which level they want of a service; without a sink PSTN_INFO. */
int log_level_of(const char *service);
/* Ask the sinks again what they want of the core's own events. */
void log_refresh_level(void);
/* service: the instance's name or "core"; session: id or "". Any thread; never blocks. */
void log_event(const char *service, const char *session, int level, const char *event,
	       const struct pstn_field *fields, size_t n);
#define CORE_EVENT(level, event, ...)                                                     \
	log_event("core", "", (level), (event), (const struct pstn_field[]){__VA_ARGS__}, \
		  sizeof((const struct pstn_field[]){__VA_ARGS__}) / sizeof(struct pstn_field))
uint64_t log_dropped(void);
void log_flush(void);  /* returns when what is in the rings now has been written */
void log_reopen(void); /* SIGUSR1 */
void log_stop(void);   /* writes what is there, joins */

/* log_line.c: "service session: event key=value ...", cut to size; returns its length. */
size_t log_line(const struct pstn_log_event *, char *to, size_t size);
const char *log_level_name(int level);

#endif
