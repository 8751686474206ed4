/*
 * backup_place.c - a backup's directory: whose it is, who uses it, and its files.
 */
#include "backup.h"

#include "format/checksum.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TITLE        "postern backup\n"
#define FORMAT       1
#define IDENTITY_MAX 128
#define SUM_PIECE    ((size_t)64 << 10)

/* Octets of the lock file: who writes has the first alone, who reads shares the second. */
enum { LOCK_WRITER, LOCK_READERS };

/* ---- telling ---- */

void backup_fail(const struct backup *b, const char *name, const char *what)
{
	b->ops->fail(b->call, "%s%s%s: %s.", b->path, *name ? "/" : "", name, what);
}

void backup_fail_errno(const struct backup *b, const char *name, int error)
{
	if (error == ENOSPC || error == EDQUOT)
		backup_fail(b, name,
			    "the disk is full; make room and run the command again, it goes on "
			    "from here. Earlier snapshots are whole");
	else if (error == ECONNRESET || error == ECANCELED)
		backup_fail(b, name, "cancelled; earlier snapshots are whole");
	else if (error == ELOOP || error == EXDEV)
		backup_fail(b, name, "is a link or on another file system; that is not followed");
	else
		backup_fail(b, name, strerror(error));
}

/* ---- files ---- */

int backup_open(const struct backup *b, const char *name, int mode)
{
	return b->ops->file(b->call, BACKUP_DIRECTORY, name, mode);
}

int backup_sync(const struct backup *b, const char *name)
{
	int fd = backup_open(b, name, PSTN_FILE_READ), rc, error;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

int backup_write(int fd, const void *bytes, size_t n, uint64_t offset)
{
	for (size_t done = 0; done < n;) {
		ssize_t now =
		    pwrite(fd, (const char *)bytes + done, n - done, (off_t)(offset + done));

		if (now < 0 && errno == EINTR)
			continue;
		if (now == 0)
			errno = ENOSPC;
		if (now <= 0)
			return -1;
		done += (size_t)now;
	}
	return 0;
}

int backup_sum(struct store *st, int fd, uint64_t *length, uint64_t *sum)
{
	unsigned char *piece = store_alloc(st, SUM_PIECE);
	XXH3_state_t state;
	ssize_t n = -1;

	*length = 0;
	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, 0);
	errno = ENOMEM;
	while (piece && (n = pread(fd, piece, SUM_PIECE, (off_t)*length)) > 0) {
		XXH3_64bits_update(&state, piece, (size_t)n);
		*length += (uint64_t)n;
	}
	store_free(st, piece);
	*sum = XXH3_64bits_digest(&state);
	return n == 0 ? 0 : -1;
}

int backup_each(const struct backup *b, const char *name, bool (*each)(void *arg, const char *name),
		void *arg)
{
	int fd = backup_open(b, name, PSTN_FILE_READ);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    !each(arg, e->d_name))
			break;
	closedir(dir);
	return 0;
}

/* ---- whose it is ---- */

static int identity_text(const unsigned char id[16], char text[IDENTITY_MAX])
{
	int n = snprintf(text, IDENTITY_MAX, TITLE "format %d\nid ", FORMAT);

	for (int i = 0; i < 16; i++)
		n += snprintf(text + n, IDENTITY_MAX - (size_t)n, "%02x", id[i]);
	n += snprintf(text + n, IDENTITY_MAX - (size_t)n, "\n");
	return n + snprintf(text + n, IDENTITY_MAX - (size_t)n, "check %016" PRIx64 "\n",
			    record_sum(text, (size_t)n, 0));
}

static bool write_identity(struct backup *b)
{
	char text[IDENTITY_MAX];
	int length = identity_text(b->store->uuid, text), fd;
	bool written;

	b->ops->remove(b->call, BACKUP_DIRECTORY, "backup.new");
	fd = backup_open(b, "backup.new", PSTN_FILE_CREATE);
	written = fd >= 0 && backup_write(fd, text, (size_t)length, 0) == 0 && fsync(fd) == 0 &&
		  b->ops->rename(b->call, BACKUP_DIRECTORY, "backup.new", "backup") == 0 &&
		  backup_sync(b, "") == 0;
	if (!written)
		backup_fail_errno(b, "backup", errno);
	if (fd >= 0)
		close(fd);
	memcpy(b->id, b->store->uuid, sizeof(b->id));
	return written;
}

static bool parse_identity(struct backup *b, const char *text)
{
	char same[IDENTITY_MAX];
	unsigned format;
	int at = 0;

	if (sscanf(text, TITLE "format %u\nid %n", &format, &at) != 1 || at == 0) {
		backup_fail(b, "backup", "is damaged; name another directory");
		return false;
	}
	if (format > FORMAT) {
		backup_fail(b, "backup", "is of a later version of the server; use that version");
		return false;
	}
	for (int i = 0; i < 16; i++) {
		unsigned v = 0;

		(void)sscanf(text + at + i * 2, "%2x", &v);
		b->id[i] = (unsigned char)v;
	}
	identity_text(b->id, same);
	if (strcmp(text, same) == 0)
		return true;
	backup_fail(b, "backup",
		    "fails its checksum; the file can be copied from another backup "
		    "of the same store");
	return false;
}

/* 1: there is none. */
static int read_identity(struct backup *b)
{
	char text[IDENTITY_MAX] = "";
	int fd = backup_open(b, "backup", PSTN_FILE_READ);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 1;
	if (fd < 0) {
		backup_fail_errno(b, "backup", errno);
		return -1;
	}
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	return n >= 0 && parse_identity(b, text) ? 0 : -1;
}

static bool is_foreign(void *arg, const char *name)
{
	bool *foreign = arg;

	*foreign = strcmp(name, "lock") != 0 && strcmp(name, "backup.new") != 0 &&
		   strcmp(name, "lost+found") != 0 && strcmp(name, "segments") != 0 &&
		   strcmp(name, "snapshots") != 0;
	return !*foreign;
}

static bool make_directory(const struct backup *b, const char *name)
{
	int fd = backup_open(b, name, PSTN_FILE_DIRECTORY);

	if (fd < 0) {
		backup_fail_errno(b, name, errno);
		return false;
	}
	close(fd);
	return true;
}

static bool make_backup(struct backup *b)
{
	bool foreign = false;

	if (backup_each(b, "", is_foreign, &foreign) != 0) {
		backup_fail_errno(b, "", errno);
		return false;
	}
	if (foreign) {
		backup_fail(b, "", "is not empty and holds no backup; name an empty directory");
		return false;
	}
	return make_directory(b, "segments") && make_directory(b, "snapshots") && write_identity(b);
}

static bool identify(struct backup *b, enum backup_use use)
{
	int rc = read_identity(b);

	if (rc < 0)
		return false;
	if (rc > 0 && use == BACKUP_ADD)
		return make_backup(b);
	if (rc > 0) {
		backup_fail(b, "", "holds no backup; `backup create` makes one");
		return false;
	}
	if (use == BACKUP_ADD && memcmp(b->id, b->store->uuid, sizeof(b->id)) != 0) {
		backup_fail(b, "",
			    "holds the backup of another store (a restored server's store is a new "
			    "one); name an empty directory");
		return false;
	}
	return true;
}

/* ---- who uses it ---- */

static bool lock_octet(const struct backup *b, short type, off_t octet)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1};

	if (fcntl(b->lock, F_OFD_SETLK, &lock) == 0)
		return true;
	if (errno == EAGAIN || errno == EACCES)
		backup_fail(b, "",
			    "another command is using the backup; try again when it is done");
	else
		backup_fail_errno(b, "lock", errno);
	return false;
}

/* Of a directory that can only be read, the lock file may be missing: a copy of a backup. */
static bool open_lock(struct backup *b, enum backup_use use)
{
	b->lock = backup_open(b, "lock", use == BACKUP_READ ? PSTN_FILE_READ : PSTN_FILE_WRITE);
	if (b->lock < 0 && errno == ENOENT && use == BACKUP_ADD)
		b->lock = backup_open(b, "lock", PSTN_FILE_CREATE);
	if (b->lock >= 0 || (errno == ENOENT && use != BACKUP_ADD))
		return true;
	if (errno == EEXIST)
		backup_fail(b, "",
			    "another command is using the backup; try again when it is done");
	else
		backup_fail_errno(b, "lock", errno);
	return false;
}

bool backup_begin(struct backup *b, struct store *st, struct pstn_call *c, enum backup_use use)
{
	*b = (struct backup){.store = st, .ops = st->host->call, .call = c, .lock = -1};
	b->path = b->ops->arg(c, BACKUP_DIRECTORY);
	if (!b->path) {
		b->ops->fail(c, "The directory is missing.");
		return false;
	}
	if (open_lock(b, use) &&
	    (b->lock < 0 ||
	     ((use == BACKUP_READ || lock_octet(b, F_WRLCK, LOCK_WRITER)) &&
	      (use == BACKUP_ADD ||
	       lock_octet(b, use == BACKUP_READ ? F_RDLCK : F_WRLCK, LOCK_READERS)))) &&
	    identify(b, use))
		return true;
	backup_end(b);
	return false;
}

void backup_end(struct backup *b)
{
	if (b->lock >= 0)
		close(b->lock);
	b->lock = -1;
}
