/*
 * logging.h - one instance of the logging module.
 */
#ifndef LOGGING_H
#define LOGGING_H

#include "format.h"

#include <postern/commands.h>

/* 0 is "off" or "default"; others are an enum pstn_level. */
struct logging_service_level {
	const char *service;
	int32_t level;
};

struct logging_file {
	const char *path;
	int32_t level;             /* 0: as `level` and `levels` say */
	struct pstn_list services; /* const char *; empty: all */
	int32_t format;
	uint64_t rotate_size;
	int64_t rotate_keep;
};

struct logging_conf {
	int32_t level;
	struct pstn_list levels; /* struct logging_service_level */
	struct logging_stderr {
		bool enabled;
		int32_t level, format;
	} stderr;
	struct pstn_list files; /* struct logging_file */
	struct logging_syslog {
		bool enabled;
		int32_t facility, level;
		const char *ident, *path;
	} syslog;
};

struct logging {
	const struct pstn_host *host;
	struct pstn_self *self;
	const struct logging_conf *conf;
	struct levels *levels;
	struct sink *sinks;               /* a list */
	struct logging_file default_file; /* where nothing is configured */
	char *default_path;
};

extern const struct pstn_commands logging_commands;

#endif
