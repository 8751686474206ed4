/*
 * import_tree.c - a directory as the source: a Maildir with its folders (Maildir++), a directory of
 * mbox files, or one with a message in each file.
 */
#include "export/export.h"
#include "import.h"
#include "mutf7.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct names {
	char **list;
	size_t used, room;
};

/* ---- names in a directory ---- */

static bool add_name(struct import *im, struct names *ns, const char *name)
{
	size_t n = strlen(name) + 1;
	char **larger, *copy;

	if (ns->used == ns->room) {
		size_t room = ns->room ? ns->room * 2 : 64;

		larger = store_alloc(im->store, room * sizeof(*larger));
		if (!larger)
			return false;
		if (ns->used)
			memcpy(larger, ns->list, ns->used * sizeof(*larger));
		store_free(im->store, ns->list);
		ns->list = larger;
		ns->room = room;
	}
	copy = store_alloc(im->store, n);
	if (!copy)
		return false;
	memcpy(copy, name, n);
	ns->list[ns->used++] = copy;
	return true;
}

static void free_names(struct import *im, struct names *ns)
{
	for (size_t i = 0; i < ns->used; i++)
		store_free(im->store, ns->list[i]);
	store_free(im->store, ns->list);
}

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

/* Those that `wanted` wants, in order. */
static void read_names(struct import *im, struct names *ns,
		       bool (*wanted)(int dir, const struct dirent *))
{
	int fd = import_open(im, "");
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		import_unreadable(im, "");
		if (fd >= 0)
			close(fd);
		return;
	}
	while (im->status == PSTN_OK && (e = readdir(dir)) != NULL) {
		if (wanted(fd, e) && !add_name(im, ns, e->d_name))
			im->status = PSTN_E_NO_MEMORY;
	}
	closedir(dir);
	if (ns->used)
		qsort(ns->list, ns->used, sizeof(*ns->list), by_name);
}

static bool is_type(int dir, const struct dirent *e, unsigned char type, mode_t mode)
{
	struct stat info;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == type;
	return fstatat(dir, e->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (info.st_mode & S_IFMT) == mode;
}

static bool is_folder(int dir, const struct dirent *e)
{
	return e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
	       is_type(dir, e, DT_DIR, S_IFDIR);
}

static bool is_file(int dir, const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return (e->d_name[0] != '.' || (n > 5 && strcmp(e->d_name + n - 5, ".mbox") == 0)) &&
	       is_type(dir, e, DT_REG, S_IFREG);
}

/* ---- Maildir++ ---- */

static bool exists(struct import *im, const char *path, const char *name)
{
	char whole[PATH_MAX];
	int fd;

	snprintf(whole, sizeof(whole), "%s%s%s", path, *path ? "/" : "", name);
	fd = import_open(im, whole);
	if (fd >= 0)
		close(fd);
	/* One that may not be entered is one. */
	return fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
}

static bool is_maildir(struct import *im, const char *path)
{
	return exists(im, path, "cur") || exists(im, path, "new");
}

/* A name that an export wrote into the folder. */
static bool told_name(struct import *im, const char *path, char out[FOLDER_NAME_MAX + 1])
{
	char whole[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(whole, sizeof(whole), "%s/" EXPORT_FOLDER_FILE, path);
	fd = import_open(im, whole);
	if (fd < 0)
		return false;
	n = read(fd, out, FOLDER_NAME_MAX + 1);
	close(fd);
	if (n < 2 || out[n - 1] != '\n')
		return false;
	out[n - 1] = '\0';
	return strlen(out) == (size_t)n - 1;
}

static void import_subfolder(struct import *im, const char *path)
{
	char name[FOLDER_NAME_MAX + 1];
	const char *fault = NULL;

	if (!is_maildir(im, path))
		return;
	if (!told_name(im, path, name) && !mutf7_decode(path + 1, name, sizeof(name)))
		fault = "is not valid modified UTF-7, or longer than 255 octets in UTF-8";
	if (!fault)
		fault = folder_name_fault(name);
	if (fault) {
		im->refused++;
		im->store->host->call->note(im->call, "The folder %.300s is left out: its name %s.",
					    path, fault);
		return;
	}
	if (import_folder(im, name))
		import_maildir(im, path);
}

static void import_maildir_tree(struct import *im)
{
	struct names ns = {.list = NULL};

	if (!import_folder(im, im->wanted ? im->wanted : "INBOX"))
		return;
	import_maildir(im, "");
	import_uidls_free(im, &im->given);
	if (!im->wanted)
		read_names(im, &ns, is_folder);
	for (size_t i = 0; i < ns.used && im->status == PSTN_OK; i++)
		import_subfolder(im, ns.list[i]);
	free_names(im, &ns);
}

/* ---- a directory of files ---- */

/* Every one of them begins as an mbox does, or is empty. */
static bool are_mboxes(struct import *im, const struct names *ns)
{
	bool one = false;

	for (size_t i = 0; i < ns->used; i++) {
		int fd = import_open(im, ns->list[i]);
		struct stat info;
		bool mbox;

		if (fd < 0 || fstat(fd, &info) != 0) {
			if (fd >= 0)
				close(fd);
			return false;
		}
		mbox = import_is_mbox(im, fd);
		close(fd);
		if (!mbox && info.st_size > 0)
			return false;
		one |= mbox;
	}
	return one;
}

static const char *folder_of(const char *file, char out[FOLDER_NAME_MAX + 1])
{
	size_t n = strlen(file);

	if (n > 5 && strcmp(file + n - 5, ".mbox") == 0)
		n -= 5;
	snprintf(out, FOLDER_NAME_MAX + 1, "%.*s", (int)n, file);
	if (strcmp(out, "mbox") == 0 || strcmp(out, "inbox") == 0)
		return "INBOX";
	return out;
}

static void import_mbox_file(struct import *im, const char *file)
{
	char name[FOLDER_NAME_MAX + 1];
	const char *folder = im->wanted ? im->wanted : folder_of(file, name);
	const char *fault = folder_name_fault(folder);
	struct stat info;
	int fd;

	if (fault) {
		im->refused++;
		im->store->host->call->note(im->call, "The mbox %.300s is left out: its name %s.",
					    file, fault);
		return;
	}
	fd = import_open(im, file);
	if (fd < 0 || fstat(fd, &info) != 0)
		import_unreadable(im, file);
	else if (import_folder(im, folder))
		import_mbox(im, fd, (uint64_t)info.st_size);
	if (fd >= 0)
		close(fd);
}

static void import_mboxes(struct import *im, const struct names *ns)
{
	if (im->given && ns->used > 1)
		import_fail(im, "A listing of unique ids is of one folder; give its mbox alone.");
	for (size_t i = 0; i < ns->used && im->status == PSTN_OK; i++)
		import_mbox_file(im, ns->list[i]);
	im->folders -= im->wanted && im->folders > 1 ? im->folders - 1 : 0;
}

void import_directory(struct import *im)
{
	struct names ns = {.list = NULL};

	if (is_maildir(im, "")) {
		import_maildir_tree(im);
		return;
	}
	read_names(im, &ns, is_file);
	if (are_mboxes(im, &ns))
		import_mboxes(im, &ns);
	else if (import_folder(im, im->wanted ? im->wanted : "INBOX"))
		import_plain(im, "");
	free_names(im, &ns);
}
