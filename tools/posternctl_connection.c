/*
 * posternctl_connection.c - finding and reaching the server, or starting one for the moment.
 */
#include "posternctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *instance_directory(const struct ctl *ctl)
{
	const char *given = getenv("POSTERN_DIRECTORY");

	if (ctl->directory)
		return ctl->directory;
	return given && *given ? given : NULL;
}

static int socket_path(const struct ctl *ctl, char *path, size_t n)
{
	const char *directory = instance_directory(ctl);

	if (ctl->socket)
		return snprintf(path, n, "%s", ctl->socket);
	if (directory)
		return snprintf(path, n, "%s/run/" CONTROL_SOCKET_NAME, directory);
	return snprintf(path, n, RUNSTATEDIR "/postern/" CONTROL_SOCKET_NAME);
}

static void explain(const struct ctl *ctl, const char *path, int error)
{
	const char *directory = instance_directory(ctl);

	if (error == ENOENT || error == ECONNREFUSED)
		ctl_error("the server is not running: %s: %s\n"
			  "Start it with \"%s%s%s\", or use --offline for commands on its data.",
			  path, strerror(error),
			  directory ? "posternd --directory " : "systemctl start postern",
			  directory ? directory : "", "");
	else if (error == EACCES || error == EPERM)
		ctl_error("%s: %s\nRoot, the server's own user and members of the configured group "
			  "may use the control socket.",
			  path, strerror(error));
	else
		ctl_error("%s: %s", path, strerror(error));
}

/* A path longer than an address has room for is reached through its directory's descriptor. */
static int fit(const char *path, struct sockaddr_un *address, int *directory)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	address->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(address->sun_path)) {
		strcpy(address->sun_path, path);
		return 0;
	}
	if (!slash || (size_t)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path) >=
			  sizeof(folder)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return -1;
	if ((size_t)snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%.80s",
			     *directory, slash) >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int reach(const struct ctl *ctl)
{
	struct sockaddr_un address = {0};
	char path[PATH_MAX];
	int n = socket_path(ctl, path, sizeof(path)), directory = -1, fd, error;

	if (n < 0 || (size_t)n >= sizeof(path)) {
		ctl_error("the path of the control socket is too long");
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && fit(path, &address, &directory) == 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		if (directory >= 0)
			close(directory);
		return fd;
	}
	error = errno;
	explain(ctl, path, error);
	if (directory >= 0)
		close(directory);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- offline ---- */

/* posternd of the same build or installation as this program, else the configured one. */
static void find_daemon(char *path, size_t n)
{
	static const char *const near[] = {"/posternd", "/../sbin/posternd"};
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (length > 0) {
		self[length] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; slash && i < sizeof(near) / sizeof(near[0]); i++)
			if ((size_t)snprintf(path, n, "%s%s", self, near[i]) < n &&
			    access(path, X_OK) == 0)
				return;
	}
	snprintf(path, n, "%s", SBINDIR "/posternd");
}

static void exec_daemon(const struct ctl *ctl, int fd)
{
	const char *directory = instance_directory(ctl);
	char path[PATH_MAX + 32], number[16];
	const char *argv[10];
	int n = 0, null = open("/dev/null", O_RDONLY);

	find_daemon(path, sizeof(path));
	snprintf(number, sizeof(number), "%d", fd);
	argv[n++] = path;
	argv[n++] = "--offline-fd";
	argv[n++] = number;
	if (directory) {
		argv[n++] = "--directory";
		argv[n++] = directory;
	}
	if (ctl->config) {
		argv[n++] = "--config";
		argv[n++] = ctl->config;
	}
	if (ctl->modules) {
		argv[n++] = "--modules";
		argv[n++] = ctl->modules;
	}
	argv[n] = NULL;
	/* Standard input may be an argument of the command; output is for the result alone. */
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
		execv(path, (char *const *)argv);
	ctl_error("cannot run %s: %s", path, strerror(errno));
	_exit(127);
}

static int start_offline(const struct ctl *ctl, long *pid)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
		ctl_error("cannot make a socket: %s", strerror(errno));
		return -1;
	}
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	*pid = fork();
	if (*pid == 0)
		exec_daemon(ctl, pair[1]);
	close(pair[1]);
	if (*pid > 0)
		return pair[0];
	ctl_error("cannot start a process: %s", strerror(errno));
	close(pair[0]);
	*pid = 0;
	return -1;
}

int ctl_connect(const struct ctl *ctl, long *pid)
{
	*pid = 0;
	return ctl->offline ? start_offline(ctl, pid) : reach(ctl);
}

void ctl_disconnect(int fd, long pid)
{
	close(fd);
	while (pid > 0 && waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR)
		;
}
