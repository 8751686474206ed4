/*
 * store_check.c - reading every row, to find damage before a client does.
 *
 * LMDB ends the process when a cursor meets a page that is none. While the database is checked that
 * is what may well happen, and it has to become a sentence: LMDB's hook jumps back here.
 */
#include "store_private.h"

#include <stdio.h>
#include <string.h>

struct walk {
	struct store *st;
	MDB_txn *txn;
	MDB_cursor *cursor;
	uint64_t rows; /* how many at most */
	char *err;
	size_t errlen;
};

void store_asserted(MDB_env *env, const char *message)
{
	struct store *st = mdb_env_get_userctx(env);

	(void)message;
	if (st->check.running && pthread_equal(st->check.thread, pthread_self()))
		longjmp(st->check.damaged, 1);
	/* Elsewhere LMDB prints the message and aborts: this worker ends, another one starts. */
}

/* Whether a row is what it has to be; PSTN_E_DAMAGED with a sentence in err. */
static int check_row(const struct walk *w, const char *name, const MDB_val *data)
{
	struct row row;
	const char *why = row_decode(data->mv_data, data->mv_size, &row);

	if (!why)
		why = verifier_refusal(row.verifier);
	if (!why)
		return 0;
	snprintf(w->err, w->errlen,
		 "%s: account %s %s; remove and add it again, or restore the file from a backup",
		 w->st->path, name, why);
	return PSTN_E_DAMAGED;
}

static int check_rows(struct walk *w)
{
	char name[NAME_SIZE], canonical[NAME_SIZE];
	MDB_val key, data;
	int rc = store_seek(w->cursor, "", &key, &data);

	while (rc == 0 && w->rows-- > 0) {
		if (!store_key_name(&key, name) || name_account(name, "", canonical) ||
		    strcmp(name, canonical) != 0)
			return MDB_CORRUPTED;
		rc = check_row(w, name, &data);
		if (rc == 0)
			rc = mdb_cursor_get(w->cursor, &key, &data, MDB_NEXT);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* One check at a time; whoever else uses the database is not meant by the jump. */
static int check_or_jump(struct walk *w)
{
	struct store *st = w->st;
	int rc;

	pthread_mutex_lock(&st->check.lock);
	st->check.thread = pthread_self();
	st->check.running = true;
	rc = setjmp(st->check.damaged) == 0 ? check_rows(w) : MDB_CORRUPTED;
	st->check.running = false;
	pthread_mutex_unlock(&st->check.lock);
	return rc;
}

static int check_in_transaction(struct walk *w)
{
	int rc = mdb_cursor_open(w->txn, w->st->accounts, &w->cursor);

	if (rc != 0)
		return rc;
	rc = check_or_jump(w);
	mdb_cursor_close(w->cursor);
	return rc;
}

int store_check(struct store *st, uint64_t rows, char *err, size_t errlen)
{
	struct walk w = {.st = st, .rows = rows, .err = err, .errlen = errlen};
	int rc = store_begin(st, MDB_RDONLY, &w.txn);

	if (rc == 0) {
		rc = check_in_transaction(&w);
		mdb_txn_abort(w.txn);
	}
	if (rc != 0 && rc != PSTN_E_DAMAGED)
		snprintf(err, errlen, "%s: %s; restore the file from a backup", st->path,
			 mdb_strerror(rc));
	return rc == 0 ? 0 : -1;
}
