/*
 * store.h - the accounts database: an LMDB file which all generations and commands share.
 *
 * A change is durable and seen by every process when its function returns. Functions return an
 * enum pstn_status; what LMDB says beside that goes to the log. All may block except store_version.
 */
#ifndef ACCOUNTS_STORE_H
#define ACCOUNTS_STORE_H

#include "row.h"

struct store;

struct domain {
	uint64_t created, accounts;
	struct limits quota;         /* of all its accounts together */
	struct limits account_quota; /* of each that has none of its own */
};

struct store *store_open(const struct pstn_host *, struct pstn_self *, char *err, size_t errlen);
void store_close(struct store *);
const char *store_path(const struct store *);

/* The number of the last change by any process. Costs a few memory reads. */
uint64_t store_version(struct store *);

/* *version is that of the database in which the row was, or was not, found. */
int store_find(struct store *, const char *name, struct row *, uint64_t *version);
/* id, revision and times are filled in. PSTN_E_EXISTS. *new_domain: it was unknown until now. */
int store_add(struct store *, const char *name, struct row *, bool *new_domain);
/* edit() alters the row it is given, or returns what is wrong (a pstn_status) and nothing is. */
int store_change(struct store *, const char *name, int (*edit)(void *arg, struct row *), void *arg,
		 struct row *);
int store_remove(struct store *, const char *name, uint64_t *id);
/* In name order, until each() returns false. No transaction is open while each() runs. */
int store_each(struct store *, bool (*each)(void *, const char *name, const struct row *), void *);

int store_domain_add(struct store *, const char *name);
/* PSTN_E_BUSY: *accounts are in it. */
int store_domain_remove(struct store *, const char *name, uint64_t *accounts);
/* edit() alters what it is given. *out: the domain as it is now. */
int store_domain_change(struct store *, const char *name, void (*edit)(void *arg, struct domain *),
			void *arg, struct domain *out);
int store_domain_each(struct store *, bool (*each)(void *, const char *name, const struct domain *),
		      void *);

/* store_copy.c: a copy of one state, for backups, and what is missing of it; see postern/directory.h.
 * added: accounts. refused: accounts and domains. */
int store_save(struct store *, int fd);
int store_load(struct store *, int fd, const char *name, uint64_t *added, uint64_t *refused);

/* Read up to `rows` rows: 0, or -1 and a sentence about the first that is damaged. */
int store_check(struct store *, uint64_t rows, char *err, size_t errlen);

#endif
