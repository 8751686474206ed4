/*
 * export_maildir.c - a folder as a Maildir (Maildir++), with a dovecot-uidlist that has the unique ids.
 *
 * A message's file has a name that is always the same, "RECEIVED.UuidVuidvalidity.postern,W=OCTETS",
 * so that a second run finds what is there. It is written and synced in tmp, then moved.
 */
#include "export.h"
#include "format/checksum.h"
#include "import/maildir.h"
#include "import/mutf7.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct folder {
	const char *name;
	char path[EXPORT_NAME]; /* below the directory; "" for INBOX */
	char **there;           /* names in cur, in order */
	size_t used, room;
};

static void join(char out[PATH_MAX], const struct folder *f, const char *name)
{
	snprintf(out, PATH_MAX, "%s%s%s", f->path, *f->path ? "/" : "", name);
}

/* ---- the folder's directory ---- */

static bool write_small(struct export *ex, const char *path, const char *text)
{
	return export_create(ex, path) && export_write(ex, text, strlen(text)) &&
	       export_close(ex, 0);
}

static void name_folder(struct folder *f)
{
	if (strcmp(f->name, "INBOX") == 0) {
		f->path[0] = '\0';
		return;
	}
	f->path[0] = '.';
	/* Encoded, a name may be too long for a directory; then a file in it has it. */
	if (!mutf7_encode(f->name, f->path + 1, sizeof(f->path) - 1))
		snprintf(f->path, sizeof(f->path), ".postern-%016" PRIx64,
			 (uint64_t)XXH3_64bits(f->name, strlen(f->name)));
}

static bool make_folder(struct export *ex, const struct folder *f)
{
	static const char *const parts[] = {"", "cur", "new", "tmp"};
	char path[PATH_MAX], text[FOLDER_NAME_MAX + 2];

	for (size_t i = *f->path ? 0 : 1; i < sizeof(parts) / sizeof(*parts); i++) {
		if (i)
			join(path, f, parts[i]);
		else
			snprintf(path, sizeof(path), "%s", f->path);
		if (!export_directory(ex, path))
			return false;
	}
	join(path, f, "maildirfolder");
	if (*f->path && !write_small(ex, path, ""))
		return false;
	if (strncmp(f->path, ".postern-", 9) != 0)
		return true;
	snprintf(text, sizeof(text), "%s\n", f->name);
	join(path, f, EXPORT_FOLDER_FILE);
	return write_small(ex, path, text);
}

/* ---- what is there ---- */

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static bool add_name(struct export *ex, struct folder *f, const char *name)
{
	size_t n = strlen(name) + 1;
	char **larger;

	if (f->used == f->room) {
		size_t room = f->room ? f->room * 2 : 256;

		larger = store_alloc(ex->store, room * sizeof(*larger));
		if (!larger)
			return false;
		if (f->used)
			memcpy(larger, f->there, f->used * sizeof(*larger));
		store_free(ex->store, f->there);
		f->there = larger;
		f->room = room;
	}
	f->there[f->used] = store_alloc(ex->store, n);
	if (!f->there[f->used])
		return false;
	memcpy(f->there[f->used++], name, n);
	return true;
}

static bool read_there(struct export *ex, struct folder *f)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;
	int fd;

	join(path, f, "cur");
	fd = ex->store->host->call->file(ex->call, "directory", path, PSTN_FILE_READ);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		export_fail(ex, "%.300s cannot be read: %s.", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (ex->status == PSTN_OK && (e = readdir(dir)) != NULL) {
		if (maildir_is_own(e->d_name) && !add_name(ex, f, e->d_name))
			ex->status = PSTN_E_NO_MEMORY;
	}
	closedir(dir);
	if (f->used)
		qsort(f->there, f->used, sizeof(*f->there), by_name);
	return ex->status == PSTN_OK;
}

/* The whole name of the file whose name begins so; NULL: it is not there. */
static const char *find(const struct folder *f, const char *base)
{
	size_t low = 0, high = f->used, n = strlen(base);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(f->there[mid], base) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->used && strncmp(f->there[low], base, n) == 0 && f->there[low][n] == ':'
		   ? f->there[low]
		   : NULL;
}

/* ---- messages ---- */

static void base_of(const struct export *ex, const struct pstn_message *m, char out[EXPORT_NAME])
{
	snprintf(out, EXPORT_NAME, "%08" PRIu64 ".U%" PRIu32 "V%" PRIu32 ".postern,W=%" PRIu64,
		 m->received, m->uid, ex->uidvalidity, m->octets);
}

static bool to_file(void *arg, const char *bytes, size_t n)
{
	return export_write(arg, bytes, n);
}

static void write_message(struct export *ex, const struct folder *f, const char *base,
			  const char *target, const struct pstn_message *m)
{
	char tmp[PATH_MAX], name[EXPORT_NAME + 8];
	int why;

	snprintf(name, sizeof(name), "tmp/%s", base);
	join(tmp, f, name);
	if (!export_create(ex, tmp))
		return;
	if (export_text(ex, m, &why, to_file, ex)) {
		if (export_close(ex, m->received) && export_rename(ex, tmp, target)) {
			ex->exported++;
			ex->octets += m->octets;
		}
		return;
	}
	export_abandon(ex);
	if (why != PSTN_OK && ex->status == PSTN_OK)
		export_left_out(ex, f->name, m, why);
}

static bool each(struct export *ex, void *arg, const struct pstn_message *m)
{
	struct folder *f = arg;
	char base[EXPORT_NAME], name[EXPORT_NAME + 64], flags[8], letters[32];
	char target[PATH_MAX], old[PATH_MAX];
	const char *there;
	uint64_t bits;

	if (!export_keywords_of(ex, m, &bits))
		return false;
	base_of(ex, m, base);
	maildir_letters(m->flags, flags);
	export_keyword_letters(bits, letters);
	snprintf(name, sizeof(name), "cur/%s:2,%s%s", base, flags, letters);
	join(target, f, name);
	there = find(f, base);
	if (!there) {
		write_message(ex, f, base, target, m);
	} else {
		ex->skipped++;
		snprintf(old, sizeof(old), "%s%scur/%.*s", f->path, *f->path ? "/" : "",
			 EXPORT_NAME, there);
		if (strcmp(old, target) != 0)
			export_rename(ex, old, target);
	}
	ex->store->host->call->progress(ex->call, ++ex->done, ex->total, "messages");
	if (ex->status == PSTN_OK && ex->store->host->call->cancelled(ex->call))
		ex->status = PSTN_E_CANCELLED;
	return ex->status == PSTN_OK;
}

/* ---- dovecot-uidlist ---- */

static bool list_message(struct export *ex, void *arg, const struct pstn_message *m)
{
	char base[EXPORT_NAME], line[EXPORT_NAME + UIDL_MAX + 32];
	int n;

	(void)arg;
	base_of(ex, m, base);
	n = snprintf(line, sizeof(line), "%" PRIu32 " P%s :%s\n", m->uid, m->uidl, base);
	return export_write(ex, line, (size_t)n);
}

static bool write_uidlist(struct export *ex, const struct folder *f)
{
	char path[PATH_MAX], unfinished[PATH_MAX], head[64];

	join(path, f, "dovecot-uidlist");
	join(unfinished, f, "dovecot-uidlist.part");
	snprintf(head, sizeof(head), "3 V%" PRIu32 " N%" PRIu32 "\n", ex->uidvalidity,
		 ex->view.uidnext);
	if (!export_create(ex, unfinished))
		return false;
	if (!export_write(ex, head, strlen(head)) || !export_each(ex, list_message, NULL)) {
		export_abandon(ex);
		return false;
	}
	return export_close(ex, 0) && export_rename(ex, unfinished, path);
}

void export_maildir(struct export *ex, const char *folder)
{
	struct folder f = {.name = folder};
	char path[PATH_MAX];

	name_folder(&f);
	if (make_folder(ex, &f) && read_there(ex, &f) && export_each(ex, each, &f) &&
	    write_uidlist(ex, &f) && export_keyword_files(ex, f.path, base_of)) {
		join(path, &f, "cur");
		if (export_sync_directory(ex, path))
			export_sync_directory(ex, f.path);
	}
	for (size_t i = 0; i < f.used; i++)
		store_free(ex->store, f.there[i]);
	store_free(ex->store, f.there);
}
