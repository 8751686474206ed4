/*
 * index.c - the LMDB environment: opening, transactions, growth of the map.
 *
 * Nothing is synced here on commit (MDB_NOSYNC): the segments are the journal, and checkpoint.c
 * keeps one state of the index on disk that recovery can start from.
 */
#include "index.h"

#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>

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
	    {"meta", &ix->meta},
	    {"segments", &ix->segments},
	    {"accounts", &ix->accounts},
	    {"folders", &ix->folders},
	    {"names", &ix->names},
	    {"messages", &ix->messages},
	    {"tombstones", &ix->tombstones},
	    {"changes", &ix->changes},
	    {"uidls", &ix->uidls},
	    {"imports", &ix->imports},
	    {"keywords", &ix->keywords},
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
		return -1;
	}
	rc = open_env(ix, path, create);
	if (rc == 0)
		return 0;
	snprintf(err, n, "%s/data.mdb: %s", path, mdb_strerror(rc));
	index_close(ix);
	return -1;
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

/* ---- rows ---- */

#define STATE_KEY "state"

static int get(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t n, MDB_val *value)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};

	return mdb_get(txn, dbi, &k, value);
}

static int put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t n, const void *row, size_t length)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
	MDB_val v = {.mv_size = length, .mv_data = (void *)(uintptr_t)row};

	return mdb_put(txn, dbi, &k, &v, 0);
}

int index_state(struct index *ix, MDB_txn *txn, struct state_row *row)
{
	MDB_val v;
	int rc = get(txn, ix->meta, STATE_KEY, sizeof(STATE_KEY) - 1, &v);

	if (rc != 0)
		return rc;
	return state_row_get(row, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_state(struct index *ix, MDB_txn *txn, const struct state_row *row)
{
	unsigned char bytes[ROW_STATE];

	state_row_put(row, bytes);
	return put(txn, ix->meta, STATE_KEY, sizeof(STATE_KEY) - 1, bytes, sizeof(bytes));
}

int index_segment(struct index *ix, MDB_txn *txn, uint32_t id, struct segment_row *row)
{
	unsigned char key[4];
	MDB_val v;
	int rc;

	put32be(key, id);
	rc = get(txn, ix->segments, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return segment_row_get(row, id, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_segment(struct index *ix, MDB_txn *txn, uint32_t id, const struct segment_row *row)
{
	unsigned char key[4], bytes[ROW_SEGMENT];

	put32be(key, id);
	segment_row_put(row, id, bytes);
	return put(txn, ix->segments, key, sizeof(key), bytes, sizeof(bytes));
}

int index_account(struct index *ix, MDB_txn *txn, uint64_t account, struct account_row *row)
{
	unsigned char key[KEY_ACCOUNT];
	MDB_val v;
	int rc;

	key_account(key, account);
	rc = get(txn, ix->accounts, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return account_row_get(row, key, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_account(struct index *ix, MDB_txn *txn, uint64_t account,
		      const struct account_row *row)
{
	unsigned char key[KEY_ACCOUNT], bytes[ROW_ACCOUNT_MAX];

	key_account(key, account);
	return put(txn, ix->accounts, key, sizeof(key), bytes, account_row_put(row, key, bytes));
}

int index_domain(struct index *ix, MDB_txn *txn, const char *domain, struct domain_row *row)
{
	MDB_val v;
	int rc = get(txn, ix->domains, domain, strlen(domain), &v);

	if (rc != 0)
		return rc;
	return domain_row_get(row, domain, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_folder(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		 struct folder_row *row)
{
	unsigned char key[KEY_FOLDER];
	MDB_val v;
	int rc;

	key_folder(key, account, folder);
	rc = get(txn, ix->folders, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return folder_row_get(row, key, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_put_folder(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		     const struct folder_row *row)
{
	unsigned char key[KEY_FOLDER], bytes[ROW_FOLDER_MAX];

	key_folder(key, account, folder);
	return put(txn, ix->folders, key, sizeof(key), bytes, folder_row_put(row, key, bytes));
}

static int get_message(struct index *ix, MDB_txn *txn, MDB_dbi dbi,
		       const unsigned char key[KEY_MESSAGE], struct message_row *row)
{
	MDB_val v;
	int rc = get(txn, dbi, key, KEY_MESSAGE, &v);

	if (rc != 0)
		return rc;
	return message_row_get(row, key, ix->tag, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_message(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder, uint32_t uid,
		  struct message_row *row)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, account, folder, uid);
	return get_message(ix, txn, ix->messages, key, row);
}

int index_tombstone(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder, uint32_t uid,
		    struct message_row *row)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, account, folder, uid);
	return get_message(ix, txn, ix->tombstones, key, row);
}

int index_change(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder, uint64_t change,
		 uint32_t uid, struct change_row *row)
{
	unsigned char key[KEY_CHANGE];
	MDB_val v;
	int rc;

	key_change(key, account, folder, change, uid);
	rc = get(txn, ix->changes, key, sizeof(key), &v);
	if (rc != 0)
		return rc;
	return change_row_get(row, key, v.mv_data, v.mv_size) ? 0 : MDB_CORRUPTED;
}

int index_folder_id(struct index *ix, MDB_txn *txn, uint64_t account, const char *name,
		    uint32_t *id)
{
	unsigned char key[KEY_NAME_MAX];
	MDB_val v;
	int rc;

	*id = strcasecmp(name, "INBOX") == 0 ? FOLDER_INBOX : 0;
	if (*id)
		return 0;
	rc = get(txn, ix->names, key, key_name(key, account, name), &v);
	if (rc != 0)
		return rc;
	if (v.mv_size != 4)
		return MDB_CORRUPTED;
	*id = get32(v.mv_data);
	return 0;
}
