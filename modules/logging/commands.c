/*
 * commands.c - log levels, log level: looking closer while the server runs.
 */
#include "levels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pstn_arg level_args[] = {
    {"service", PSTN_ARG_TEXT, 0, "a module's name in the configuration, or \"core\""},
    {"level", PSTN_ARG_TEXT, 0,
     "off, critical, error, warning, info, protocol; \"default\": as configured"},
    {"for", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "back to the configured level after so long, as 10m; else with the next reload"},
    {0},
};
static const struct pstn_arg no_args[] = {{0}};

/* -1: "default"; -2: none of them. */
static int parse_level(const char *text)
{
	if (strcmp(text, "default") == 0)
		return -1;
	if (strcmp(text, "off") == 0)
		return 0;
	for (int i = 0; format_levels[i]; i++) {
		if (strcmp(text, format_levels[i]) == 0)
			return i + 1;
	}
	return -2;
}

/* "90", "90s", "10m", "2h", "1d" in milliseconds; 0: not a duration. */
static uint64_t parse_duration(const char *text)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	enum { MAX = 100000 };
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || n > MAX)
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (end[0] == units[i].unit && end[1] == '\0')
			return (uint64_t)n * units[i].seconds * 1000;
	}
	return *end ? 0 : (uint64_t)n * 1000;
}

static void answer(const struct logging *l, struct pstn_call *call, const char *service,
		   const char *from, uint64_t until)
{
	const struct pstn_call_ops *ops = l->host->call;
	int level = *service == '(' ? l->conf->level : levels_of(l->levels, service);

	ops->open_object(call, NULL);
	ops->text(call, "service", service);
	ops->text(call, "level", level ? format_levels[level - 1] : "off");
	ops->text(call, "from", from);
	if (until && until != UINT64_MAX)
		ops->integer(call, "seconds_left",
			     (int64_t)((until - l->host->now() + 999) / 1000));
	ops->close(call);
}

static void log_level(void *inst, struct pstn_call *call)
{
	const struct logging *l = inst;
	const struct pstn_call_ops *ops = l->host->call;
	const char *service = ops->arg(call, "service"), *text = ops->arg(call, "level");
	const char *duration = ops->arg(call, "for");
	uint64_t ms = duration ? parse_duration(duration) : 0;
	uint64_t until = duration ? l->host->now() + ms : UINT64_MAX;
	int level = parse_level(text);

	if (level == -2) {
		ops->fail(call,
			  "\"%s\" is no level; expected off, critical, error, warning, info, "
			  "protocol or default.",
			  text);
	} else if (duration && ms == 0) {
		ops->fail(call, "--for %s: expected a duration as 30s, 10m or 2h.", duration);
	} else if (!levels_raise(l->levels, service, level, until)) {
		ops->fail(call,
			  "%s: its name is too long, or %d services have a level of their own "
			  "already; give one back with \"log level SERVICE default\".",
			  service, LEVELS_RAISED_MAX);
	} else {
		answer(l, call, service, level < 0 ? "configuration" : "log level", until);
	}
}

static void log_levels(void *inst, struct pstn_call *call)
{
	const struct logging *l = inst;
	const struct logging_service_level *rows = l->conf->levels.items;
	struct levels_raised raised[LEVELS_RAISED_MAX];
	unsigned n = levels_raised(l->levels, raised);

	l->host->call->open_array(call, NULL);
	for (unsigned i = 0; i < n; i++)
		answer(l, call, raised[i].service, "log level", raised[i].until);
	for (uint32_t i = 0; i < l->conf->levels.count; i++) {
		bool shown = false;

		for (unsigned k = 0; k < n && !shown; k++)
			shown = strcmp(raised[k].service, rows[i].service) == 0;
		if (!shown)
			answer(l, call, rows[i].service, "configuration", 0);
	}
	answer(l, call, "(others)", "configuration", 0);
	l->host->call->close(call);
}

static const struct pstn_command rows[] = {
    {"log levels", "Show which level is logged of which service", no_args, 0, 0, log_levels},
    {"log level", "Log more or less of a service, for a while", level_args, PSTN_CHANGES, 0,
     log_level},
    {0},
};

const struct pstn_commands logging_commands = {
    .size = sizeof(logging_commands),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = rows,
};
