/*
 * quota.h - what an account and its domain may hold, and what is said when they hold it.
 *
 * The limits come with each change, as the directory knew them when it was asked for; the totals
 * stand in the index. A caller that wants something done over quota leaves the limits at zero.
 */
#ifndef STORAGE_QUOTA_H
#define STORAGE_QUOTA_H

#include <postern/directory.h>

#define QUOTA_SENTENCE 1024 /* octets for quota_sentence() */
#define QUOTA_SIZE     32   /* and for quota_size() */

struct apply;
struct store;

enum quota_scope {
	QUOTA_ACCOUNT_MESSAGES,
	QUOTA_ACCOUNT_OCTETS,
	QUOTA_DOMAIN_MESSAGES,
	QUOTA_DOMAIN_OCTETS,
	QUOTA_SCOPES
};

/* Of one change: its limits, and what became of it. */
struct quota {
	uint64_t limit[QUOTA_SCOPES];   /* 0: none */
	uint64_t used[QUOTA_SCOPES];    /* before the change */
	uint64_t added;                 /* octets of the change */
	uint32_t crossed[QUOTA_SCOPES]; /* the highest warning, in percent, that it crossed */
	enum quota_scope breach;        /* which one it would exceed; with PSTN_E_QUOTA */
};

/* Limits of an account, nothing else yet. */
void quota_of(struct quota *, const struct pstn_account *);

/*
 * Under the write lock, with the account's row named as it is now: whether so many more may come.
 * PSTN_OK or PSTN_E_QUOTA in *status; crossed is filled. The value is errno or MDB_*.
 */
int quota_judge(struct apply *, uint64_t account, struct quota *, uint64_t messages,
		uint64_t octets, int *status);
/* The same without a lock, for whoever begins to send: PSTN_OK or PSTN_E_QUOTA. What cannot be read
 * is no reason to refuse; the group judges again. Waits for no lock, but may for the disk. */
int quota_expect(struct store *, uint64_t account, const char *name, struct quota *,
		 uint64_t octets);
/* Whether there is any. */
bool quota_limits(const struct quota *);
/* Limits and what is held now. */
void quota_usage(struct store *, const struct pstn_account *, struct quota *);
/* Octets that may still come before quota_expect() says no; UINT64_MAX: any. */
uint64_t quota_room(const struct quota *);

/* Counts the refusal and logs it, each account's once in a while. */
void quota_refused(struct store *, uint64_t account, const char *name, const struct quota *);
/* After a change that was committed: logs the warnings that it crossed. */
void quota_warn(struct store *, const char *name, const struct quota *);

/* To whoever wanted to deliver: what is full, and what to do. */
void quota_sentence(const struct quota *, const char *name, char out[QUOTA_SENTENCE]);
/* "256 MiB", "1.4 GiB", "17 octets" */
void quota_size(uint64_t octets, char out[QUOTA_SIZE]);

#endif
