/*
 * index.h - the LMDB environment that holds what is looked up: opening, transactions, growth.
 *
 * Several processes share it. Functions return LMDB's codes (0, MDB_*, errno); index_status()
 * translates where the store answers a caller.
 */
#ifndef STORAGE_INDEX_H
#define STORAGE_INDEX_H

#include "format/rows.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define INDEX_READERS 32

struct store;

struct index {
	struct store *store;
	MDB_env *env;
	/* meta: "state", segments; the others are keyed by account first, in key_ functions' order */
	MDB_dbi meta, segments, accounts, folders, names, messages, tombstones, changes, uidls,
	    imports, keywords, domains;
	MDB_dbi tables; /* LMDB's own: a row for each of the others */
	uint32_t tag;
	pthread_rwlock_t map; /* read: a transaction is running; write: the map is being moved */
	uint64_t allocated;   /* of data.mdb; the leader's */
	_Atomic(MDB_txn *) idle[INDEX_READERS]; /* reset read transactions, to be renewed */
};

/* Opens (and with create makes) the databases in `path`. 0, or errno or MDB_* and a sentence in
 * err. */
int index_open(struct index *, struct store *, const char *path, bool create, char *err, size_t n);
void index_close(struct index *);

/* A read transaction lasts for one call, never over a turn of a reactor. */
int index_read(struct index *, MDB_txn **);
void index_read_end(struct index *, MDB_txn *);
/* The write transaction is the lock of all writers of all processes. */
int index_write(struct index *, MDB_txn **);
int index_commit(struct index *, MDB_txn *);
void index_abort(struct index *, MDB_txn *);
/* After MDB_MAP_FULL, with no transaction of this thread: a larger map. */
int index_grow(struct index *);

/* Room on disk for what a group changes, taken ahead: LMDB never runs out of space half-way, and
 * deletions go on when deliveries are refused. 0, or errno: the space ahead is used up to the
 * reserve and there is no more. */
int index_room(struct index *);

int index_status(int rc); /* to enum pstn_status */
const char *index_error(int rc);
bool index_is_damaged(int rc); /* it tells of the index, not of the system or its memory */

/* Rows; MDB_NOTFOUND if there is none, MDB_CORRUPTED if its check fails. */
int index_state(struct index *, MDB_txn *, struct state_row *);
/* The same for whoever reads nothing else. */
int index_state_now(struct index *, struct state_row *);
int index_put_state(struct index *, MDB_txn *, const struct state_row *);
int index_segment(struct index *, MDB_txn *, uint32_t id, struct segment_row *);
int index_put_segment(struct index *, MDB_txn *, uint32_t id, const struct segment_row *);
int index_account(struct index *, MDB_txn *, uint64_t account, struct account_row *);
int index_put_account(struct index *, MDB_txn *, uint64_t account, const struct account_row *);
int index_domain(struct index *, MDB_txn *, const char *domain, struct domain_row *);
int index_folder(struct index *, MDB_txn *, uint64_t account, uint32_t folder, struct folder_row *);
int index_put_folder(struct index *, MDB_txn *, uint64_t account, uint32_t folder,
		     const struct folder_row *);
int index_message(struct index *, MDB_txn *, uint64_t account, uint32_t folder, uint32_t uid,
		  struct message_row *);
int index_tombstone(struct index *, MDB_txn *, uint64_t account, uint32_t folder, uint32_t uid,
		    struct message_row *);
int index_change(struct index *, MDB_txn *, uint64_t account, uint32_t folder, uint64_t change,
		 uint32_t uid, struct change_row *);
/* The folder of that name; INBOX in any case of letters is FOLDER_INBOX without looking. */
int index_folder_id(struct index *, MDB_txn *, uint64_t account, const char *name, uint32_t *id);

#endif
