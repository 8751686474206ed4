/*
 * postern/log_sink.h - interface "log.sink" 1.0: where log events go.
 *
 * The core collects events in rings and hands them over in batches on its log thread. As long as no
 * sink is there, and for whatever a sink cannot take, the core writes plain lines to stderr.
 *
 * Change log
 *   1.0  first version
 */
#ifndef POSTERN_LOG_SINK_H
#define POSTERN_LOG_SINK_H

#include <postern/module.h>

#define PSTN_LOG_SINK "log.sink"

struct pstn_log_event {
	uint32_t size;
	int32_t level;       /* enum pstn_level */
	uint64_t time;       /* nanoseconds since 1970 */
	const char *service; /* the instance's name, or "core" */
	const char *session; /* its id, or "" */
	const char *event;   /* "login" */
	uint32_t generation;
	uint32_t nfields;
	const struct pstn_field *fields;
};

struct pstn_log_sink {
	uint32_t size;
	/* The highest enum pstn_level wanted of a service; 0 = nothing. Asked on the control thread
	 * when services start; any thread afterwards. */
	int (*level)(void *inst, const char *service);
	/* On the log thread; may block. A failed sink reports itself; it does not lose others' lines. */
	void (*write)(void *inst, const struct pstn_log_event *events, size_t n);
	/* Open files anew by name: they were rotated away (SIGUSR1). On the log thread. */
	void (*reopen)(void *inst);
};

#endif
