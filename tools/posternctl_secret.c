/*
 * posternctl_secret.c - asking for a password: on a terminal without echo, otherwise one line of
 * standard input. Never a word of the command line, which everybody on the machine can see.
 */
#include "posternctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MAX 1024

static volatile sig_atomic_t caught;

static void catch (int number)
{
	caught = number;
}

/* Octet by octet: what follows the line may be for somebody else. -1: error or interrupted. */
static ssize_t read_line(char *line)
{
	size_t n = 0;
	ssize_t got;
	char c;

	while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (n == SECRET_MAX) {
			errno = EMSGSIZE;
			return -1;
		}
		line[n++] = c;
	}
	if (got < 0)
		return -1;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	return (ssize_t)n;
}

/* The terminal gets its echo back whatever signal comes. */
static ssize_t read_unseen(const char *prompt, char *line)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	enum { N = sizeof(signals) / sizeof(signals[0]) };
	struct sigaction action = {.sa_handler = catch}, old[N];
	struct termios before, unseen;
	ssize_t n;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return -1;
	caught = 0;
	for (int i = 0; i < N; i++)
		sigaction(signals[i], &action, &old[i]);
	unseen = before;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
	fputs(prompt, stderr);
	n = read_line(line);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	for (int i = 0; i < N; i++)
		sigaction(signals[i], &old[i], NULL);
	if (caught)
		raise(caught);
	return n;
}

static bool has_nul(const char *line, ssize_t n)
{
	return memchr(line, '\0', (size_t)n);
}

/* false: the person has been told. */
static bool ask(const char *name, bool again, char *line)
{
	bool terminal = isatty(STDIN_FILENO);
	char prompt[128];
	ssize_t n;

	snprintf(prompt, sizeof(prompt), "%s%s: ", name, again ? " again" : "");
	n = terminal ? read_unseen(prompt, line) : read_line(line);
	if (n < 0 && errno == EMSGSIZE)
		ctl_error("the %s is too long: %d octets at most", name, SECRET_MAX);
	else if (n < 0)
		ctl_error("cannot read the %s: %s", name, strerror(errno));
	else if (has_nul(line, n))
		ctl_error("the %s must not contain NUL octets", name);
	else
		return true;
	return false;
}

static bool ask_twice(const char *name, const char *line)
{
	char again[SECRET_MAX + 1];
	bool same = false;

	if (ask(name, true, again)) {
		same = strcmp(again, line) == 0;
		if (!same)
			ctl_error("the two were not the same; nothing was changed");
	}
	explicit_bzero(again, sizeof(again));
	return same;
}

char *ctl_secret(const char *name, bool confirm, bool optional)
{
	char line[SECRET_MAX + 1], *secret = NULL;
	bool good = ask(name, false, line);

	if (good && !*line && !optional) {
		ctl_error("the %s is empty", name);
		good = false;
	}
	if (good && *line && confirm && isatty(STDIN_FILENO))
		good = ask_twice(name, line);
	if (good && !(secret = strdup(line)))
		ctl_error("out of memory");
	explicit_bzero(line, sizeof(line));
	return secret;
}
