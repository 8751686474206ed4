/*
 * rotate.c - see rotate.h.
 *
 * Only who holds the lock on the very file that has the name may rename. The name moves last, so
 * nobody can lock its successor before the older files have moved.
 */
#include "rotate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool rotate_is_same(int fd, const char *path)
{
	struct stat mine, named;

	return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
	       mine.st_dev == named.st_dev;
}

static int move(const char *path, int64_t from, int64_t to)
{
	char old[PATH_MAX], new[PATH_MAX];

	if ((size_t)snprintf(old, sizeof(old), from ? "%s.%jd" : "%s", path, (intmax_t)from) >=
		sizeof(old) ||
	    (size_t)snprintf(new, sizeof(new), "%s.%jd", path, (intmax_t)to) >= sizeof(new))
		return ENAMETOOLONG;
	return rename(old, new) == 0 || errno == ENOENT ? 0 : errno;
}

static int move_all(const char *path, int64_t keep)
{
	int error = 0;

	if (keep == 0)
		return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
	for (int64_t n = keep - 1; n >= 0 && !error; n--)
		error = move(path, n, n + 1);
	return error;
}

int rotate(int fd, const char *path, int64_t keep)
{
	int error = 0;

	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? 0 : errno;
	if (rotate_is_same(fd, path))
		error = move_all(path, keep);
	flock(fd, LOCK_UN);
	return error;
}
