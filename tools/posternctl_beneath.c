/*
 * posternctl_beneath.c - see posternctl_beneath.h.
 */
#include "posternctl_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_openat2
#include <linux/openat2.h>
#endif

#define FILE_MODE      0600
#define DIRECTORY_MODE 0700
/* A FIFO without a writer must not keep us, a terminal not become ours. */
#define CAREFUL (O_NONBLOCK | O_NOCTTY)

static int fail(int error)
{
	errno = error;
	return -1;
}

/* As refused by the kernel's RESOLVE_BENEATH; said here as well, for the walk and for clear names. */
static int check_path(const char *path)
{
	size_t n;

	if (strlen(path) >= PATH_MAX)
		return fail(ENAMETOOLONG);
	for (const char *c = path; *path; c += n + 1) {
		n = strcspn(c, "/");
		if (n == 0 || (n == 1 && *c == '.') || (n == 2 && c[0] == '.' && c[1] == '.'))
			return fail(EXDEV);
		if (c[n] == '\0')
			break;
	}
	return 0;
}

static int openat2_flags(int flags)
{
	return flags | O_CLOEXEC | (flags & O_PATH ? 0 : CAREFUL);
}

/* ---- without openat2 ---- */

static bool on_device(int fd, dev_t device)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == device;
}

/* Closes at. */
static int step(int at, const char *name, int flags, dev_t device)
{
	int fd = openat(at, name, openat2_flags(flags) | O_NOFOLLOW, FILE_MODE);
	int error = errno;

	close(at);
	if (fd < 0)
		return fail(error);
	if (on_device(fd, device))
		return fd;
	close(fd);
	return fail(EXDEV);
}

static int walk(int dir, const char *path, int flags)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int at;

	if (check_path(path) < 0 || fstat(dir, &st) < 0)
		return -1;
	at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		if (snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path) > NAME_MAX) {
			close(at);
			return fail(ENAMETOOLONG);
		}
		at = step(at, name, O_PATH | O_DIRECTORY, st.st_dev);
	}
	return at < 0 ? -1 : step(at, *path ? path : ".", flags, st.st_dev);
}

/* ---- with it ---- */

static int open_by_kernel(int dir, const char *path, int flags)
{
#ifdef SYS_openat2
	struct open_how how = {.flags = (unsigned)openat2_flags(flags),
			       .mode = flags & O_CREAT ? FILE_MODE : 0,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					  RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};

	return (int)syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
#else
	(void)dir;
	(void)path;
	(void)flags;
	return fail(ENOSYS);
#endif
}

/* ---- with either ---- */

/* Takes over the descriptor. */
static int keep_plain(int fd)
{
	struct stat st;
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (fd < 0 || flags & O_PATH)
		return fd;
	if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
	    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
		return fd;
	close(fd);
	return fail(ENOTSUP);
}

int beneath_open(int dir, const char *path, int flags)
{
	int fd;

	if (check_path(path) < 0)
		return -1;
	fd = open_by_kernel(dir, path, flags);
	/* EPERM: the filter of an old container, which does not know the call. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = walk(dir, path, flags);
	return keep_plain(fd);
}

int beneath_walk(int dir, const char *path, int flags)
{
	return keep_plain(walk(dir, path, flags));
}

/* ---- changes ---- */

/* The directory that the last name of the path is in; *name points to it. */
static int open_parent(int dir, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	if (check_path(path) < 0)
		return -1;
	if (*path == '\0')
		return fail(EBUSY);
	*name = slash ? slash + 1 : path;
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
	return beneath_open(dir, parent, O_PATH | O_DIRECTORY);
}

static int close_after(int fd, int status)
{
	int error = errno;

	close(fd);
	errno = error;
	return status;
}

int beneath_mkdir(int dir, const char *path)
{
	const char *name;
	int parent = *path ? open_parent(dir, path, &name) : -1;

	if (*path == '\0')
		return 0;
	if (parent < 0)
		return -1;
	return close_after(parent,
			   mkdirat(parent, name, DIRECTORY_MODE) == 0 || errno == EEXIST ? 0 : -1);
}

int beneath_rename(int dir, const char *from, const char *to)
{
	const char *old, *new;
	int source = open_parent(dir, from, &old), target;

	if (source < 0)
		return -1;
	target = open_parent(dir, to, &new);
	if (target < 0)
		return close_after(source, -1);
	return close_after(source, close_after(target, renameat(source, old, target, new)));
}

int beneath_remove(int dir, const char *path)
{
	const char *name;
	int parent = open_parent(dir, path, &name), status;

	if (parent < 0)
		return -1;
	status = unlinkat(parent, name, 0);
	if (status < 0 && errno == EISDIR)
		status = unlinkat(parent, name, AT_REMOVEDIR);
	return close_after(parent, status);
}
