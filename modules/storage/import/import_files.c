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

struct entry {          /* a file of a directory */
	uint64_t order; /* in which another server shows it; UINT64_MAX: not told */
	uint64_t time;
	const char *directory; /* below the source; "" for itself */
	const char *uidl;
	char *name;
};

struct entries {
	struct entry *list;
	size_t used, room;
};

enum kind { KIND_MAILDIR, KIND_CYRUS, KIND_FILES };

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

static bool read_file(struct import *im, int fd, bool mbox, struct import_message m)
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
			if (mbox)
				skip = from_line(im->piece, (size_t)n, &m.received);
			if (!import_begin(im, &m))
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
		 const struct import_message *m)
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
	if (!read_file(im, fd, content, *m)) {
		import_drop(im);
		return;
	}
	if (content)
		import_key(im, identity, n, key);
	import_end(im, key, 0, &im->read);
}

/* ---- directories ---- */

int import_open(struct import *im, const char *path)
{
	return im->store->host->call->file(im->call, "source", path, PSTN_FILE_READ);
}

void import_unreadable(struct import *im, const char *path)
{
	if (errno == ENOENT)
		return;
	if (im->unreadable++ == 0)
		snprintf(im->first_unreadable, sizeof(im->first_unreadable), "%.400s: %s",
			 *path ? path : "the directory", strerror(errno));
}

static int by_order(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return strcmp(a->name, b->name);
}

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
	es->list[es->used++] = (struct entry){UINT64_MAX, when, directory, NULL, copy};
	return true;
}

/* A file's time, if it is a regular file at all. A link cannot be opened. */
static bool look_at(struct import *im, int dir, const struct dirent *e, uint64_t *when)
{
	struct stat info;

	(void)im;
	if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN)
		return false;
	if (e->d_type == DT_REG && *when)
		return true;
	if (fstatat(dir, e->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
		return false;
	if (*when == 0)
		*when = (uint64_t)info.st_mtime;
	return true;
}

static bool is_cyrus_name(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && digits <= 10 && strcmp(name + digits, ".") == 0;
}

/* The regular files in a directory below the source. */
static void read_entries(struct import *im, struct entries *es, const char *directory,
			 enum kind kind)
{
	int fd = import_open(im, directory);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		import_unreadable(im, directory);
		if (fd >= 0)
			close(fd);
		return;
	}
	while (im->status == PSTN_OK && (e = readdir(dir)) != NULL) {
		uint64_t when =
		    kind == KIND_CYRUS ? strtoull(e->d_name, NULL, 10) : maildir_time(e->d_name);

		if (e->d_name[0] == '.' || (kind == KIND_CYRUS && !is_cyrus_name(e->d_name)) ||
		    !look_at(im, fd, e, &when))
			continue;
		if (!add_entry(im, es, directory, e->d_name, when))
			im->status = PSTN_E_NO_MEMORY;
	}
	closedir(dir);
}

/* ---- their messages ---- */

static void import_entry(struct import *im, const struct entry *e, enum kind kind)
{
	char path[PATH_MAX];
	struct stat info;
	struct import_message m = {.uidl = e->uidl};
	size_t base = maildir_base(e->name);
	int fd, n;

	snprintf(path, sizeof(path), "%s%s%s", e->directory, *e->directory ? "/" : "", e->name);
	fd = import_open(im, path);
	if (fd < 0 || fstat(fd, &info) != 0) {
		import_unreadable(im, path);
		im->refused++;
		if (fd >= 0)
			close(fd);
		return;
	}
	m.received = (uint64_t)info.st_mtime;
	if (kind == KIND_MAILDIR) {
		n = snprintf(path, sizeof(path), "maildir %.*s", (int)base, e->name);
		m.flags = maildir_flags(e->name);
		if (maildir_is_own(e->name))
			m.received = e->time;
		maildir_keywords_of(&im->labels, e->name, base, &im->read);
	} else {
		keyword_list_clear(&im->read);
		n = snprintf(path, sizeof(path), "file %s", e->name);
	}
	import_file(im, fd, path, (size_t)n, kind != KIND_MAILDIR, &m);
	close(fd);
}

/* Gives each file its unique id, and puts them into the order in which clients know them. */
static bool find_uidls(struct import *im, struct entries *es, enum kind kind)
{
	enum import_uidls how;

	if (!import_uidls_prepare(im, kind == KIND_CYRUS, es->used, &how))
		return false;
	for (size_t i = 0; i < es->used; i++) {
		struct entry *e = &es->list[i];
		size_t base = maildir_base(e->name);
		const struct uidl_entry *found =
		    im->found ? uidl_list_name(im->found, e->name, base) : NULL;
		const struct uidl_entry *given =
		    how == IMPORT_UIDLS_NAMES ? import_uidls_name(im, e->name, base) : NULL;

		e->uidl = given && given->uidl ? given->uidl : found ? found->uidl : NULL;
		if (im->found)
			e->order = found ? found->order : UINT64_MAX;
		else if (given)
			e->order = given->order;
	}
	if (es->used)
		qsort(es->list, es->used, sizeof(*es->list), by_order);
	for (size_t i = 0; i < es->used && how == IMPORT_UIDLS_ORDER; i++)
		es->list[i].uidl = import_uidls_nth(im, i);
	return true;
}

static void import_entries(struct import *im, struct entries *es, enum kind kind)
{
	bool good = im->status == PSTN_OK && find_uidls(im, es, kind);

	im->total += es->used;
	im->unit = "messages";
	for (size_t i = 0; i < es->used; i++) {
		if (good && im->status == PSTN_OK)
			import_entry(im, &es->list[i], kind);
		im->done++;
		store_free(im->store, es->list[i].name);
	}
	store_free(im->store, es->list);
	/* Their ids point into the folder's list. */
	import_flush(im);
}

void import_maildir(struct import *im, const char *path)
{
	char cur[PATH_MAX], new[PATH_MAX];
	struct entries es = {.list = NULL};

	snprintf(cur, sizeof(cur), "%s%scur", path, *path ? "/" : "");
	snprintf(new, sizeof(new), "%s%snew", path, *path ? "/" : "");
	import_uidls_found(im, path);
	import_keywords_found(im, path);
	read_entries(im, &es, cur, KIND_MAILDIR);
	read_entries(im, &es, new, KIND_MAILDIR);
	import_entries(im, &es, KIND_MAILDIR);
	import_uidls_free(im, &im->found);
	import_keywords_free(im);
}

void import_plain(struct import *im, const char *path)
{
	struct entries es = {.list = NULL};
	int header = import_open(im, "cyrus.header");
	enum kind kind = header >= 0 ? KIND_CYRUS : KIND_FILES;

	if (header >= 0)
		close(header);
	read_entries(im, &es, path, kind);
	import_entries(im, &es, kind);
}
