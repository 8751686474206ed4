/*
 * checkpoint.c - taking and restoring one durable state of the index.
 */
#include "checkpoint.h"

#include "format/bytes.h"
#include "format/checksum.h"
#include "index.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* The file: two slots, written in turn; a slot is a header and a copy of a meta page's begin. */
#define SLOT_SIZE ((off_t)4096)
#define SLOT_HEAD 64
#define SLOT_USED (SLOT_HEAD + CHECKPOINT_META)

/* LMDB 0.9, data version 1, 64 bit: a meta page is a page header and this. */
#define META_AT           16
#define META_MAGIC        UINT32_C(0xBEEFC0DE)
#define META_VERSION      1
#define META_PAGE_SIZE_AT (META_AT + 24)
#define META_TXN_AT       (META_AT + 128)

static const char slot_magic[8] = {'P', 'S', 'T', 'N', 'C', 'K', 'P', '1'};

/* ---- a slot ---- */

static void slot_encode(const struct checkpoint_state *c, unsigned char slot[SLOT_USED])
{
	memset(slot, 0, SLOT_HEAD);
	memcpy(slot, slot_magic, 8);
	put64(slot + 16, c->number);
	put64(slot + 24, c->txn);
	put32(slot + 32, c->page_size);
	memcpy(slot + SLOT_HEAD, c->meta, CHECKPOINT_META);
	put64(slot + 8, checksum(slot + 16, SLOT_USED - 16, 0));
}

static bool slot_read(int fd, unsigned i, struct checkpoint_state *c)
{
	unsigned char slot[SLOT_USED];

	if (pread(fd, slot, sizeof(slot), (off_t)i * SLOT_SIZE) != (ssize_t)sizeof(slot) ||
	    memcmp(slot, slot_magic, 8) != 0 ||
	    get64(slot + 8) != checksum(slot + 16, SLOT_USED - 16, 0))
		return false;
	c->number = get64(slot + 16);
	c->txn = get64(slot + 24);
	c->page_size = get32(slot + 32);
	memcpy(c->meta, slot + SLOT_HEAD, CHECKPOINT_META);
	c->found = c->page_size >= CHECKPOINT_META;
	return c->found;
}

/* The newest of both. */
static void newest(int fd, struct checkpoint_state *c)
{
	struct checkpoint_state other = {.slot = 1};

	memset(c, 0, sizeof(*c));
	slot_read(fd, 0, c);
	if (slot_read(fd, 1, &other) && (!c->found || c->number <= other.number))
		*c = other;
}

/* *unsure: it may look written and not be on disk. */
static int slot_write(int fd, unsigned i, const struct checkpoint_state *c, bool *unsure)
{
	unsigned char slot[SLOT_USED];
	ssize_t n;

	slot_encode(c, slot);
	n = pwrite(fd, slot, sizeof(slot), (off_t)i * SLOT_SIZE);
	if (n != (ssize_t)sizeof(slot))
		return n < 0 ? errno : ENOSPC;
	*unsure = fdatasync(fd) != 0;
	return *unsure ? errno : 0;
}

/* ---- restoring ---- */

static int open_in(const char *index_path, const char *name, int flags)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", index_path, name);

	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int checkpoint_read(const char *index_path, struct checkpoint_state *c)
{
	int fd = open_in(index_path, "checkpoint", O_RDONLY), rc = 0;
	unsigned char octet;

	memset(c, 0, sizeof(*c));
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	newest(fd, c);
	if (!c->found && (pread(fd, &octet, 1, 0) < 0 || pread(fd, &octet, 1, SLOT_SIZE) < 0))
		rc = errno;
	close(fd);
	return rc;
}

/* It was read, which does not mean that it is on disk: a sync of it may have failed. The other slot
 * is written next, and must not be the only one until then. */
static int keep_slot(const char *index_path, const struct checkpoint_state *c)
{
	int fd = open_in(index_path, "checkpoint", O_RDWR), rc;
	bool unsure;

	if (fd < 0)
		return errno;
	rc = slot_write(fd, c->slot, c, &unsure);
	close(fd);
	return rc;
}

int checkpoint_restore(const char *index_path, const struct checkpoint_state *c)
{
	int fd, rc = keep_slot(index_path, c);

	if (rc != 0)
		return rc;
	fd = open_in(index_path, "data.mdb", O_RDWR);
	if (fd < 0)
		return errno;
	/* Both meta pages: LMDB takes the one with the higher transaction id. */
	for (off_t i = 0; rc == 0 && i < 2; i++) {
		ssize_t n = pwrite(fd, c->meta, CHECKPOINT_META, i * (off_t)c->page_size);

		if (n != CHECKPOINT_META)
			rc = n < 0 ? errno : ENOSPC;
	}
	if (rc == 0 && fdatasync(fd) != 0)
		rc = errno;
	close(fd);
	return rc;
}

/* ---- taking ---- */

/* Without the files' names the index would have to be made anew after a power cut. */
static int sync_names(const char *index_path)
{
	int fd = open(index_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : errno;

	if (fd >= 0)
		close(fd);
	return rc;
}

int checkpoint_open(struct checkpoint *c, const char *index_path)
{
	int rc;

	memset(c, 0, sizeof(*c));
	c->fd = open_in(index_path, "checkpoint", O_RDWR | O_CREAT);
	c->data = open_in(index_path, "data.mdb", O_RDONLY);
	rc = c->fd < 0 || c->data < 0 ? errno : pthread_mutex_init(&c->mutex, NULL);
	/* On a full disk a checkpoint has to be possible still. */
	if (rc == 0)
		rc = posix_fallocate(c->fd, 0, 2 * SLOT_SIZE);
	return rc == 0 ? sync_names(index_path) : rc;
}

static bool read_meta(const struct checkpoint *c, uint64_t txn, uint32_t page_size,
		      unsigned char meta[CHECKPOINT_META])
{
	off_t at = (off_t)(txn & 1) * (off_t)page_size;

	return pread(c->data, meta, CHECKPOINT_META, at) == CHECKPOINT_META &&
	       get32(meta + META_AT) == META_MAGIC && get32(meta + META_AT + 4) == META_VERSION &&
	       get32(meta + META_PAGE_SIZE_AT) == page_size && get64(meta + META_TXN_AT) == txn;
}

/* A read transaction and the meta page of the state it sees. The page is overwritten two commits
 * later, hence the tries. */
static int pin_and_copy(struct checkpoint *c, MDB_env *env, MDB_txn **pin,
			struct checkpoint_state *state)
{
	MDB_stat info;
	int rc = mdb_env_stat(env, &info);

	state->page_size = info.ms_psize;
	for (int tries = 0; rc == 0 && tries < 100; tries++) {
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, pin);
		if (rc != 0)
			break;
		state->txn = mdb_txn_id(*pin);
		if (read_meta(c, state->txn, state->page_size, state->meta))
			return 0;
		mdb_txn_abort(*pin);
	}
	return rc != 0 ? rc : EAGAIN;
}

static int write_newer(struct checkpoint *c, struct checkpoint_state *state, bool *unsure)
{
	struct checkpoint_state last;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int rc = 0;

	if (fcntl(c->fd, F_OFD_SETLKW, &lock) != 0)
		return errno;
	/* A process that was killed may have written a slot and not synced it: before it counts, or
	 * the other one goes, it has to be on disk. */
	*unsure = fdatasync(c->fd) != 0;
	if (*unsure)
		rc = errno;
	newest(c->fd, &last);
	state->number = last.found ? last.number + 1 : 1;
	/* Another process may have been here meanwhile with a later state. */
	if (rc == 0 && (!last.found || last.txn < state->txn))
		rc = slot_write(c->fd, last.found ? last.slot ^ 1 : 0, state, unsure);
	lock.l_type = F_UNLCK;
	fcntl(c->fd, F_OFD_SETLK, &lock);
	return rc;
}

/* The index must not know more than the segments hold: what was committed until the state was
 * pinned is synced before the state counts. */
static int sync_segments(const struct store *st)
{
	return st->options.durability == DURABILITY_FULL && !st->recovering
		   ? 0
		   : syncfs(st->segment_dir);
}

static int take(struct checkpoint *c, struct index *ix)
{
	struct checkpoint_state state = {.found = true};
	MDB_txn *pin;
	bool unsure = false;
	int rc = atomic_load(&ix->store->shared->unsynced) ? EIO
							   : pin_and_copy(c, ix->env, &pin, &state);

	if (rc != 0)
		return rc;
	if (c->pin && state.txn == c->pinned) {
		mdb_txn_abort(pin);
		return 0;
	}
	unsure = sync_segments(ix->store) != 0 || fdatasync(c->data) != 0;
	rc = unsure ? errno : write_newer(c, &state, &unsure);
	if (unsure)
		atomic_store(&ix->store->shared->unsynced, 1);
	if (rc != 0) {
		mdb_txn_abort(pin);
		return rc;
	}
	/* Only now may the pages of the state before be used again. */
	if (c->pin)
		mdb_txn_abort(c->pin);
	c->pin = pin;
	c->pinned = state.txn;
	return 0;
}

int checkpoint_take(struct checkpoint *c, struct index *ix)
{
	int rc;

	pthread_mutex_lock(&c->mutex);
	pthread_rwlock_rdlock(&ix->map);
	/* The transactions of a killed process would keep every page since then from being used
	 * again. Our own pin is what protects the checkpoint. */
	mdb_reader_check(ix->env, NULL);
	rc = take(c, ix);
	pthread_rwlock_unlock(&ix->map);
	pthread_mutex_unlock(&c->mutex);
	return rc;
}

void checkpoint_close(struct checkpoint *c)
{
	if (c->pin)
		mdb_txn_abort(c->pin);
	c->pin = NULL;
	if (c->fd >= 0)
		close(c->fd);
	if (c->data >= 0)
		close(c->data);
	c->fd = c->data = -1;
	pthread_mutex_destroy(&c->mutex);
}
