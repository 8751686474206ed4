/*
 * home.c - a store's directory.
 */
#include "home_parts.h"

#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHARED_SIZE 4096
_Static_assert(sizeof(struct shared) <= SHARED_SIZE, "what is shared is one page");
#define LOCK_WAIT_MS 15000

int home_say(const struct store *st, char *err, size_t n, const char *name, const char *what)
{
	snprintf(err, n, "%s/%s: %s", st->path, name, what);
	return -1;
}

/* ---- directories ---- */

static int make_directory(const struct store *st, const char *name, char *err, size_t n)
{
	if (mkdirat(st->dir, name, 0700) == 0 || errno == EEXIST)
		return 0;
	return home_say(st, err, n, name, strerror(errno));
}

static int find_path(struct store *st, char *err, size_t n)
{
	const char *state = st->host->directory(st->self, PSTN_DIR_STATE);
	int length;

	if (st->options.path && *st->options.path)
		length = snprintf(st->path, sizeof(st->path), "%s", st->options.path);
	else
		length =
		    snprintf(st->path, sizeof(st->path), "%s/%s", state, st->host->name(st->self));
	/* Names are put behind it later. */
	if (length > 0 && (size_t)length < sizeof(st->path) - 64)
		return 0;
	snprintf(err, n, "the path of the store is too long");
	return -1;
}

/* A directory whose name is lost takes all mail with it. Who made it may have died before it could
 * sync that, so every opening does. */
static int sync_names(const struct store *st, char *err, size_t n)
{
	int parent = openat(st->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	/* Where the server may not read, the administrator made the directory. */
	if (parent >= 0 && fsync(parent) != 0 && errno != EINVAL)
		rc = home_say(st, err, n, "..", strerror(errno));
	if (parent >= 0)
		close(parent);
	if (rc == 0 && fsync(st->dir) != 0)
		rc = home_say(st, err, n, ".", strerror(errno));
	return rc;
}

int home_open(struct store *st, char *err, size_t n)
{
	if (find_path(st, err, n) != 0)
		return -1;
	if (mkdir(st->path, 0700) != 0 && errno != EEXIST) {
		snprintf(err, n,
			 "%s: cannot be made: %s; make it and give it to the user that the server "
			 "runs as",
			 st->path, strerror(errno));
		return -1;
	}
	st->dir = open(st->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dir < 0) {
		snprintf(err, n, "%s: cannot be opened: %s", st->path, strerror(errno));
		return -1;
	}
	if (make_directory(st, "segments", err, n) != 0 ||
	    make_directory(st, "index", err, n) != 0 || sync_names(st, err, n) != 0)
		return -1;
	st->segment_dir = openat(st->dir, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->segment_dir < 0)
		return home_say(st, err, n, "segments", strerror(errno));
	if (faccessat(st->segment_dir, ".", W_OK, 0) != 0)
		return home_say(
		    st, err, n, "segments",
		    "is not writable for the server; it must belong to the user that the "
		    "server runs as");
	return 0;
}

/* ---- who else is there ---- */

bool home_lock_byte(struct store *st, short type, int64_t start)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};

	return fcntl(st->lock, F_OFD_SETLK, &lock) == 0;
}

static bool locked_by_another(struct store *st, int64_t start)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};

	return fcntl(st->lock, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool home_process_lives(struct store *st, uint32_t pid)
{
	return locked_by_another(st, HOME_PROCESS_BYTE + (int64_t)pid);
}

/* Nobody else, or everybody else is through with opening. */
static bool wait_for_lock(struct store *st, bool *first)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	for (int waited = 0; waited < LOCK_WAIT_MS; waited += 10) {
		*first = home_lock_byte(st, F_WRLCK, HOME_STORE_BYTE);
		if (*first || home_lock_byte(st, F_RDLCK, HOME_STORE_BYTE))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

int home_lock(struct store *st, bool *first, char *err, size_t n)
{
	void *page;

	st->lock = openat(st->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (st->lock < 0 || ftruncate(st->lock, SHARED_SIZE) != 0)
		return home_say(st, err, n, "lock", strerror(errno));
	/* LMDB cannot be opened twice by one process: this byte is the process's own. */
	if (!home_lock_byte(st, F_WRLCK, HOME_PROCESS_BYTE + getpid()))
		return home_say(
		    st, err, n, "lock",
		    "another storage instance of this server has the same path; give each "
		    "its own");
	if (!wait_for_lock(st, first))
		return home_say(
		    st, err, n, "lock",
		    "another process has been opening the store for 15 seconds; it may be "
		    "recovering a large one, try again later");
	page = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, st->lock, 0);
	if (page == MAP_FAILED)
		return home_say(st, err, n, "lock", strerror(errno));
	st->shared = page;
	if (*first)
		memset(st->shared, 0, sizeof(*st->shared));
	if (!snapshots_join(st))
		return home_say(st, err, n, "lock", "too many processes have the store open");
	return 0;
}

int home_share(struct store *st, char *err, size_t n)
{
	return home_lock_byte(st, F_RDLCK, HOME_STORE_BYTE)
		   ? 0
		   : home_say(st, err, n, "lock", strerror(errno));
}

bool home_shared_by_others(struct store *st)
{
	return locked_by_another(st, HOME_STORE_BYTE);
}

bool home_scrub_lock(struct store *st, bool take)
{
	return home_lock_byte(st, take ? F_WRLCK : F_UNLCK, HOME_SCRUB_BYTE);
}

/* ---- the index's files ---- */

static bool exists(const struct store *st, const char *name)
{
	return faccessat(st->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool home_has_index(struct store *st)
{
	return exists(st, "index/data.mdb");
}

bool home_rebuild_asked(struct store *st)
{
	return exists(st, "index/rebuild");
}

int home_ask_rebuild(struct store *st)
{
	int dir = openat(st->dir, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, rc = 0;

	if (dir < 0)
		return errno;
	fd = openat(dir, "rebuild", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fsync(dir) != 0)
		rc = errno;
	if (fd >= 0)
		close(fd);
	close(dir);
	return rc;
}

bool home_index_doubted(struct store *st)
{
	return exists(st, "index/doubted");
}

int home_doubt_index(struct store *st, bool doubt)
{
	int fd;

	if (!doubt)
		return unlinkat(st->dir, "index/doubted", 0) == 0 || errno == ENOENT ? 0 : errno;
	fd = openat(st->dir, "index/doubted", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

void home_forget_readers(struct store *st)
{
	unlinkat(st->dir, "index/lock.mdb", 0);
}

static void clear_directory(struct store *st, const char *name)
{
	int fd = openat(st->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		unlinkat(fd, e->d_name, 0);
	closedir(dir);
	unlinkat(st->dir, name, AT_REMOVEDIR);
}

int home_discard_index(struct store *st, char *err, size_t n)
{
	if (!home_has_index(st)) {
		home_forget_readers(st);
		unlinkat(st->dir, "index/checkpoint", 0);
		unlinkat(st->dir, "index/rebuild", 0);
		return 0;
	}
	clear_directory(st, "index.damaged");
	/* The old one must not come back after a power cut: segments that it needs may be gone then. */
	if (renameat(st->dir, "index", st->dir, "index.damaged") != 0 ||
	    mkdirat(st->dir, "index", 0700) != 0 || fsync(st->dir) != 0)
		return home_say(st, err, n, "index", strerror(errno));
	return 0;
}

/* ---- the segments ---- */

int home_each_segment(struct store *st, bool (*each)(struct store *, uint32_t, void *), void *arg)
{
	int fd = openat(st->segment_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		int rc = errno;

		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((e = readdir(dir)) != NULL) {
		uint32_t id = segment_number(e->d_name);

		if (id && !each(st, id, arg))
			break;
	}
	closedir(dir);
	return 0;
}

static bool stop_at_first(struct store *st, uint32_t id, void *arg)
{
	(void)st;
	*(bool *)arg = id != 0;
	return false;
}

bool home_has_segments(struct store *st)
{
	bool any = false;

	(void)home_each_segment(st, stop_at_first, &any);
	return any;
}

static bool larger(struct store *st, uint32_t id, void *arg)
{
	uint32_t *last = arg;

	(void)st;
	if (id > *last)
		*last = id;
	return true;
}

uint32_t home_last_segment(struct store *st)
{
	uint32_t last = 0;

	(void)home_each_segment(st, larger, &last);
	return last;
}

void home_close(struct store *st)
{
	if (st->shared) {
		snapshots_leave(st);
		munmap(st->shared, SHARED_SIZE);
	}
	st->shared = NULL;
	if (st->lock >= 0)
		close(st->lock);
	if (st->segment_dir >= 0)
		close(st->segment_dir);
	if (st->dir >= 0)
		close(st->dir);
	st->lock = st->segment_dir = st->dir = -1;
}
