/*
 * daemonize.c - see daemonize.h.
 */
#include "config.h"

#include "daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

static _Noreturn void wait_for_outcome(int fd)
{
	char buffer[4096];
	ssize_t n;
	bool ok = false;

	while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
		if (n > 0) {
			ok = buffer[n - 1] == '\0';
			fwrite(buffer, 1, (size_t)n - ok, stderr);
		} else if (errno != EINTR) {
			break;
		}
	}
	_exit(ok ? EXIT_OK : EXIT_FAILED);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd < 3; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		close(null);
	/* So that no file system is kept from being unmounted; all paths are absolute by now. */
	if (chdir("/") == 0)
		umask(027);
}

int daemonize(void)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid > 0) {
		close(ends[1]);
		wait_for_outcome(ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return -1;
	}
	(void)setsid();
	/* Not a session leader any more: it can never get a terminal again. */
	pid = fork();
	if (pid > 0)
		_exit(EXIT_OK);
	leave_terminal();
	return ends[1];
}
