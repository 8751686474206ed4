/*
 * cache.h - credentials verified recently, so that a client which polls costs no hash each time.
 *
 * An entry is found by a keyed digest of (password, name, service); password and name are not in
 * it, and the key is random, lives in this process alone and dies with it. An entry is believed
 * without a look at the database only while the database has not changed since the entry was last
 * compared with its row. The table is bounded: sets of a few entries each, the oldest makes room.
 */
#ifndef ACCOUNTS_CACHE_H
#define ACCOUNTS_CACHE_H

#include <postern/directory.h>

struct cache;

struct cache_digest {
	uint64_t half[2];
};

struct cache_entry {
	uint64_t account;  /* id */
	uint64_t revision; /* of the row that the password was compared with */
	uint64_t checked;  /* the database's transaction when the row was last looked at */
	uint64_t verified; /* when the password was compared, in ms */
	uint32_t session_limit;
	struct pstn_quota quota, domain_quota;
};

/* entries is rounded up; 0 or ttl 0: nothing is remembered. NULL: no memory or no random key. */
struct cache *cache_new(const struct pstn_host *, struct pstn_self *, uint64_t entries,
			uint64_t ttl);
void cache_free(struct cache *);

/* false: libcrypto has no memory. password, name and service fit VERIFIER_ and NAME_ limits. */
bool cache_digest(const struct cache *, const char *service, const char *name, const char *password,
		  struct cache_digest *);
/* Any thread, all three. An entry verified longer than ttl ago is not found. */
bool cache_find(struct cache *, const struct cache_digest *, uint64_t now, struct cache_entry *);
void cache_put(struct cache *, const struct cache_digest *, const struct cache_entry *);
void cache_forget(struct cache *, const struct cache_digest *);

#endif
