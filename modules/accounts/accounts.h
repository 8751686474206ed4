/*
 * accounts.h - one instance of the accounts module.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "cache.h"
#include "store.h"

#include <postern/commands.h>
#include <postern/directory.h>

struct accounts_conf {
	const char *default_domain;
	int32_t scheme; /* enum verifier_scheme */
	int64_t scram_iterations;
	int64_t password_max;
	int64_t session_limit;
	int64_t account_quota_messages, domain_quota_messages;
	uint64_t account_quota_octets, domain_quota_octets;
	uint64_t cache_ttl;
	int64_t cache_size;
};

struct accounts {
	const struct pstn_host *host;
	struct pstn_self *self;
	const struct accounts_conf *conf;
	struct store *store;
	struct cache *cache;
	char nobody[VERIFIER_SIZE]; /* what unknown accounts' passwords are compared with */
};

enum metric { METRIC_VERIFIED, METRIC_CACHED, METRIC_DENIED, METRIC_FAILED, METRIC_HASHES };

extern const struct pstn_directory accounts_directory;
extern const struct pstn_commands accounts_commands;

uint32_t accounts_session_limit(const struct accounts *, const struct row *);
/* What counts for an account in the end: its own limits, its domain's, the configured ones. */
struct pstn_quota accounts_quota(const struct accounts *, const struct row *);
/* And for a domain that says `own`. */
struct pstn_quota accounts_domain_quota(const struct accounts *, const struct limits *own);
/* A verifier of the configured scheme, or of the one given (-1: configured). 0 or -1. */
int accounts_make_verifier(struct accounts *, int scheme, const char *password, char *out);

#endif
