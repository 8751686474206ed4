/*
 * logging.c - the logging module: its options, its offers, handing events to the sinks.
 */
#include "logging.h"

#include "sink.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- what an administrator can set ---- */

static const char *const levels[] = {"off",  "critical", "error", "warning",
				     "info", "protocol", NULL};
static const char *const sink_levels[] = {"default", "critical", "error", "warning",
					  "info",    "protocol", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const facilities[] = {"mail",   "user",   "daemon", "authpriv", "local0",
					 "local1", "local2", "local3", "local4",   "local5",
					 "local6", "local7", NULL};

#define SINK_LEVEL                                                                               \
	"A limit of its own: nothing above it, whatever `level`, `levels` and `log level` say, " \
	"and "                                                                                   \
	"everything up to it. \"default\": as they say."

static const struct pstn_option service_level_options[] = {
    PSTN_OPT_STRING(struct logging_service_level, service, .flags = PSTN_REQUIRED,
		    .help = "A module's name in the configuration, or \"core\"."),
    PSTN_OPT_ENUM(struct logging_service_level, level, .flags = PSTN_REQUIRED, .choices = levels,
		  .help = "The level of this service's events."),
    {0},
};

static const struct pstn_option service_level_item[] = {
    {.name = "",
     .type = PSTN_MAP,
     .item_size = sizeof(struct logging_service_level),
     .child = service_level_options,
     .help = "The level of one service."},
    {0},
};

static const struct pstn_option stderr_options[] = {
    PSTN_OPT_BOOL(struct logging_stderr, enabled, .def = "no",
		  .help = "Write to standard error: for containers and systemd."),
    PSTN_OPT_ENUM(struct logging_stderr, level, .def = "default", .choices = sink_levels,
		  .help = SINK_LEVEL),
    PSTN_OPT_ENUM(struct logging_stderr, format, .def = "text", .choices = formats,
		  .help = "Lines for people, or JSON lines."),
    {0},
};

static const struct pstn_option service_item[] = {
    {.name = "",
     .type = PSTN_STRING,
     .item_size = sizeof(const char *),
     .help = "A module's name in the configuration, or \"core\"."},
    {0},
};

static const struct pstn_option file_options[] = {
    PSTN_OPT_PATH(struct logging_file, path, .def = "{log}/postern.log",
		  .help = "The file; made with mode 0640 if it is not there. It may be moved away "
			  "at any time: within a second a new one is begun."),
    PSTN_OPT_ENUM(struct logging_file, level, .def = "default", .choices = sink_levels,
		  .help = SINK_LEVEL),
    PSTN_OPT_LIST(struct logging_file, services, service_item,
		  .help = "Only events of these services; empty: of all."),
    PSTN_OPT_ENUM(struct logging_file, format, .def = "text", .choices = formats,
		  .help = "Lines for people, or JSON lines."),
    PSTN_OPT_BYTES(struct logging_file, rotate_size, .def = "0", .min = "0",
		   .help = "At this size the file is renamed to PATH.1 and a new one is begun; 0: "
			   "never, logrotate or the like does it."),
    PSTN_OPT_INT(struct logging_file, rotate_keep, .def = "10", .min = "0", .max = "1000",
		 .help = "How many renamed files stay."),
    {0},
};

static const struct pstn_option file_item[] = {
    {.name = "",
     .type = PSTN_MAP,
     .item_size = sizeof(struct logging_file),
     .child = file_options,
     .help = "One log file."},
    {0},
};

static const struct pstn_option syslog_options[] = {
    PSTN_OPT_BOOL(struct logging_syslog, enabled, .def = "no",
		  .help = "Write to the local syslog daemon, journald included."),
    PSTN_OPT_ENUM(struct logging_syslog, facility, .def = "mail", .choices = facilities,
		  .help = "The syslog facility."),
    PSTN_OPT_STRING(struct logging_syslog, ident, .def = "postern",
		    .help = "The name under which syslog knows the messages."),
    PSTN_OPT_ENUM(struct logging_syslog, level, .def = "default", .choices = sink_levels,
		  .help = SINK_LEVEL),
    PSTN_OPT_STRING(struct logging_syslog, path, .def = "/dev/log", .help = "The daemon's socket."),
    {0},
};

static const struct pstn_option options[] = {
    PSTN_OPT_ENUM(struct logging_conf, level, .def = "info", .choices = levels,
		  .help = "The level of services that `levels` does not name. protocol shows whole "
			  "conversations, never a password."),
    PSTN_OPT_LIST(struct logging_conf, levels, service_level_item,
		  .help = "Levels of single services."),
    PSTN_OPT_MAP(struct logging_conf, stderr, stderr_options, .help = "Standard error."),
    PSTN_OPT_LIST(struct logging_conf, files, file_item,
		  .help =
		      "Log files. With none of files, stderr and syslog configured there is one: "
		      "{log}/postern.log."),
    PSTN_OPT_MAP(struct logging_conf, syslog, syslog_options, .help = "The local syslog daemon."),
    {0},
};

/* ---- starting and stopping ---- */

static bool add_sink(struct logging *l, struct sink *s)
{
	if (!s)
		return false;
	s->next = l->sinks;
	l->sinks = s;
	return true;
}

static bool add_default_file(struct logging *l)
{
	const char *directory = l->host->directory(l->self, PSTN_DIR_LOG);
	static const char name[] = "/postern.log";
	char *path = l->host->alloc(l->self, strlen(directory) + sizeof(name));

	if (!path)
		return false;
	l->default_path = path;
	snprintf(path, strlen(directory) + sizeof(name), "%s%s", directory, name);
	l->default_file = (struct logging_file){.path = path};
	return add_sink(l, sink_file_new(l, &l->default_file));
}

static bool add_sinks(struct logging *l)
{
	const struct logging_conf *conf = l->conf;
	const struct logging_file *files = conf->files.items;

	if (conf->stderr.enabled && !add_sink(l, sink_stderr_new(l, &conf->stderr)))
		return false;
	if (conf->syslog.enabled && !add_sink(l, sink_syslog_new(l, &conf->syslog)))
		return false;
	for (uint32_t i = 0; i < conf->files.count; i++) {
		if (!add_sink(l, sink_file_new(l, &files[i])))
			return false;
	}
	return l->sinks || add_default_file(l);
}

static void stop(void *inst)
{
	struct logging *l = inst;
	struct sink *next;

	for (struct sink *s = l->sinks; s; s = next) {
		next = s->next;
		s->free(s);
	}
	levels_free(l->levels);
	if (l->default_path)
		l->host->free(l->self, l->default_path);
	l->host->free(l->self, l);
}

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	struct logging *l = host->alloc(self, sizeof(*l));

	if (l) {
		l->host = host;
		l->self = self;
		l->conf = conf;
		l->levels = levels_new(host, self, conf);
		if (l->levels && add_sinks(l))
			return l;
		stop(l);
	}
	snprintf(err, errlen, "no memory");
	return NULL;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	const struct logging *l = inst;

	for (struct sink *s = l->sinks; s; s = s->next) {
		if (s->test(s, err, errlen) != 0)
			return -1;
	}
	return 0;
}

/* ---- log.sink ---- */

static int wanted_level(void *inst, const char *service)
{
	const struct logging *l = inst;
	int highest = 0;

	for (const struct sink *s = l->sinks; s; s = s->next) {
		int level = sink_level(s, service);

		if (level > highest)
			highest = level;
	}
	return highest;
}

static void write_to(struct sink *s, const struct pstn_log_event *events, size_t n)
{
	const char *service = NULL;
	int level = 0;

	s->begin(s);
	for (size_t i = 0; i < n; i++) {
		if (!service || strcmp(service, events[i].service) != 0) {
			service = events[i].service;
			level = sink_level(s, service);
		}
		if (events[i].level <= level)
			s->line(s, &events[i]);
	}
	s->end(s);
}

static void write_events(void *inst, const struct pstn_log_event *events, size_t n)
{
	const struct logging *l = inst;

	for (struct sink *s = l->sinks; s; s = s->next)
		write_to(s, events, n);
}

static void reopen(void *inst)
{
	const struct logging *l = inst;

	for (struct sink *s = l->sinks; s; s = s->next)
		s->reopen(s);
}

static const struct pstn_log_sink log_sink = {
    .size = sizeof(log_sink),
    .level = wanted_level,
    .write = write_events,
    .reopen = reopen,
};

/* ---- the module ---- */

static const struct pstn_offer offers[] = {
    {PSTN_LOG_SINK, 1, 0, &log_sink},
    {PSTN_CONTROL_COMMANDS, 1, 0, &logging_commands},
    {0},
};

PSTN_EXPORT extern const struct pstn_module pstn_module;
const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "logging",
    .version = "1.0.0",
    .summary = "log events to files, standard error and syslog",
    .conf_size = sizeof(struct logging_conf),
    .options = options,
    .offers = offers,
    .start = start,
    .self_test = self_test,
    .stop = stop,
};
