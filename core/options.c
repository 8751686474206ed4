/*
 * options.c - posternd's command line: a table of options, parsed in one pass.
 */
#include "config.h"

#include "options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"

const char options_help[] =
    "usage: posternd [OPTION]...\n"
    "The Postern mail server. Without options it becomes a daemon and returns when it serves.\n"
    "\n"
    "  --directory DIR   keep everything of this instance below DIR: postern.yaml, state/,\n"
    "                    run/, log/\n"
    "  --config FILE     read this configuration file\n"
    "  --modules DIR     look for module files in DIR\n"
    "  --foreground      stay in the foreground and log to standard error (for systemd)\n"
    "  --check           check the configuration, print every error, and end\n"
    "  --single          one unprivileged process in the foreground, for debuggers; no reload\n"
    "  --pid-file FILE   write the process id to FILE (default: posternd.pid in the run\n"
    "                    directory)\n"
    "  --print WHAT      print the sample configuration, the reference of all options, the\n"
    "                    manual page or the JSON schema, and end:\n"
    "                    sample, reference, man or schema\n"
    "  --version         print the version and end\n"
    "  --help            print this and end\n"
    "\n"
    "Signals: HUP reload, TERM stop (sessions end between commands), INT stop at once,\n"
    "USR1 open log files anew.\n"
    "Exit status: 0 all went well, 1 it did not start or the check found errors, 2 usage.\n";

struct row {
	const char *name;
	enum { FLAG_MODE, FLAG_FOREGROUND, TEXT, PRINT, WORKER, OFFLINE } kind;
	enum options_mode mode;
	size_t offset;
	bool hidden;
};

#define AT(field) offsetof(struct options, field)

static const struct row rows[] = {
    {.name = "--directory", .kind = TEXT, .offset = AT(directory)},
    {.name = "--config", .kind = TEXT, .offset = AT(config)},
    {.name = "--modules", .kind = TEXT, .offset = AT(modules)},
    {.name = "--pid-file", .kind = TEXT, .offset = AT(pid_file)},
    {.name = "--foreground", .kind = FLAG_FOREGROUND},
    {.name = "--check", .kind = FLAG_MODE, .mode = MODE_CHECK},
    {.name = "--single", .kind = FLAG_MODE, .mode = MODE_SINGLE},
    {.name = "--version", .kind = FLAG_MODE, .mode = MODE_VERSION},
    {.name = "--help", .kind = FLAG_MODE, .mode = MODE_HELP},
    {.name = "--print", .kind = PRINT, .offset = AT(print)},
    {.name = "--worker", .kind = WORKER, .offset = AT(generation), .hidden = true},
    {.name = "--offline-fd", .kind = OFFLINE, .hidden = true},
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *find(const char *word, size_t n)
{
	for (size_t i = 0; i < NROWS; i++)
		if (strlen(rows[i].name) == n && memcmp(rows[i].name, word, n) == 0)
			return &rows[i];
	return NULL;
}

static const char *nearest(const char *word)
{
	struct nearest n;

	nearest_init(&n, word);
	for (size_t i = 0; i < NROWS; i++)
		if (!rows[i].hidden)
			nearest_try(&n, rows[i].name);
	return nearest_name(&n);
}

static int unknown(const char *word, char *err, size_t errlen)
{
	const char *near = nearest(word);

	if (word[0] != '-')
		snprintf(err, errlen, "unexpected word \"%s\": posternd takes options only", word);
	else if (near)
		snprintf(err, errlen, "unknown option %s; did you mean %s?", word, near);
	else
		snprintf(err, errlen, "unknown option %s; posternd --help lists them all", word);
	return -1;
}

static int set_mode(struct options *o, enum options_mode mode, const char *name, char *err,
		    size_t errlen)
{
	if (o->mode != MODE_SERVE && o->mode != mode) {
		snprintf(err, errlen, "%s does not go together with another option given", name);
		return -1;
	}
	o->mode = mode;
	return 0;
}

static int set_print(struct options *o, const char *value, char *err, size_t errlen)
{
	static const char *const kinds[] = {"sample", "reference", "man", "schema"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(value, kinds[i]) == 0) {
			o->print = value;
			return set_mode(o, MODE_PRINT, "--print", err, errlen);
		}
	}
	snprintf(err, errlen, "--print %s: expected sample, reference, man or schema", value);
	return -1;
}

static int set_offline(struct options *o, const char *value, char *err, size_t errlen)
{
	char *end;
	long fd = strtol(value, &end, 10);

	if (*value == '\0' || *end != '\0' || fd < 0 || fd > INT_MAX) {
		snprintf(err, errlen, "--offline-fd %s: expected a descriptor's number", value);
		return -1;
	}
	o->offline_fd = (int)fd;
	return set_mode(o, MODE_OFFLINE, "--offline-fd", err, errlen);
}

static int set_value(struct options *o, const struct row *row, const char *value, char *err,
		     size_t errlen)
{
	if (*value == '\0') {
		snprintf(err, errlen, "%s: the value is empty", row->name);
		return -1;
	}
	if (row->kind == PRINT)
		return set_print(o, value, err, errlen);
	if (row->kind == OFFLINE)
		return set_offline(o, value, err, errlen);
	memcpy((char *)o + row->offset, &value, sizeof(value));
	return row->kind == WORKER ? set_mode(o, MODE_WORKER, row->name, err, errlen) : 0;
}

static bool takes_value(const struct row *row)
{
	return row->kind != FLAG_MODE && row->kind != FLAG_FOREGROUND;
}

static int set_flag(struct options *o, const struct row *row, char *err, size_t errlen)
{
	if (row->kind == FLAG_FOREGROUND) {
		o->foreground = true;
		return 0;
	}
	return set_mode(o, row->mode, row->name, err, errlen);
}

int options_parse(struct options *o, int argc, char *const argv[], char *err, size_t errlen)
{
	*o = (struct options){.mode = MODE_SERVE, .offline_fd = -1};
	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t n = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
		const struct row *row = find(argv[i], n);

		if (!row)
			return unknown(argv[i], err, errlen);
		if (!takes_value(row)) {
			if (equals) {
				snprintf(err, errlen, "%s takes no value", row->name);
				return -1;
			}
			if (set_flag(o, row, err, errlen) < 0)
				return -1;
			continue;
		}
		if (!equals && i + 1 == argc) {
			snprintf(err, errlen, "%s needs a value", row->name);
			return -1;
		}
		if (set_value(o, row, equals ? equals + 1 : argv[++i], err, errlen) < 0)
			return -1;
	}
	return 0;
}
