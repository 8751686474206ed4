/*
 * index.c - the LMDB environment: opening, transactions, growth of the map.
 *
 * Nothing is synced here on commit (MDB_NOSYNC): the segments are the journal, and checkpoint.c
 * keeps one state of the index on disk that recovery can start from.
 */
#include "index.h"

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define READER_SLOTS 1022 /* over all processes that share the store */
#define MAP_MAX      ((size_t)1 << 46)

int index_status(int rc)
{
	switch (rc) {
	case 0:
		return PSTN_OK;
	case MDB_NOTFOUND:
		return PSTN_E_NOT_FOUND;
	case MDB_KEYEXIST:
		return PSTN_E_EXISTS;
	case ENOMEM:
		return PSTN_E_NO_MEMORY;
	case ENOSPC:
	case EDQUOT:
	case MDB_MAP_FULL:
		return PSTN_E_FULL;
	case EINVAL:
		return PSTN_E_INVALID;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
		return PSTN_E_DAMAGED;
	default: /* also MDB_PANIC: a write failed, and LMDB wants to be opened anew */
		return PSTN_E_TEMPORARY;
	}
}

bool index_is_damaged(int rc)
{
	switch (rc) {
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_NOTFOUND: /* a table, or the row that says what it is */
		return true;
	default:
		return false;
	}
}

const char *index_error(int rc)
{
	return mdb_strerror(rc);
}

/* ---- opening ---- */

static int open_tables(struct index *ix, MDB_txn *txn, unsigned flags)
{
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} tables[] = {
	    {NULL, &ix->tables},         {"meta", &ix->meta},
	    {"segments", &ix->segments}, {"accounts", &ix->accounts},
	    {"folders", &ix->folders},   {"names", &ix->names},
	    {"messages", &ix->messages}, {"tombstones", &ix->tombstones},
	    {"changes", &ix->changes},   {"uidls", &ix->uidls},
	    {"imports", &ix->imports},   {"keywords", &ix->keywords},
	    {"domains", &ix->domains},
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		int rc = mdb_dbi_open(txn, tables[i].name, flags, tables[i].dbi);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int open_env(struct index *ix, const char *path, bool create)
{
	MDB_txn *txn;
	int rc = mdb_env_create(&ix->env);

	if (rc != 0)
		return rc;
	mdb_env_set_maxdbs(ix->env, 16);
	mdb_env_set_maxreaders(ix->env, READER_SLOTS);
	rc = mdb_env_set_mapsize(ix->env, ix->store->options.index_map_size);
	if (rc == 0)
		rc = mdb_env_open(ix->env, path, MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = open_tables(ix, txn, create ? MDB_CREATE : 0);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

int index_open(struct index *ix, struct store *st, const char *path, bool create, char *err,
	       size_t n)
{
	int rc;

	memset(ix, 0, sizeof(*ix));
	ix->store = st;
	if (pthread_rwlock_init(&ix->map, NULL) != 0) {
		snprintf(err, n, "no lock for the index could be made");
		return ENOMEM;
	}
	rc = open_env(ix, path, create);
	if (rc == 0)
		return 0;
	snprintf(err, n, "%s/data.mdb: %s", path, mdb_strerror(rc));
	index_close(ix);
	return rc;
}

void index_close(struct index *ix)
{
	for (size_t i = 0; i < INDEX_READERS; i++) {
		MDB_txn *txn = atomic_exchange(&ix->idle[i], NULL);

		if (txn)
			mdb_txn_abort(txn);
	}
	if (!ix->env)
		return;
	mdb_env_close(ix->env);
	ix->env = NULL;
	pthread_rwlock_destroy(&ix->map);
}

/* ---- transactions ---- */

/* Another process has made the map larger: take its size over. */
static int adopt_map(struct index *ix)
{
	int rc;

	pthread_rwlock_wrlock(&ix->map);
	rc = mdb_env_set_mapsize(ix->env, 0);
	pthread_rwlock_unlock(&ix->map);
	return rc;
}

int index_grow(struct index *ix)
{
	MDB_envinfo info;
	int rc;

	pthread_rwlock_wrlock(&ix->map);
	rc = mdb_env_info(ix->env, &info);
	if (rc == 0 && info.me_mapsize >= MAP_MAX)
		rc = MDB_MAP_FULL;
	if (rc == 0)
		rc = mdb_env_set_mapsize(ix->env, info.me_mapsize * 2);
	pthread_rwlock_unlock(&ix->map);
	return rc;
}

static MDB_txn *take_idle(struct index *ix)
{
	for (size_t i = 0; i < INDEX_READERS; i++) {
		MDB_txn *txn;

		if (!atomic_load_explicit(&ix->idle[i], memory_order_relaxed))
			continue;
		txn = atomic_exchange(&ix->idle[i], NULL);
		if (txn)
			return txn;
	}
	return NULL;
}

static void give_idle(struct index *ix, MDB_txn *txn)
{
	for (size_t i = 0; i < INDEX_READERS; i++) {
		MDB_txn *none = NULL;

		if (atomic_compare_exchange_strong(&ix->idle[i], &none, txn))
			return;
	}
	mdb_txn_abort(txn);
}

static int renew_or_begin(struct index *ix, MDB_txn **out)
{
	MDB_txn *txn = take_idle(ix);
	int rc;

	if (txn) {
		rc = mdb_txn_renew(txn);
		if (rc == 0) {
			*out = txn;
			return 0;
		}
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, out);
	if (rc == MDB_READERS_FULL) {
		mdb_reader_check(ix->env, NULL);
		rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, out);
	}
	return rc;
}

int index_read(struct index *ix, MDB_txn **out)
{
	for (int tries = 0;; tries++) {
		int rc;

		pthread_rwlock_rdlock(&ix->map);
		rc = renew_or_begin(ix, out);
		if (rc == 0)
			return 0;
		pthread_rwlock_unlock(&ix->map);
		if (rc != MDB_MAP_RESIZED || tries == 3)
			return rc;
		rc = adopt_map(ix);
		if (rc != 0)
			return rc;
	}
}

void index_read_end(struct index *ix, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	give_idle(ix, txn);
	pthread_rwlock_unlock(&ix->map);
}

int index_write(struct index *ix, MDB_txn **out)
{
	for (int tries = 0;; tries++) {
		int rc;

		pthread_rwlock_rdlock(&ix->map);
		rc = mdb_txn_begin(ix->env, NULL, 0, out);
		if (rc == 0)
			return 0;
		pthread_rwlock_unlock(&ix->map);
		if (rc != MDB_MAP_RESIZED || tries == 3)
			return rc;
		rc = adopt_map(ix);
		if (rc != 0)
			return rc;
	}
}

int index_commit(struct index *ix, MDB_txn *txn)
{
	int rc = mdb_txn_commit(txn);

	pthread_rwlock_unlock(&ix->map);
	return rc;
}

void index_abort(struct index *ix, MDB_txn *txn)
{
	mdb_txn_abort(txn);
	pthread_rwlock_unlock(&ix->map);
}

/* ---- space on disk ---- */

#define ROOM_RESERVE ((uint64_t)4 << 20)
#define ROOM_STEP    ((uint64_t)4 << 20)

int index_room(struct index *ix)
{
	MDB_envinfo info;
	MDB_stat stat;
	uint64_t used, wanted;
	int fd, rc = mdb_env_info(ix->env, &info);

	if (rc == 0)
		rc = mdb_env_stat(ix->env, &stat);
	if (rc == 0)
		rc = mdb_env_get_fd(ix->env, &fd);
	if (rc != 0)
		return rc;
	used = (info.me_last_pgno + 1) * stat.ms_psize;
	if (used + ROOM_RESERVE <= ix->allocated)
		return 0;
	if (ix->allocated < used)
		ix->allocated = used;
	wanted = used + ROOM_RESERVE + ROOM_STEP;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)ix->allocated,
		      (off_t)(wanted - ix->allocated)) != 0)
		return errno == EOPNOTSUPP ? 0 : errno;
	ix->allocated = wanted;
	return 0;
}
