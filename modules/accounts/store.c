/*
 * store.c - opening and closing the database, and what all transactions have in common.
 */
#include "store_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FORMAT = 1, READERS = 1024 };

/* Address space, not memory or disk. All versions use one number, so that generations agree. */
#define MAP_SIZE (UINT64_C(8) << 30)

MDB_val store_key(const char *text)
{
	return (MDB_val){.mv_size = strlen(text), .mv_data = (char *)text};
}

const char *store_path(const struct store *st)
{
	return st->path;
}

uint64_t store_version(struct store *st)
{
	MDB_envinfo info;

	return mdb_env_info(st->env, &info) == 0 ? info.me_last_txnid : 0;
}

/* ---- transactions ---- */

int store_begin(struct store *st, unsigned flags, MDB_txn **txn)
{
	int dead, rc = mdb_txn_begin(st->env, NULL, flags, txn);

	if (rc == MDB_READERS_FULL && mdb_reader_check(st->env, &dead) == 0 && dead > 0)
		rc = mdb_txn_begin(st->env, NULL, flags, txn);
	return rc;
}

void store_report(struct store *st, int rc, const char *doing)
{
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_ERROR, "database_error",
				 PSTN_S("file", st->path), PSTN_S("doing", doing),
				 PSTN_S("error", mdb_strerror(rc))));
}

/* LMDB's codes are errno values and, below zero, its own from -30799; ours are near zero. */
static bool is_status(int rc)
{
	return rc < 0 && rc > -1000;
}

static int status_of(int rc)
{
	switch (rc) {
	case 0:
		return PSTN_OK;
	case MDB_NOTFOUND:
		return PSTN_E_NOT_FOUND;
	case MDB_KEYEXIST:
		return PSTN_E_EXISTS;
	case MDB_MAP_FULL:
	case ENOSPC:
	case EDQUOT:
		return PSTN_E_FULL;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_PANIC:
		return PSTN_E_DAMAGED;
	case ENOMEM:
		return PSTN_E_NO_MEMORY;
	default:
		return PSTN_E_TEMPORARY;
	}
}

int store_end(struct store *st, MDB_txn *txn, int rc, const char *doing)
{
	if (txn && rc == 0)
		rc = mdb_txn_commit(txn);
	else if (txn)
		mdb_txn_abort(txn);
	if (is_status(rc))
		return rc;
	if (rc != 0 && rc != MDB_NOTFOUND && rc != MDB_KEYEXIST)
		store_report(st, rc, doing);
	return status_of(rc);
}

int store_number_get(struct store *st, MDB_txn *txn, const char *name, uint64_t *value)
{
	MDB_val key = store_key(name), data;
	int rc = mdb_get(txn, st->meta, &key, &data);

	if (rc != 0)
		return rc;
	if (data.mv_size != sizeof(*value))
		return MDB_CORRUPTED;
	*value = 0;
	for (size_t i = 0; i < sizeof(*value); i++)
		*value |= (uint64_t)((unsigned char *)data.mv_data)[i] << (8 * i);
	return 0;
}

int store_number_put(struct store *st, MDB_txn *txn, const char *name, uint64_t value)
{
	unsigned char octets[sizeof(value)];
	MDB_val key = store_key(name), data = {sizeof(octets), octets};

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (unsigned char)(value >> (8 * i));
	return mdb_put(txn, st->meta, &key, &data, 0);
}

/* ---- opening ---- */

static int open_tables(struct store *st, MDB_txn *txn, unsigned flags)
{
	int rc = mdb_dbi_open(txn, "meta", flags, &st->meta);

	if (rc == 0)
		rc = mdb_dbi_open(txn, "accounts", flags, &st->accounts);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "domains", flags, &st->domains);
	return rc;
}

/* Milliseconds, so that a database begun anew after the old one was lost never hands out an id
 * under which the store still keeps somebody else's mail. */
static uint64_t first_id(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In a new file. Another process may be doing the same: the write lock puts them in order. */
static int create_tables(struct store *st)
{
	MDB_txn *txn;
	uint64_t format;
	int rc = mdb_txn_begin(st->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	rc = open_tables(st, txn, MDB_CREATE);
	if (rc == 0 && store_number_get(st, txn, "format", &format) == MDB_NOTFOUND) {
		rc = store_number_put(st, txn, "format", FORMAT);
		if (rc == 0)
			rc = store_number_put(st, txn, "readable_by", FORMAT);
		if (rc == 0)
			rc = store_number_put(st, txn, "next_id", first_id());
		if (rc == 0)
			rc = store_number_put(st, txn, "created", (uint64_t)time(NULL));
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int find_tables(struct store *st, uint64_t *format, uint64_t *readable_by)
{
	MDB_txn *txn;
	int rc = store_begin(st, MDB_RDONLY, &txn);

	if (rc != 0)
		return rc;
	rc = open_tables(st, txn, 0);
	if (rc == 0)
		rc = store_number_get(st, txn, "format", format);
	if (rc == 0)
		rc = store_number_get(st, txn, "readable_by", readable_by);
	/* Only a commit keeps the table handles. */
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/*
 * A file that was cut off would end the process with SIGBUS when a missing page is read. Filled up
 * with zeros the same read is an error that LMDB reports. *cut tells whether it was necessary.
 */
static int fill_up(struct store *st, bool *cut)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat file;
	MDB_txn *txn;
	off_t size;
	int fd, rc = mdb_txn_begin(st->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	*cut = false;
	mdb_env_info(st->env, &info);
	mdb_env_stat(st->env, &stat);
	size = (off_t)((info.me_last_pgno + 1) * stat.ms_psize);
	rc = mdb_env_get_fd(st->env, &fd);
	if (rc == 0 && fstat(fd, &file) != 0)
		rc = errno;
	if (rc == 0 && file.st_size < size) {
		*cut = true;
		rc = ftruncate(fd, size) == 0 ? 0 : errno;
	}
	mdb_txn_abort(txn);
	return rc;
}

static int open_environment(struct store *st)
{
	int rc = mdb_env_create(&st->env);

	if (rc == 0)
		rc = mdb_env_set_userctx(st->env, st);
	if (rc == 0)
		rc = mdb_env_set_assert(st->env, store_asserted);
	if (rc == 0)
		rc = mdb_env_set_mapsize(st->env, MAP_SIZE);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(st->env, READERS);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(st->env, 8);
	if (rc == 0)
		rc = mdb_env_open(st->env, st->path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
	return rc;
}

/* Verifiers can be attacked by whoever can read them. */
static void warn_if_readable(struct store *st)
{
	struct stat file;
	int fd;

	if (mdb_env_get_fd(st->env, &fd) != 0 || fstat(fd, &file) != 0 ||
	    (file.st_mode & (S_IRGRP | S_IROTH)) == 0)
		return;
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "database_readable",
				 PSTN_S("file", st->path),
				 PSTN_S("todo", "others can read the verifiers: chmod 600")));
}

static int refuse(struct store *st, const char *what, const char *todo, char *err, size_t errlen)
{
	snprintf(err, errlen, "%s: %s; %s", st->path, what, todo);
	return -1;
}

static int open_database(struct store *st, char *err, size_t errlen)
{
	static const char restore[] = "restore it from a backup, or move it away to begin without "
				      "accounts";
	uint64_t format = 0, readable_by = 0;
	bool cut = false;
	int dead, rc = open_environment(st);

	if (rc == 0)
		rc = mdb_reader_check(st->env, &dead);
	if (rc == 0)
		rc = fill_up(st, &cut);
	if (rc == 0)
		rc = find_tables(st, &format, &readable_by);
	if (rc == MDB_NOTFOUND && !cut) {
		rc = create_tables(st);
		readable_by = format = FORMAT;
		if (rc == 0)
			st->host->log(PSTN_EVENT(st->self, NULL, PSTN_INFO, "database_created",
						 PSTN_S("file", st->path)));
	}
	if (rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ||
	    rc == MDB_VERSION_MISMATCH || rc == MDB_NOTFOUND)
		return refuse(st, "is damaged or no accounts database", restore, err, errlen);
	if (rc != 0)
		return refuse(st, mdb_strerror(rc), "the accounts database cannot be opened", err,
			      errlen);
	if (readable_by > FORMAT) {
		snprintf(err, errlen,
			 "%s: has format %ju, written by a newer version; this one "
			 "reads up to format %d",
			 st->path, (uintmax_t)format, FORMAT);
		return -1;
	}
	warn_if_readable(st);
	return cut ? store_check(st, UINT64_MAX, err, errlen) : 0;
}

struct store *store_open(const struct pstn_host *host, struct pstn_self *self, char *err,
			 size_t errlen)
{
	const char *directory = host->directory(self, PSTN_DIR_STATE);
	struct store *st = host->alloc(self, sizeof(*st));

	if (!st) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	st->host = host;
	st->self = self;
	pthread_mutex_init(&st->check.lock, NULL);
	/* The instance's own name: LMDB must not open one file twice in a process. */
	if ((size_t)snprintf(st->path, sizeof(st->path), "%s/%s.mdb", directory,
			     host->name(self)) >= sizeof(st->path)) {
		snprintf(err, errlen, "%s: the path is too long", directory);
		store_close(st);
		return NULL;
	}
	if (open_database(st, err, errlen) != 0) {
		store_close(st);
		return NULL;
	}
	return st;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	if (st->env)
		mdb_env_close(st->env);
	pthread_mutex_destroy(&st->check.lock);
	st->host->free(st->self, st);
}
