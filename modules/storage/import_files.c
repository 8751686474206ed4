/*
 * import_files.c - messages that are files: one, those of a directory, those of a Maildir.
 */
#include "import.h"
#include "maildir.h"
#include "mbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry { /* a file of a directory */
	uint64_t time;
	const char *directory; /* below the source; "" for itself */
	char *name;
};

/* ---- a file with one message ---- */

/* A leading "From " line is the mbox's, not the message's. It is within the first piece. */
static size_t from_line(const char *piece, size_t n, uint64_t *received)
{
	const char *lf;
	uint64_t date;

	if (n < 5 || memcmp(piece, "From ", 5) != 0)
		return 0;
	lf = memchr(piece, '\n', n);
	if (!lf)
		return 0;
	if (mbox_is_from(piece, (size_t)(lf - piece), &date) && date)
		*received = date;
	return (size_t)(lf - piece) + 1;
}

static bool read_file(struct import *im, int fd, uint64_t received, uint32_t flags)
{
	bool first = true;

	for (;;) {
		ssize_t n = read(fd, im->piece, IMPORT_PIECE);
		size_t skip = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			im->status = PSTN_E_TEMPORARY;
			return false;
		}
		if (first) {
			skip = from_line(im->piece, (size_t)n, &received);
			if (!import_begin(im, received, flags))
				return false;
			first = false;
		}
		if (n == 0)
			return true;
		if (!import_text(im, im->piece + skip, (size_t)n - skip))
			return false;
	}
}

void import_file(struct import *im, int fd, const char *identity, size_t n, bool content,
		 uint64_t received, uint32_t flags)
{
	unsigned char key[16];

	if (!content) {
		/* The name alone tells who it is: what is there need not be read. */
		XXH3_128bits_reset(im->hash);
		import_key(im, identity, n, key);
		if (import_is_there(im, key)) {
			im->skipped++;
			return;
		}
	}
	if (!read_file(im, fd, received, flags)) {
		import_drop(im);
		return;
	}
	if (content)
		import_key(im, identity, n, key);
	import_end(im, key, 0);
}

/* ---- directories ---- */

static int by_time(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return strcmp(a->name, b->name);
}

struct entries {
	struct entry *list;
	size_t used, room;
};

static bool add_entry(struct import *im, struct entries *es, const char *directory,
		      const char *name, uint64_t when)
{
	size_t n = strlen(name) + 1;
	struct entry *larger;
	char *copy;

	if (es->used == es->room) {
		size_t room = es->room ? es->room * 2 : 256;

		larger = store_alloc(im->store, room * sizeof(*larger));
		if (!larger)
			return false;
		if (es->used)
			memcpy(larger, es->list, es->used * sizeof(*larger));
		store_free(im->store, es->list);
		es->list = larger;
		es->room = room;
	}
	copy = store_alloc(im->store, n);
	if (!copy)
		return false;
	memcpy(copy, name, n);
	es->list[es->used++] = (struct entry){when, directory, copy};
	return true;
}

static int open_below(int dir, const char *directory)
{
	return openat(dir, *directory ? directory : ".",
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What is not there any more was moved by a mail program; all else has to be told. */
static void cannot_read(struct import *im, const char *path)
{
	if (errno == ENOENT)
		return;
	if (im->unreadable++ == 0)
		snprintf(im->first_unreadable, sizeof(im->first_unreadable), "%.400s: %s", path,
			 strerror(errno));
}

/* Names of the regular files in a directory below the source. */
static void read_entries(struct import *im, struct entries *es, int source, const char *directory)
{
	int fd = open_below(source, directory);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		cannot_read(im, *directory ? directory : "the directory");
		if (fd >= 0)
			close(fd);
		return;
	}
	while (im->status == PSTN_OK && (e = readdir(dir)) != NULL) {
		struct stat info;
		uint64_t when = maildir_time(e->d_name);

		if (e->d_name[0] == '.' ||
		    fstatat(fd, e->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(info.st_mode))
			continue;
		if (!when)
			when = (uint64_t)info.st_mtime;
		if (!add_entry(im, es, directory, e->d_name, when))
			im->status = PSTN_E_NO_MEMORY;
	}
	closedir(dir);
}

static void import_entry(struct import *im, int source, const struct entry *e, bool maildir)
{
	char path[512];
	struct stat info;
	int fd, n;

	n = snprintf(path, sizeof(path), "%s%s%s", e->directory, *e->directory ? "/" : "", e->name);
	errno = ENAMETOOLONG;
	fd = n < 0 || (size_t)n >= sizeof(path)
		 ? -1
		 : openat(source, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) != 0) {
		cannot_read(im, path);
		im->refused++;
		if (fd >= 0)
			close(fd);
		return;
	}
	if (maildir) {
		n = snprintf(path, sizeof(path), "maildir %.*s", (int)maildir_base(e->name),
			     e->name);
		import_file(im, fd, path, (size_t)n, false, (uint64_t)info.st_mtime,
			    strcmp(e->directory, "cur") == 0 ? maildir_flags(e->name) : 0);
	} else {
		n = snprintf(path, sizeof(path), "file %s", e->name);
		import_file(im, fd, path, (size_t)n, true, (uint64_t)info.st_mtime, 0);
	}
	close(fd);
}

void import_directory(struct import *im, int source)
{
	struct entries es = {.list = NULL};
	bool maildir;

	read_entries(im, &es, source, "cur");
	read_entries(im, &es, source, "new");
	maildir = faccessat(source, "cur", F_OK, 0) == 0 || faccessat(source, "new", F_OK, 0) == 0;
	if (!maildir)
		read_entries(im, &es, source, "");
	if (es.used)
		qsort(es.list, es.used, sizeof(*es.list), by_time);
	im->total = es.used;
	im->unit = "messages";
	for (size_t i = 0; i < es.used; i++) {
		if (im->status == PSTN_OK)
			import_entry(im, source, &es.list[i], maildir);
		im->done++;
		store_free(im->store, es.list[i].name);
	}
	store_free(im->store, es.list);
}
