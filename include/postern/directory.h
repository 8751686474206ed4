/*
 * postern/directory.h - interface "accounts.directory" 2.0: who has a mailbox and may use what.
 *
 * Account names are compared without case and handed out in their canonical form, user@domain.
 * An account's id is never used again, not even when an account of the same name is made later:
 * what is stored under an id belongs to nobody else.
 *
 * Change log
 *   2.0  struct pstn_account tells its size and the quotas of the account and its domain;
 *        save() and load() for backups
 *   1.0  first version
 */
#ifndef POSTERN_DIRECTORY_H
#define POSTERN_DIRECTORY_H

#include <postern/module.h>

#define PSTN_ACCOUNTS_DIRECTORY "accounts.directory"

#define PSTN_ACCOUNT_NAME_MAX 319 /* RFC 3696 erratum 1690: 64 + 1 + 254 */

/* What may be held at most; 0 = no limit. */
struct pstn_quota {
	uint64_t messages, octets;
};

/*
 * Handed out by the directory into memory of its caller, who says in `size` how much there is; the
 * directory fills what both know and sets size to that.
 */
struct pstn_account {
	uint32_t size;
	uint32_t session_limit; /* simultaneous sessions over all services; 0 = no limit */
	uint64_t id;            /* never 0 */
	char name[PSTN_ACCOUNT_NAME_MAX + 1]; /* canonical */
	struct pstn_quota quota;              /* of the account, */
	struct pstn_quota domain_quota;       /* and of all accounts of its domain together */
};

struct pstn_directory {
	uint32_t size;
	/*
	 * Check name and password for a service ("pop3"). PSTN_OK and *out; PSTN_E_DENIED (wrong,
	 * unknown, disabled or not allowed to use the service: the client is not told which);
	 * PSTN_E_TEMPORARY when it could not be checked. Name and password are copied; a password
	 * copy is wiped when done. Credentials verified recently are answered at once, others take a
	 * job; unknown names cost as much as wrong passwords. On the session's reactor.
	 */
	int (*verify)(void *inst, struct pstn_session *s, const char *service, const char *name,
		      const char *password, struct pstn_account *out, pstn_done *done, void *arg);
	/*
	 * Find an account: PSTN_OK, PSTN_E_NOT_FOUND, PSTN_E_INVALID (not a name),
	 * PSTN_E_TEMPORARY. May block: for job threads, commands and start-up.
	 */
	int (*lookup)(void *inst, const char *name, struct pstn_account *out);
	/*
	 * Call each(arg, account) for every account in name order until it returns false.
	 * May block as lookup does.
	 */
	int (*each)(void *inst, bool (*each)(void *arg, const struct pstn_account *), void *arg);
	/*
	 * For backups; may block as lookup does. save: a consistent copy of all that the directory
	 * knows (verifiers, not passwords), written to fd, an empty file. load: domains and accounts
	 * of such a copy that are not there yet are added, with their ids; what is there stays as it
	 * is. With a name (canonical) only that account and its domain. *added counts accounts,
	 * *refused those that cannot be read or whose id another account has by now. PSTN_OK, PSTN_E_DAMAGED (not such a copy), PSTN_E_FULL, PSTN_E_TEMPORARY.
	 */
	int (*save)(void *inst, int fd);
	int (*load)(void *inst, int fd, const char *name, uint64_t *added, uint64_t *refused);
};

#endif
