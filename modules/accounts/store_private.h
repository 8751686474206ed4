/*
 * store_private.h - what the parts of the store share: the environment and its transactions.
 */
#ifndef ACCOUNTS_STORE_PRIVATE_H
#define ACCOUNTS_STORE_PRIVATE_H

#include "store.h"

#include <lmdb.h>
#include <pthread.h>
#include <setjmp.h>

struct store {
	const struct pstn_host *host;
	struct pstn_self *self;
	MDB_env *env;
	MDB_dbi meta, accounts, domains;
	struct {
		pthread_mutex_t lock;
		bool running;
		pthread_t thread;
		jmp_buf damaged;
	} check; /* see store_check.c */
	char path[4096];
};

int store_begin(struct store *, unsigned flags, MDB_txn **);
/* Ends the transaction: commits if rc is 0. Turns LMDB's rc into a pstn_status and logs failures;
 * a pstn_status below 0 that the caller already has goes through as it is. */
int store_end(struct store *, MDB_txn *, int rc, const char *doing);
MDB_val store_key(const char *text);
void store_report(struct store *, int rc, const char *doing);

/* The key as a string (NAME_SIZE octets); false: it is no name, the database is damaged. */
bool store_key_name(const MDB_val *key, char *name);
/* Put the cursor on the first row after `after`, or on the first of all. */
int store_seek(MDB_cursor *, const char *after, MDB_val *key, MDB_val *data);
/* What LMDB calls instead of ending the process at once when a page is not what it has to be. */
void store_asserted(MDB_env *, const char *message);

/* meta's numbers */
int store_number_get(struct store *, MDB_txn *, const char *key, uint64_t *value);
int store_number_put(struct store *, MDB_txn *, const char *key, uint64_t value);

/* In a write transaction: note that a domain has `by` accounts more. */
int store_domain_count(struct store *, MDB_txn *, const char *account, int by, bool *new_domain);
/* Fills in what the row has from its domain; a domain that is missing limits nothing. */
int store_domain_limits(struct store *, MDB_txn *, const char *account, struct row *);

#endif
