/*
 * instance_lock.c - see instance_lock.h.
 *
 * The lock is flock() on a file in the state directory: it is gone when its process is, however it
 * ended, so nothing has to be cleaned up. The files lie in directories that the unprivileged worker
 * may write, so they are never followed as symbolic links.
 */
#include "config.h"

#include "instance_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Parents are made too, as readable as the system's own. */
static int make_path(const char *path, mode_t mode)
{
	char *copy = strdup(path);
	int status = 0;

	if (!copy)
		return -1;
	for (char *p = strchr(copy + 1, '/'); p && status == 0; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			status = -1;
		*p = '/';
	}
	/* chmod, because the process' umask would take rights away. */
	if (status == 0 && mkdir(copy, mode) == 0)
		status = chmod(copy, mode);
	else if (status == 0 && errno != EEXIST)
		status = -1;
	int saved = errno;
	free(copy);
	errno = saved;
	return status;
}

static int make_dir(const char *path, mode_t mode, char *err, size_t errlen)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (make_path(path, mode) < 0) {
		snprintf(err, errlen,
			 "%s: cannot make this directory: %s; make it and give it to the user that "
			 "starts posternd (id %ju)",
			 path, strerror(errno), (uintmax_t)geteuid());
		return -1;
	}
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		snprintf(err, errlen, "%s: is not a directory; remove it or choose another place",
			 path);
		return -1;
	}
	return 0;
}

int instance_make_dirs(const struct dirs *d, char *err, size_t errlen)
{
	/* Whoever may use the control socket has to reach it: the socket's own mode guards it. */
	if (make_dir(d->state, 0750, err, errlen) < 0 || make_dir(d->run, 0755, err, errlen) < 0)
		return -1;
	return make_dir(d->log, 0750, err, errlen);
}

static void say_who(int fd, const struct dirs *d, bool offline, char *err, size_t errlen)
{
	char pid[32] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	if (offline)
		snprintf(err, errlen, "the server is running (process %s); leave out --offline",
			 *pid ? pid : "unknown");
	else
		snprintf(
		    err, errlen,
		    "another posternd (process %s) serves this instance, whose state is in %s; "
		    "stop it first, or give this one another --directory",
		    *pid ? pid : "unknown", d->state);
}

/* Only for that sentence: the lock itself does not need it. */
static void write_pid(int fd)
{
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "%ld\n", (long)getpid());
}

int instance_lock(const struct dirs *d, bool offline, char *err, size_t errlen)
{
	char *path;
	int fd;

	if (asprintf(&path, "%s/posternd.lock", d->state) < 0) {
		snprintf(err, errlen, "no memory");
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0) {
		snprintf(
		    err, errlen,
		    "%s: cannot open the lock: %s; the instance's directories have to belong to "
		    "the user that starts posternd (id %ju)",
		    path, strerror(errno), (uintmax_t)geteuid());
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			say_who(fd, d, offline, err, errlen);
		else
			snprintf(err, errlen, "%s: cannot lock: %s", path, strerror(errno));
		close(fd);
		fd = -1;
	} else {
		write_pid(fd);
	}
	free(path);
	return fd;
}

int pid_file_write(const char *path, char *err, size_t errlen)
{
	char *fresh;
	int fd = -1;

	if (asprintf(&fresh, "%s.%ld", path, (long)getpid()) < 0) {
		snprintf(err, errlen, "no memory");
		return -1;
	}
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && fchmod(fd, 0644) == 0 && dprintf(fd, "%ld\n", (long)getpid()) > 0 &&
		  rename(fresh, path) == 0;
	if (!ok) {
		snprintf(err, errlen, "%s: cannot write the pid file: %s", path, strerror(errno));
		if (fd >= 0)
			(void)unlink(fresh);
	}
	if (fd >= 0)
		close(fd);
	free(fresh);
	return ok ? 0 : -1;
}
