/*
 * options.h - posternd's command line.
 */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum options_mode {
	MODE_SERVE,
	MODE_CHECK,
	MODE_SINGLE,
	MODE_PRINT,
	MODE_HELP,
	MODE_VERSION,
	MODE_WORKER, /* internal: exec'd by a supervisor */
	MODE_OFFLINE /* internal: exec'd by posternctl --offline */
};

struct options { /* strings are argv's own */
	enum options_mode mode;
	bool foreground;
	const char *directory, *config, *modules, *pid_file, *print;
	const char *generation; /* MODE_WORKER: so that ps shows it */
	int offline_fd;
};

/* 0, or -1 and a sentence. */
int options_parse(struct options *, int argc, char *const argv[], char *err, size_t errlen);
extern const char options_help[];

#endif
