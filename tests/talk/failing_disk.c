/*
 * failing_disk.c - for LD_PRELOAD: calls that change files of the state directory fail, with the
 * error that a file says at this moment.
 *
 *	POSTERN_FAILING_DISK    its path: one int, 0 while the disk works, then an errno
 *
 * ENOSPC and EDQUOT fail what needs space. All others fail every change, but no sync: it is a file
 * system that has been made read-only, or a disk that refuses writes and says so at once.
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const _Atomic int *failing;

__attribute__((constructor)) static void look_for_file(void)
{
	const char *path = getenv("POSTERN_FAILING_DISK");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0) {
		map = mmap(NULL, sizeof(int), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (map != MAP_FAILED)
		failing = map;
}

/* ---- which calls ---- */

static int error_now(void)
{
	return failing ? *failing : 0;
}

static bool is_state(int fd)
{
	char link[64], path[512];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return strstr(path, "/state") != NULL;
}

static bool names_state(int dirfd, const char *path)
{
	return *path == '/' || dirfd == AT_FDCWD ? strstr(path, "/state") != NULL : is_state(dirfd);
}

static bool fails(bool here, bool takes_space)
{
	int error = error_now();

	if (!here || ((error == ENOSPC || error == EDQUOT) && !takes_space))
		return false;
	errno = error;
	return true;
}

static bool file_fails(int fd, bool takes_space)
{
	return error_now() && fails(is_state(fd), takes_space);
}

static bool name_fails(int dirfd, const char *path, bool takes_space)
{
	return error_now() && fails(names_state(dirfd, path), takes_space);
}

static bool write_fails(int fd, size_t n, off64_t at)
{
	struct stat64 info;
	off64_t from = at < 0 ? lseek64(fd, 0, SEEK_CUR) : at;

	if (!error_now() || fstat64(fd, &info) != 0 || !S_ISREG(info.st_mode))
		return false;
	return file_fails(fd, from + (off64_t)n > info.st_blocks * 512);
}

/* ---- the calls ---- */

ssize_t write(int fd, const void *bytes, size_t n)
{
	return write_fails(fd, n, -1) ? -1 : syscall(SYS_write, fd, bytes, n);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	return write_fails(fd, n, at) ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	return pwrite64(fd, bytes, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t at)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += v[i].iov_len;
	return write_fails(fd, n, at) ? -1 : syscall(SYS_pwritev, fd, v, count, at, 0);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
	return pwritev64(fd, v, count, at);
}

int ftruncate64(int fd, off64_t size)
{
	return file_fails(fd, false) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t from, off64_t n)
{
	return file_fails(fd, true) ? -1 : (int)syscall(SYS_fallocate, fd, mode, from, n);
}

int fallocate(int fd, int mode, off_t from, off_t n)
{
	return fallocate64(fd, mode, from, n);
}

int posix_fallocate64(int fd, off64_t from, off64_t n)
{
	return fallocate64(fd, 0, from, n) == 0 ? 0 : errno;
}

int posix_fallocate(int fd, off_t from, off_t n)
{
	return posix_fallocate64(fd, from, n);
}

static int do_open(int dirfd, const char *path, int flags, va_list ap)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;

	if (flags & O_CREAT && name_fails(dirfd, path, true))
		return -1;
	return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = do_open(dirfd, path, flags, ap);
	va_end(ap);
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = do_open(AT_FDCWD, path, flags, ap);
	va_end(ap);
	return fd;
}

int linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	return name_fails(tofd, to, true) ? -1
					  : (int)syscall(SYS_linkat, fromfd, from, tofd, to, flags);
}

int renameat(int fromfd, const char *from, int tofd, const char *to)
{
	return name_fails(tofd, to, false) ? -1
					   : (int)syscall(SYS_renameat2, fromfd, from, tofd, to, 0);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	return name_fails(dirfd, path, false) ? -1 : (int)syscall(SYS_unlinkat, dirfd, path, flags);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	return name_fails(dirfd, path, true) ? -1 : (int)syscall(SYS_mkdirat, dirfd, path, mode);
}
