/*
 * sink.h - one place where lines go. All on the log thread, but making, testing and freeing.
 */
#ifndef LOGGING_SINK_H
#define LOGGING_SINK_H

#include "levels.h"

struct sink {
	struct sink *next;
	struct logging *l;
	const char *name; /* for reports: the path, "stderr" */
	int32_t level;
	const struct pstn_list *services; /* NULL or empty: all */
	void (*begin)(struct sink *);     /* before a batch */
	void (*line)(struct sink *, const struct pstn_log_event *);
	void (*end)(struct sink *);
	void (*reopen)(struct sink *);
	int (*test)(struct sink *, char *err, size_t errlen); /* as a module's self_test */
	void (*free)(struct sink *);

	/* what failed, and when it was last said */
	uint64_t lost;
	uint64_t reported; /* ms; 0: never */
};

/* NULL: no memory. */
struct sink *sink_file_new(struct logging *, const struct logging_file *);
struct sink *sink_stderr_new(struct logging *, const struct logging_stderr *);
struct sink *sink_syslog_new(struct logging *, const struct logging_syslog *);

/* The highest level that the sink takes of a service. */
int sink_level(const struct sink *, const char *service);
format_line *sink_format(int32_t format);

/* lines could not be written because of error; said at most once a minute, to stderr and to the
 * other sinks. */
void sink_failed(struct sink *, uint64_t lines, const char *doing, int error);
/* The event which says how many lines were lost, for when the sink works again. */
struct sink_lost {
	struct pstn_field fields[2];
	struct pstn_log_event event;
};
void sink_lost_event(const struct sink *, struct sink_lost *);

/* To stderr, waiting a tenth of a second at most for a reader; octets written. */
size_t sink_stderr_write(const char *bytes, size_t n);

#endif
