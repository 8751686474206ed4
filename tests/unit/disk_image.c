/*
 * disk_image.c - files and directories in memory, as a history leaves them.
 */
#undef _FILE_OFFSET_BITS
#include "disk_image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 512

/* Behind `used` there are only zeros. */
struct file {
	unsigned char *bytes;
	size_t used, room;
	uint64_t size;
};

struct entry {
	uint32_t directory, object;
	char name[DISK_NAME];
};

struct image {
	const bool *directories;
	uint32_t objects, entries;
	struct entry entry[ENTRIES_MAX];
	struct file *files; /* by number */
};

static void die(const char *what)
{
	fprintf(stderr, "disk image: %s: %s\n", what, strerror(errno));
	abort();
}

struct image *image_new(const struct disk_history *h)
{
	struct image *im = calloc(1, sizeof(*im));

	if (!im)
		die("no memory");
	im->directories = h->directories;
	im->objects = h->objects;
	im->files = calloc(h->objects + 1, sizeof(*im->files));
	if (!im->files)
		die("no memory");
	return im;
}

void image_free(struct image *im)
{
	for (uint32_t i = 0; i <= im->objects; i++)
		free(im->files[i].bytes);
	free(im->files);
	free(im);
}

/* ---- data ---- */

static void reach(struct file *f, size_t end)
{
	if (end > f->room) {
		f->room = end * 2;
		f->bytes = realloc(f->bytes, f->room);
		if (!f->bytes)
			die("no memory");
	}
	if (end > f->used) {
		memset(f->bytes + f->used, 0, end - f->used);
		f->used = end;
	}
}

static void put(struct file *f, uint64_t at, const unsigned char *bytes, size_t n)
{
	if (!bytes) {
		if (at < f->used)
			memset(f->bytes + at, 0, at + n < f->used ? n : f->used - (size_t)at);
	} else {
		reach(f, (size_t)at + n);
		memcpy(f->bytes + at, bytes, n);
	}
	if (f->size < at + n)
		f->size = at + n;
}

static void resize(struct file *f, uint64_t size)
{
	if (f->used > size)
		f->used = (size_t)size;
	f->size = size;
}

void image_copy(struct image *to, const struct image *from)
{
	to->entries = from->entries;
	memcpy(to->entry, from->entry, from->entries * sizeof(*from->entry));
	for (uint32_t i = 1; i <= from->objects; i++) {
		struct file *f = &to->files[i];

		f->used = 0;
		reach(f, from->files[i].used);
		if (f->used)
			memcpy(f->bytes, from->files[i].bytes, f->used);
		f->size = from->files[i].size;
	}
}

/* ---- names ---- */

static struct entry *find(struct image *im, uint32_t directory, const char *name)
{
	for (uint32_t i = 0; i < im->entries; i++) {
		if (im->entry[i].directory == directory && strcmp(im->entry[i].name, name) == 0)
			return &im->entry[i];
	}
	return NULL;
}

static void forget(struct image *im, uint32_t directory, const char *name)
{
	struct entry *e = find(im, directory, name);

	if (e)
		*e = im->entry[--im->entries];
}

static void enter(struct image *im, uint32_t directory, const char *name, uint32_t object)
{
	forget(im, directory, name);
	if (im->entries == ENTRIES_MAX)
		die("too many names");
	im->entry[im->entries] = (struct entry){.directory = directory, .object = object};
	snprintf(im->entry[im->entries++].name, DISK_NAME, "%s", name);
}

static void apply_write(struct file *f, const struct disk_op *op, size_t sector,
			bool (*chosen)(void *arg), void *arg)
{
	for (uint64_t at = op->offset, end = op->offset + op->length; at < end;) {
		uint64_t next = chosen ? (at / sector + 1) * sector : end;

		if (next > end)
			next = end;
		if (!chosen || chosen(arg))
			put(f, at, op->bytes ? op->bytes + (at - op->offset) : NULL,
			    (size_t)(next - at));
		at = next;
	}
}

void image_apply(struct image *im, const struct disk_op *op, size_t sector,
		 bool (*chosen)(void *arg), void *arg)
{
	struct file *f = &im->files[op->object];

	switch (op->kind) {
	case DISK_WRITE:
		apply_write(f, op, sector, chosen, arg);
		break;
	case DISK_TRUNCATE:
		resize(f, op->offset);
		break;
	case DISK_EXTEND:
		if (f->size < op->offset)
			f->size = op->offset;
		break;
	case DISK_ENTER:
		enter(im, op->directory, op->name, op->object);
		break;
	case DISK_REMOVE:
		forget(im, op->directory, op->name);
		break;
	case DISK_RENAME:
		forget(im, op->directory, op->name);
		enter(im, op->directory, op->to, op->object);
		break;
	case DISK_SYNC:
	case DISK_SYNC_ALL:
	case DISK_MARK:
		break;
	}
}

/* ---- to and from a real directory ---- */

static void clear(int fd)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *e;

	rewinddir(dir);
	while ((e = readdir(dir)) != NULL) {
		int child;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(fd, e->d_name, 0) == 0)
			continue;
		child = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child < 0)
			die(e->d_name);
		clear(child);
		close(child);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static void write_file(const struct file *f, int fd)
{
	static const unsigned char zeros[4096];

	for (size_t at = 0, n; at < f->used; at += n) {
		n = f->used - at < sizeof(zeros) ? f->used - at : sizeof(zeros);
		if (memcmp(f->bytes + at, zeros, n) != 0 &&
		    pwrite(fd, f->bytes + at, n, (off_t)at) != (ssize_t)n)
			die("a file cannot be written");
	}
	if (ftruncate(fd, (off_t)f->size) != 0)
		die("a file cannot be written");
}

static void write_directory(const struct image *im, uint32_t directory, int fd)
{
	for (uint32_t i = 0; i < im->entries; i++) {
		const struct entry *e = &im->entry[i];
		int child;

		if (e->directory != directory)
			continue;
		if (im->directories[e->object]) {
			mkdirat(fd, e->name, 0700);
			child = openat(fd, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		} else {
			child = openat(fd, e->name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		}
		if (child < 0)
			die(e->name);
		if (im->directories[e->object])
			write_directory(im, e->object, child);
		else
			write_file(&im->files[e->object], child);
		close(child);
	}
}

void image_write(const struct image *im, const char *directory)
{
	int fd;

	mkdir(directory, 0700);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(directory);
	clear(fd);
	write_directory(im, 1, fd);
	close(fd);
}

/* ---- comparing ---- */

static bool same_file(const struct file *f, int fd, const char *name, char *difference, size_t n)
{
	static unsigned char bytes[65536];
	struct stat info;
	ssize_t got;

	if (fstat(fd, &info) != 0 || (uint64_t)info.st_size != f->size) {
		snprintf(difference, n, "%s has %llu octets in the history, %lld on disk", name,
			 (unsigned long long)f->size, (long long)info.st_size);
		return false;
	}
	for (size_t at = 0; (got = pread(fd, bytes, sizeof(bytes), (off_t)at)) > 0;
	     at += (size_t)got) {
		for (size_t i = 0; i < (size_t)got; i++) {
			unsigned want = at + i < f->used ? f->bytes[at + i] : 0;

			if (bytes[i] == want)
				continue;
			snprintf(difference, n, "%s differs at %zu", name, at + i);
			return false;
		}
	}
	return true;
}

static bool counts(const char *name, const char *const *except)
{
	for (; *except; except++) {
		if (strcmp(*except, name) == 0)
			return false;
	}
	return true;
}

static bool same_directory(const struct image *im, uint32_t directory, int fd,
			   const char *const *except, char *difference, size_t n)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *e;
	uint32_t there = 0, known = 0;
	bool same = true;

	for (uint32_t i = 0; i < im->entries; i++)
		known += im->entry[i].directory == directory;
	rewinddir(dir);
	while (same && (e = readdir(dir)) != NULL) {
		const struct entry *entry;
		int child;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		there++;
		entry = find((struct image *)(uintptr_t)im, directory, e->d_name);
		if (!entry) {
			snprintf(difference, n, "%s is not in the history", e->d_name);
			same = false;
			break;
		}
		child = openat(fd, e->d_name, O_RDONLY | O_CLOEXEC);
		if (im->directories[entry->object])
			same = same_directory(im, entry->object, child, except, difference, n);
		else if (counts(e->d_name, except))
			same =
			    same_file(&im->files[entry->object], child, e->d_name, difference, n);
		close(child);
	}
	closedir(dir);
	if (same && there != known) {
		snprintf(difference, n, "%u names in the history, %u on disk", known, there);
		same = false;
	}
	return same;
}

bool image_same(const struct image *im, const char *directory, const char *const *except,
		char *difference, size_t n)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool same;

	if (fd < 0)
		die(directory);
	same = same_directory(im, 1, fd, except, difference, n);
	close(fd);
	return same;
}

/* ---- for people ---- */

void disk_print(const struct disk_history *h, uint32_t ops)
{
	static const char *const kinds[] = {"write",  "truncate", "extend",   "enter", "remove",
					    "rename", "sync",     "sync all", "told"};

	for (uint32_t i = h->first; i < h->count && i < ops; i++) {
		const struct disk_op *op = &h->ops[i];

		fprintf(stderr, "%5u %-8s ", i, kinds[op->kind]);
		if (op->kind == DISK_MARK)
			fprintf(stderr, "%u %u\n", op->mark, op->value);
		else if (*op->name)
			fprintf(stderr, "%u/%s %s = %u\n", op->directory, op->name, op->to,
				op->object);
		else
			fprintf(stderr, "%u at %llu, %llu\n", op->object,
				(unsigned long long)op->offset, (unsigned long long)op->length);
	}
}
