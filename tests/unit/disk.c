/*
 * disk.c - what happened to the files below a directory, and which call is to fail.
 */
#undef _FILE_OFFSET_BITS
#include "disk_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPS_MAX     200000
#define OBJECTS_MAX 4000
#define ARENA       ((size_t)1 << 30) /* of address space */

struct object {
	dev_t device;
	ino_t inode;
	uint64_t allocated; /* before it no new space is needed */
};

/* Shared by the processes of one history. */
struct memory {
	pthread_mutex_t mutex;
	bool recording;
	uint32_t count, first, objects;
	size_t used; /* of arena */
	struct object object[OBJECTS_MAX];
	bool directories[OBJECTS_MAX];
	struct disk_op ops[OPS_MAX];
	unsigned char arena[ARENA];
};

static struct memory *memory;
static struct {
	bool active;
	char directory[256];
	struct disk_fault fault;
	uint32_t calls, hit;
} failing;

static bool sparse;

static void die(const char *what)
{
	fprintf(stderr, "disk: %s\n", what);
	abort();
}

/* ---- shared memory ---- */

static void make_memory(void)
{
	pthread_mutexattr_t attr;

	if (memory)
		return;
	memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		die("no memory");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&memory->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

bool disk_watches(void)
{
	return memory && (memory->recording || failing.active);
}

void disk_sparse(bool is)
{
	sparse = is;
}

bool disk_is_sparse(void)
{
	return sparse;
}

void disk_enter(void)
{
	int error = errno;

	if (pthread_mutex_lock(&memory->mutex) == EOWNERDEAD)
		pthread_mutex_consistent(&memory->mutex);
	errno = error;
}

void disk_leave(void)
{
	int error = errno;

	pthread_mutex_unlock(&memory->mutex);
	errno = error;
}

/* ---- objects ---- */

/* The newest one of that inode: numbers of inodes are used again. */
static uint32_t object_of(const struct stat *info)
{
	for (uint32_t i = memory->objects; i > 0; i--) {
		if (memory->object[i].inode == info->st_ino &&
		    memory->object[i].device == info->st_dev)
			return i;
	}
	return 0;
}

static uint32_t new_object(const struct stat *info)
{
	uint32_t number = memory->objects + 1;
	uint64_t room = (uint64_t)info->st_blocks * 512;

	if (number == OBJECTS_MAX)
		die("too many files");
	/* Space that was set aside beyond the end counts. */
	if (room < (uint64_t)info->st_size)
		room = (uint64_t)info->st_size;
	memory->object[number] =
	    (struct object){.device = info->st_dev, .inode = info->st_ino, .allocated = room};
	memory->directories[number] = S_ISDIR(info->st_mode);
	memory->objects = number;
	return number;
}

/* Files are also made by calls that are not caught: openat2() has no function. What fails is found
 * by its path; while a history is recorded nothing of the kind may happen. */
static bool is_below(int fd)
{
	char link[64], path[1024];
	size_t n = strlen(failing.directory);
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	return length > (ssize_t)n && memcmp(path, failing.directory, n) == 0 && path[n] == '/';
}

uint32_t disk_object(int fd)
{
	struct stat info;
	uint32_t object;

	if (fstat(fd, &info) != 0)
		return 0;
	object = object_of(&info);
	if (object || !failing.active || !is_below(fd))
		return object;
	return new_object(&info);
}

uint32_t disk_named(int dirfd, const char *path)
{
	struct stat info;

	return fstatat(dirfd, path, &info, AT_SYMLINK_NOFOLLOW) == 0 ? object_of(&info) : 0;
}

uint32_t disk_parent(int dirfd, const char *path, char name[DISK_NAME])
{
	const char *slash = strrchr(path, '/');
	char directory[1024];

	if (!slash)
		snprintf(directory, sizeof(directory), ".");
	else
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
	snprintf(name, DISK_NAME, "%s", slash ? slash + 1 : path);
	return disk_named(dirfd, *directory ? directory : "/");
}

uint32_t disk_made(int dirfd, const char *path, bool directory)
{
	struct stat info;

	if (fstatat(dirfd, path, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
	    directory != S_ISDIR(info.st_mode))
		die("what was made is not there");
	return new_object(&info);
}

/* ---- remembering ---- */

void disk_note(const struct disk_op *op)
{
	if (!memory->recording)
		return;
	if (memory->count == OPS_MAX)
		die("the history is too long");
	memory->ops[memory->count++] = *op;
}

void disk_note_size(uint32_t object, uint64_t end, bool allocation)
{
	if (!allocation || memory->object[object].allocated < end)
		memory->object[object].allocated = end;
}

void disk_note_write(uint32_t object, const void *bytes, size_t length, uint64_t offset)
{
	struct disk_op op = {
	    .kind = DISK_WRITE, .object = object, .offset = offset, .length = length};
	const unsigned char *p = bytes;

	disk_note_size(object, offset + length, true);
	if (!memory->recording)
		return;
	if (length > 0 && (p[0] != 0 || memcmp(p, p + 1, length - 1) != 0)) {
		if (memory->used + length > ARENA)
			die("the history has too many octets");
		memcpy(memory->arena + memory->used, p, length);
		op.bytes = memory->arena + memory->used;
		memory->used += (length + 15) & ~(size_t)15;
	}
	disk_note(&op);
}

void disk_mark(uint32_t mark, uint32_t value)
{
	struct disk_op op = {.kind = DISK_MARK, .mark = mark, .value = value};

	if (!disk_watches())
		return;
	disk_enter();
	disk_note(&op);
	disk_leave();
}

/* ---- what is there at the begin ---- */

static void note_contents(int fd, uint32_t object, const struct stat *info)
{
	static unsigned char bytes[1 << 20];
	struct disk_op size = {
	    .kind = DISK_TRUNCATE, .object = object, .offset = (uint64_t)info->st_size};
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
		disk_note_write(object, bytes, (size_t)n, (uint64_t)at);
	disk_note(&size);
}

static void note_directory(int fd, uint32_t object);

static void note_entry(int fd, uint32_t directory, const char *name)
{
	struct disk_op op = {.kind = DISK_ENTER, .directory = directory};
	struct stat info;
	int child = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (child < 0 || fstat(child, &info) != 0)
		die("what is there cannot be read");
	op.object = new_object(&info);
	snprintf(op.name, sizeof(op.name), "%s", name);
	disk_note(&op);
	if (S_ISDIR(info.st_mode))
		note_directory(child, op.object);
	else
		note_contents(child, op.object, &info);
	close(child);
}

static void note_directory(int fd, uint32_t object)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			note_entry(fd, object, e->d_name);
	}
	if (dir)
		closedir(dir);
}

static void begin(const char *directory, bool recording)
{
	struct stat info;
	int fd;

	make_memory();
	memory->recording = false;
	memory->count = memory->objects = 0;
	memory->used = 0;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) != 0)
		die("the directory cannot be opened");
	memory->recording = recording;
	note_directory(fd, new_object(&info));
	memory->first = memory->count;
	close(fd);
}

void disk_record(const char *directory)
{
	begin(directory, true);
}

void disk_stop(struct disk_history *h)
{
	memory->recording = false;
	*h = (struct disk_history){.ops = memory->ops,
				   .count = memory->count,
				   .first = memory->first,
				   .objects = memory->objects,
				   .directories = memory->directories};
}

/* ---- failing ---- */

void disk_fail(const char *directory, const struct disk_fault *fault)
{
	failing.active = false;
	begin(directory, false);
	failing.fault = *fault;
	snprintf(failing.directory, sizeof(failing.directory), "%s", directory);
	failing.calls = failing.hit = 0;
	failing.active = true;
}

uint32_t disk_heal(uint32_t *hit)
{
	failing.active = false;
	if (hit)
		*hit = failing.hit;
	return failing.calls;
}

static bool needs_space(enum disk_call call, uint32_t object, uint64_t end)
{
	if (call == CALL_WRITE || call == CALL_ALLOCATE)
		return object == 0 || end > memory->object[object].allocated;
	return call == CALL_ENTER;
}

int disk_verdict(enum disk_call call, uint32_t object, uint64_t end, size_t *length)
{
	const struct disk_fault *f = &failing.fault;

	if (!failing.active || f->reads != (call == CALL_READ) ||
	    (f->space_only && !needs_space(call, object, end)) ||
	    (f->read_only && call == CALL_SYNC))
		return 0;
	failing.calls++;
	if (f->at == 0 || failing.calls < f->at || (f->times && failing.calls >= f->at + f->times))
		return 0;
	failing.hit++;
	if (f->error)
		return f->error;
	if (length && *length > 1)
		*length /= 2;
	return -1;
}
