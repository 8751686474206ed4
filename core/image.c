/*
 * image.c - a module file opened for real, through libltdl.
 */
#include "config.h"

#include "image.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where every user has a group of his own (and umask 002), that group is nobody else. */
static bool is_private_group(const struct stat *st)
{
	return geteuid() && st->st_uid == geteuid() && st->st_gid == st->st_uid;
}

static int check_one(const char *path, bool directory, char *err, size_t errlen)
{
	const char *what = directory ? "directory" : "file";
	struct stat st;

	if (stat(path, &st) < 0) {
		snprintf(err, errlen, "%s cannot be looked at: %s", path, strerror(errno));
		return -1;
	}
	if (directory ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
		snprintf(err, errlen, "%s is not a regular %s", path, what);
		return -1;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		snprintf(err, errlen,
			 "%s %s belongs to uid %u: it has to belong to root or to the user that "
			 "runs this (chown root %s)",
			 what, path, (unsigned)st.st_uid, path);
		return -1;
	}
	if ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && !is_private_group(&st))) {
		snprintf(err, errlen, "%s %s may be written by others (mode %04o): chmod go-w %s",
			 what, path, (unsigned)st.st_mode & 07777, path);
		return -1;
	}
	return 0;
}

int image_check_file(const char *path, char *err, size_t errlen)
{
	char *real = realpath(path, NULL);

	if (!real) {
		snprintf(err, errlen, "%s cannot be found: %s", path, strerror(errno));
		return -1;
	}
	int result = check_one(real, false, err, errlen);
	if (!result)
		result = check_one(dirname(real), true, err, errlen);
	free(real);
	return result;
}

/*
 * libltdl binds lazily, so that a missing function would end a session instead of a candidate, and
 * it hides the linker's reasons. Opening the file once before settles both; it stays open.
 */
static int bind_now(const char *path, char *err, size_t errlen)
{
	if (dlopen(path, RTLD_NOW | RTLD_LOCAL))
		return 0;
	const char *reason = dlerror();
	snprintf(err, errlen, "%s cannot be opened: %s", path, reason ? reason : "unknown reason");
	return -1;
}

static lt_dlhandle open_local(const char *path)
{
	lt_dlhandle handle = NULL;
	lt_dladvise advise;

	if (lt_dladvise_init(&advise))
		return NULL;
	if (!lt_dladvise_local(&advise) && !lt_dladvise_resident(&advise))
		handle = lt_dlopenadvise(path, advise);
	lt_dladvise_destroy(&advise);
	return handle;
}

static const struct pstn_module *judge_again(const char *path, const struct pstn_module *m,
					     char *err, size_t errlen)
{
	if (m && m->magic == PSTN_MAGIC && m->abi_major == PSTN_ABI_MAJOR &&
	    m->abi_minor <= PSTN_ABI_MINOR)
		return m;
	snprintf(err, errlen,
		 "%s is not the module that was judged: it was replaced meanwhile; "
		 "reload again",
		 path);
	return NULL;
}

const struct pstn_module *image_open(const char *path, char *err, size_t errlen)
{
	if (image_check_file(path, err, errlen) || bind_now(path, err, errlen))
		return NULL;
	if (lt_dlinit()) {
		snprintf(err, errlen, "libltdl does not start: %s", lt_dlerror());
		return NULL;
	}
	lt_dlhandle handle = open_local(path);
	if (!handle) {
		snprintf(err, errlen, "%s cannot be opened: %s", path, lt_dlerror());
		return NULL;
	}
	return judge_again(path, lt_dlsym(handle, "pstn_module"), err, errlen);
}
