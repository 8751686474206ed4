/*
 * disk_calls.c - the calls that change files, caught: looked at, done, noted.
 *
 * Both names of each are here, with and without 64: whether a library was built for large files does
 * not matter.
 */
#undef _FILE_OFFSET_BITS
#include "disk_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HOLE_MIN 65536

/* ---- data ---- */

static bool is_hole(const unsigned char *p, size_t n)
{
	return n >= HOLE_MIN && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static int grow(int fd, off_t end)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return -1;
	return info.st_size < end ? (int)syscall(SYS_ftruncate, fd, end) : 0;
}

static ssize_t plain_write(int fd, const void *bytes, size_t n, off_t at)
{
	if (disk_is_sparse() && at >= 0 && is_hole(bytes, n) &&
	    syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n) == 0)
		return grow(fd, at + (off_t)n) == 0 ? (ssize_t)n : -1;
	return at < 0 ? syscall(SYS_write, fd, bytes, n) : syscall(SYS_pwrite64, fd, bytes, n, at);
}

/* at -1: where the file stands. */
static ssize_t watched_write(int fd, const void *bytes, size_t n, off_t at)
{
	uint32_t object = disk_object(fd);
	off_t from = at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
	ssize_t done;
	int error;

	if (!object)
		return plain_write(fd, bytes, n, at);
	error = disk_verdict(CALL_WRITE, object, (uint64_t)from + n, &n);
	if (error > 0) {
		errno = error;
		return -1;
	}
	done = plain_write(fd, bytes, n, at);
	if (done > 0)
		disk_note_write(object, bytes, (size_t)done, (uint64_t)from);
	return done;
}

static ssize_t do_write(int fd, const void *bytes, size_t n, off_t at)
{
	ssize_t done;

	if (!disk_watches())
		return plain_write(fd, bytes, n, at);
	disk_enter();
	done = watched_write(fd, bytes, n, at);
	disk_leave();
	return done;
}

/* One write, as torn as any. Nobody writes more at once than a group has. */
static ssize_t do_writev(int fd, const struct iovec *v, int count, off_t at)
{
	static unsigned char bytes[32 << 20];
	size_t n = 0;
	ssize_t done;

	if (!disk_watches())
		return at < 0 ? syscall(SYS_writev, fd, v, count)
			      : syscall(SYS_pwritev, fd, v, count, at, 0);
	disk_enter();
	for (int i = 0; i < count && n + v[i].iov_len <= sizeof(bytes); i++) {
		memcpy(bytes + n, v[i].iov_base, v[i].iov_len);
		n += v[i].iov_len;
	}
	done = watched_write(fd, bytes, n, at);
	disk_leave();
	return done;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return do_write(fd, bytes, n, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	return do_write(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	return do_write(fd, bytes, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
	return do_writev(fd, v, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
	return do_writev(fd, v, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t at)
{
	return do_writev(fd, v, count, at);
}

/* ---- reading, which only fails ---- */

static bool may_read(int fd)
{
	int error = 0;

	if (disk_watches()) {
		uint32_t object;

		disk_enter();
		object = disk_object(fd);
		if (object)
			error = disk_verdict(CALL_READ, object, 0, NULL);
		disk_leave();
	}
	if (error > 0)
		errno = error;
	return error <= 0;
}

ssize_t read(int fd, void *bytes, size_t n)
{
	return may_read(fd) ? syscall(SYS_read, fd, bytes, n) : -1;
}

ssize_t pread(int fd, void *bytes, size_t n, off_t at)
{
	return may_read(fd) ? syscall(SYS_pread64, fd, bytes, n, at) : -1;
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t at)
{
	return may_read(fd) ? syscall(SYS_pread64, fd, bytes, n, at) : -1;
}

ssize_t preadv(int fd, const struct iovec *v, int count, off_t at)
{
	return may_read(fd) ? syscall(SYS_preadv, fd, v, count, at, 0) : -1;
}

ssize_t preadv64(int fd, const struct iovec *v, int count, off64_t at)
{
	return preadv(fd, v, count, at);
}

ssize_t preadv2(int fd, const struct iovec *v, int count, off_t at, int flags)
{
	return may_read(fd) ? syscall(SYS_preadv2, fd, v, count, at, 0, flags) : -1;
}

ssize_t preadv64v2(int fd, const struct iovec *v, int count, off64_t at, int flags)
{
	return preadv2(fd, v, count, at, flags);
}

/* ---- size ---- */

/* number: of the system call. */
static int plain_size(int fd, enum disk_call call, long number, off_t from, off_t length, int mode)
{
	if (call == CALL_TRUNCATE)
		return (int)syscall(number, fd, length);
	if (disk_is_sparse() && mode == 0)
		return grow(fd, from + length);
	return (int)syscall(number, fd, mode, from, length);
}

static int watched_size(int fd, enum disk_call call, long number, off_t from, off_t length,
			int mode)
{
	uint32_t object = disk_object(fd);
	uint64_t end = (uint64_t)(from + length);
	bool grows = call == CALL_ALLOCATE && !(mode & FALLOC_FL_KEEP_SIZE);
	struct disk_op op = {
	    .kind = grows ? DISK_EXTEND : DISK_TRUNCATE, .object = object, .offset = end};
	int error = object ? disk_verdict(call, object, end, NULL) : 0;

	if (error > 0) {
		errno = error;
		return -1;
	}
	if (plain_size(fd, call, number, from, length, mode) != 0)
		return -1;
	if (object)
		disk_note_size(object, end, call == CALL_ALLOCATE);
	if (object && (grows || call == CALL_TRUNCATE))
		disk_note(&op);
	return 0;
}

static int do_size(int fd, enum disk_call call, off_t from, off_t length, int mode)
{
	long number = call == CALL_TRUNCATE ? SYS_ftruncate : SYS_fallocate;
	int rc;

	if (!disk_watches())
		return plain_size(fd, call, number, from, length, mode);
	disk_enter();
	rc = watched_size(fd, call, number, from, length, mode);
	disk_leave();
	return rc;
}

int ftruncate(int fd, off_t size)
{
	return do_size(fd, CALL_TRUNCATE, 0, size, 0);
}

int ftruncate64(int fd, off64_t size)
{
	return do_size(fd, CALL_TRUNCATE, 0, size, 0);
}

int fallocate(int fd, int mode, off_t from, off_t length)
{
	return do_size(fd, CALL_ALLOCATE, from, length, mode);
}

int fallocate64(int fd, int mode, off64_t from, off64_t length)
{
	return do_size(fd, CALL_ALLOCATE, from, length, mode);
}

int posix_fallocate(int fd, off_t from, off_t length)
{
	return do_size(fd, CALL_ALLOCATE, from, length, 0) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t from, off64_t length)
{
	return posix_fallocate(fd, from, length);
}

/* ---- syncs ---- */

static int do_sync(int fd, long number)
{
	struct disk_op op = {.kind = number == SYS_syncfs ? DISK_SYNC_ALL : DISK_SYNC};
	int error, rc;

	if (!disk_watches())
		return (int)syscall(number, fd);
	disk_enter();
	op.object = disk_object(fd);
	error = op.object ? disk_verdict(CALL_SYNC, op.object, 0, NULL) : 0;
	if (error > 0) {
		errno = error;
		rc = -1;
	} else {
		rc = (int)syscall(number, fd);
		if (rc == 0 && op.object)
			disk_note(&op);
	}
	disk_leave();
	return rc;
}

int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

int syncfs(int fd)
{
	return do_sync(fd, SYS_syncfs);
}

/* ---- names ---- */

static int watched_open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct disk_op op = {.kind = DISK_ENTER};
	bool there = disk_named(dirfd, path) != 0;
	int error = 0, fd;

	op.directory = disk_parent(dirfd, path, op.name);
	if (op.directory && !there)
		error = disk_verdict(CALL_ENTER, 0, 0, NULL);
	if (error > 0) {
		errno = error;
		return -1;
	}
	fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	if (fd < 0 || !op.directory)
		return fd;
	if (!there) {
		op.object = disk_made(dirfd, path, false);
		disk_note(&op);
	} else if (flags & O_TRUNC) {
		op = (struct disk_op){.kind = DISK_TRUNCATE, .object = disk_object(fd)};
		disk_note(&op);
	}
	return fd;
}

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
	int fd;

	if (!disk_watches() || !(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	disk_enter();
	fd = watched_open(dirfd, path, flags, mode);
	disk_leave();
	return fd;
}

int disk_makes_file(void)
{
	int error = 0;

	if (!disk_watches())
		return 0;
	disk_enter();
	error = disk_verdict(CALL_ENTER, 0, 0, NULL);
	disk_leave();
	return error > 0 ? error : 0;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name, dirfd_parameter, dirfd)                         \
	int name(dirfd_parameter const char *path, int flags, ...) \
	{                                                          \
		va_list ap;                                        \
		mode_t mode;                                       \
                                                                   \
		va_start(ap, flags);                               \
		mode = mode_of(flags, ap);                         \
		va_end(ap);                                        \
		return do_open(dirfd, path, flags, mode);          \
	}
#define DIRECTORY int directory,

OPEN(open, , AT_FDCWD)
OPEN(open64, , AT_FDCWD)
OPEN(openat, DIRECTORY, directory)
OPEN(openat64, DIRECTORY, directory)

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct disk_op op = {.kind = DISK_ENTER};
	int error, rc;

	if (!disk_watches())
		return (int)syscall(SYS_mkdirat, dirfd, path, mode);
	disk_enter();
	op.directory = disk_parent(dirfd, path, op.name);
	error = op.directory && !disk_named(dirfd, path) ? disk_verdict(CALL_ENTER, 0, 0, NULL) : 0;
	rc = error > 0 ? -1 : (int)syscall(SYS_mkdirat, dirfd, path, mode);
	if (error > 0)
		errno = error;
	if (rc == 0 && op.directory) {
		op.object = disk_made(dirfd, path, true);
		disk_note(&op);
	}
	disk_leave();
	return rc;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	struct disk_op op = {.kind = DISK_ENTER};
	int error, rc;

	if (!disk_watches())
		return (int)syscall(SYS_linkat, fromfd, from, tofd, to, flags);
	disk_enter();
	op.object = disk_named(fromfd, from);
	op.directory = disk_parent(tofd, to, op.name);
	error = op.directory ? disk_verdict(CALL_ENTER, 0, 0, NULL) : 0;
	rc = error > 0 ? -1 : (int)syscall(SYS_linkat, fromfd, from, tofd, to, flags);
	if (error > 0)
		errno = error;
	if (rc == 0 && op.directory)
		disk_note(&op);
	disk_leave();
	return rc;
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int fromfd, const char *from, int tofd, const char *to)
{
	struct disk_op op = {.kind = DISK_RENAME};
	int error, rc;

	if (!disk_watches())
		return (int)syscall(SYS_renameat2, fromfd, from, tofd, to, 0);
	disk_enter();
	op.object = disk_named(fromfd, from);
	op.directory = disk_parent(fromfd, from, op.name);
	disk_parent(tofd, to, op.to);
	error = op.directory ? disk_verdict(CALL_ENTER, 0, 0, NULL) : 0;
	rc = error > 0 ? -1 : (int)syscall(SYS_renameat2, fromfd, from, tofd, to, 0);
	if (error > 0)
		errno = error;
	if (rc == 0 && op.directory)
		disk_note(&op);
	disk_leave();
	return rc;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	struct disk_op op = {.kind = DISK_REMOVE};
	int error, rc;

	if (!disk_watches())
		return (int)syscall(SYS_unlinkat, dirfd, path, flags);
	disk_enter();
	op.object = disk_named(dirfd, path);
	op.directory = disk_parent(dirfd, path, op.name);
	error = op.object && op.directory ? disk_verdict(CALL_REMOVE, 0, 0, NULL) : 0;
	rc = error > 0 ? -1 : (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (error > 0)
		errno = error;
	if (rc == 0 && op.object && op.directory)
		disk_note(&op);
	disk_leave();
	return rc;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
