/*
 * format.h - one event as one line. Whatever the values hold, the result is one line of valid,
 * visible UTF-8: nobody outside can add a line of their own or hide one.
 */
#ifndef LOGGING_FORMAT_H
#define LOGGING_FORMAT_H

#include <postern/log_sink.h>

enum {
	FORMAT_LINE_MAX = 16384,
	FORMAT_VALUE_MAX = 2048, /* octets of a field's value that are taken */
	FORMAT_NAME_MAX = 256    /* of all names: service, session, event, key */
};

enum format { FORMAT_TEXT, FORMAT_JSON };

/* Writes the line and its '\n' to out (FORMAT_LINE_MAX octets); how many. Fields that do not fit
 * are left out and the line says so. */
typedef size_t format_line(const struct pstn_log_event *, char *out);

format_line format_text;   /* 2026-11-23T17:01:02.123456Z info pop3 session=8.K3F2 login user=a */
format_line format_syslog; /* pop3 session=8.K3F2 login user=a: syslog has time and level itself */
format_line format_json;   /* {"time":"...","level":"info","service":"pop3", ... } */

/* "critical" to "protocol"; NULL ends. Index + 1 is the enum pstn_level. */
extern const char *const format_levels[];

#endif
