/*
 * posternctl.h - what the parts of posternctl share.
 *
 * posternctl knows no command: it asks the server for its table of commands ("help" of the control
 * protocol, postern/control.h), reads the command line by it, sends one request and shows what
 * comes back.
 */
#ifndef POSTERNCTL_H
#define POSTERNCTL_H

#include <jansson.h>
#include <postern/control.h>
#include <stdbool.h>
#include <stddef.h>

#define EXIT_USAGE 2 /* all others are EXIT_FAILURE or of sysexits.h */

struct ctl {
	const char *socket, *directory, *config, *modules; /* NULL: not given */
	bool json, offline, help;
	char *const *words; /* what is left of the command line */
	int nwords;
	json_t *table; /* the server's commands */
	int partial; /* not all of them: the exit status for a command that is not found; else 0 */
};

/* ---- posternctl.c ---- */

/* "posternctl: ...\n" on standard error, control characters escaped. Returns EXIT_FAILURE. */
int ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- posternctl_connection.c ---- */

/* A connected stream socket, or -1 and the person has been told. With --offline a server without
 * listeners is started at its other end; *pid is it, else 0. */
int ctl_connect(const struct ctl *, long *pid);
/* Close; wait for an offline server to end. */
void ctl_disconnect(int fd, long pid);

/* ---- posternctl_request.c ---- */

struct ctl_directory {    /* one below which the server may have files opened */
	const char *name; /* the argument's */
	int fd;           /* O_PATH */
	bool writes;      /* may be changed */
};

struct ctl_request {
	const char *command;
	json_t *args;   /* object; NULL: none */
	json_t *files;  /* array of names; NULL: none */
	const int *fds; /* as many */
	const struct ctl_directory *directories;
	int ndirectories;
	json_int_t generation; /* 0: the current one */
};

struct ctl_outcome {
	int status; /* the exit status: why there is no result, or not all of it; else 0 */
	bool raw;   /* there were octets, so the result is of no interest */
};

/* The result, to be released; NULL and the person has been told. Notes, progress and raw octets
 * are shown as they come. */
json_t *ctl_request(const struct ctl *, const struct ctl_request *, struct ctl_outcome *);
/* All octets, the descriptors with the first. 0, or -1 and errno. */
int ctl_send(int socket, const char *line, size_t n, const int *fds, size_t nfds);

/* ---- posternctl_files.c ---- */

/* For struct ctl_directory; made if it is to be written and missing. -1: the person has been told. */
int ctl_open_directory(const char *path, bool writes);
/* Does what a "file" line asks for and answers it. */
void ctl_answer_file(int socket, const struct ctl_request *, const json_t *file);

/* ---- posternctl_table.c ---- */

/* Fetches the table in which the words are found, if they are in any. 0, or the exit status after the
 * person has been told. */
int ctl_learn(struct ctl *);
/* The command with the longest name that the words begin with; *used: how many words. */
const json_t *ctl_find(const struct ctl *, int *used);
/* The words match nothing: say so, with what was probably meant. Returns the exit status. */
int ctl_unknown(const struct ctl *);
const char *ctl_string(const json_t *object, const char *key);
bool ctl_true(const json_t *object, const char *key);
bool ctl_is_kind(const json_t *arg, const char *kind);
/* How far apart two words are, in typing mistakes. */
size_t ctl_distance(const char *a, const char *b);

/* ---- posternctl_arguments.c ---- */

struct ctl_arguments {
	json_t *args, *files;
	int fds[CONTROL_FILES_MAX];
	int nfds;
	struct ctl_directory directories[CONTROL_FILES_MAX];
	int ndirectories;
};

/* The words behind a command's name, as its rows want them. 0, or the exit status after the person
 * has been told. */
int ctl_arguments(const json_t *command, char *const *words, int n, struct ctl_arguments *out);
void ctl_arguments_clear(struct ctl_arguments *);

/* ---- posternctl_secret.c ---- */

/* malloc'd, to be wiped; NULL and the person has been told. */
char *ctl_secret(const char *name, bool confirm, bool optional);

/* ---- posternctl_show.c ---- */

void ctl_show(const json_t *value);

/* ---- posternctl_help.c ---- */

void ctl_usage_line(FILE *, const json_t *command);
int ctl_help(const struct ctl *, char *const *words, int n);
int ctl_completion(const struct ctl *, char *const *words, int n);

#endif
