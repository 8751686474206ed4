/*
 * backup_snapshots.c - the snapshots in a backup's directory: their manifests' files, which there are,
 * which one is meant.
 */
#include "backup.h"

#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_MAX ((size_t)64 << 20)

/* ---- manifests ---- */

/* NULL: PSTN_E_TEMPORARY and errno, or another status. */
static char *read_text(const struct backup *b, const char *path, size_t *n, int *status)
{
	int fd = backup_open(b, path, PSTN_FILE_READ);
	struct stat info = {0};
	char *text = NULL;
	ssize_t got = 0;

	*n = 0;
	*status = fd < 0 && errno == ENOENT ? PSTN_E_NOT_FOUND : PSTN_E_TEMPORARY;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &info) == 0 && (size_t)info.st_size <= MANIFEST_MAX)
		text = store_alloc(b->store, (size_t)info.st_size + 1);
	*status = text ? PSTN_OK : PSTN_E_NO_MEMORY;
	while (text && *n < (size_t)info.st_size &&
	       (got = pread(fd, text + *n, (size_t)info.st_size - *n, (off_t)*n)) > 0)
		*n += (size_t)got;
	if (text)
		text[*n] = '\0';
	close(fd);
	return text;
}

int backup_read_manifest(const struct backup *b, const char *name, struct manifest *m)
{
	char path[BACKUP_PATH], *text;
	int status;
	size_t n;

	manifest_begin(m, b->store);
	backup_snapshot_path(name, ".snapshot", path);
	text = read_text(b, path, &n, &status);
	if (!text)
		return status;
	status = manifest_decode(m, text, n);
	if (status == PSTN_OK && (strcmp(m->name, name) != 0 || memcmp(m->id, b->id, 16) != 0))
		status = PSTN_E_DAMAGED;
	store_free(b->store, text);
	return status;
}

int backup_write_manifest(const struct backup *b, const struct manifest *m)
{
	char path[BACKUP_PATH], fresh[BACKUP_PATH], *text;
	int fd, rc = -1, error;
	size_t n;

	backup_snapshot_path(m->name, ".snapshot", path);
	backup_snapshot_path(m->name, ".new", fresh);
	text = manifest_encode(m, &n);
	if (!text) {
		errno = ENOMEM;
		return -1;
	}
	fd = backup_open(b, fresh, PSTN_FILE_CREATE);
	if (fd >= 0 && backup_write(fd, text, n, 0) == 0 && fsync(fd) == 0 &&
	    b->ops->rename(b->call, BACKUP_DIRECTORY, fresh, path) == 0)
		rc = backup_sync(b, "snapshots");
	error = errno;
	if (fd >= 0)
		close(fd);
	store_free(b->store, text);
	errno = error;
	return rc;
}

/* ---- snapshots ---- */

static bool take_name(void *arg, const char *file)
{
	struct backup_names *s = arg;
	int used = 0;

	if (sscanf(file, "%*8[0-9]T%*6[0-9]Z.snapshot%n", &used) != 0 || used != 25 ||
	    file[used] != '\0')
		return true;
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		char(*larger)[BACKUP_NAME] = store_alloc(s->store, room * sizeof(*larger));

		if (larger && s->count)
			memcpy(larger, s->names, s->count * sizeof(*larger));
		s->failed = !larger;
		if (s->failed)
			return false;
		store_free(s->store, s->names);
		s->names = larger;
		s->room = room;
	}
	memcpy(s->names[s->count], file, BACKUP_NAME - 1);
	s->names[s->count++][BACKUP_NAME - 1] = '\0';
	return true;
}

static int by_name(const void *x, const void *y)
{
	return memcmp(x, y, BACKUP_NAME);
}

bool backup_names_list(const struct backup *b, struct backup_names *s)
{
	*s = (struct backup_names){.store = b->store};
	if (backup_each(b, "snapshots", take_name, s) != 0) {
		backup_fail_errno(b, "snapshots", errno);
		return false;
	}
	if (s->failed) {
		b->ops->fail(b->call, "There is not enough memory.");
		return false;
	}
	if (s->count)
		qsort(s->names, s->count, sizeof(*s->names), by_name);
	return true;
}

void backup_names_clear(struct backup_names *s)
{
	store_free(s->store, s->names);
	s->names = NULL;
	s->count = s->room = 0;
}

static bool read_chosen(const struct backup *b, const char *name, struct manifest *m)
{
	char path[BACKUP_PATH];
	int status = backup_read_manifest(b, name, m);

	backup_snapshot_path(name, ".snapshot", path);
	if (status == PSTN_E_NOT_FOUND)
		backup_fail(b, path, "there is no such snapshot; `backup list` shows all");
	else if (status == PSTN_E_INVALID)
		backup_fail(b, path, "is of a later version of the server; use that version");
	else if (status == PSTN_E_DAMAGED)
		backup_fail(b, path, "is damaged; choose another one with --snapshot");
	else if (status != PSTN_OK)
		backup_fail_errno(b, path, status == PSTN_E_NO_MEMORY ? ENOMEM : errno);
	return status == PSTN_OK;
}

bool backup_chosen_manifest(const struct backup *b, struct manifest *m)
{
	const char *name = b->ops->arg(b->call, "snapshot");
	struct backup_names s;
	bool good;

	manifest_begin(m, b->store);
	if (name && strlen(name) != BACKUP_NAME - 1) {
		b->ops->fail(b->call, "\"%s\" is no snapshot; `backup list` shows all.", name);
		return false;
	}
	if (name)
		return read_chosen(b, name, m);
	good = backup_names_list(b, &s);
	if (good && s.count == 0) {
		backup_fail(b, "", "there is no snapshot yet; `backup create` makes one");
		good = false;
	}
	good = good && read_chosen(b, s.names[s.count - 1], m);
	backup_names_clear(&s);
	return good;
}
