/*
 * cache.c - a set-associative table under a few locks; see cache.h.
 */
#include "cache.h"

#include "name.h"
#include "verifier.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { WAYS = 8, LOCKS = 32, KEY = 16 };

struct slot {
	struct cache_digest digest;
	struct cache_entry entry; /* account 0: free */
};

struct set {
	struct slot way[WAYS];
};

struct cache {
	const struct pstn_host *host;
	struct pstn_self *self;
	EVP_MAC *mac;
	uint64_t ttl;
	uint64_t sets; /* a power of two, or 0 */
	struct set *set;
	pthread_mutex_t locks[LOCKS];
	unsigned char key[KEY];
};

static uint64_t sets_for(uint64_t entries)
{
	uint64_t n = 1;

	if (entries == 0)
		return 0;
	while (n * WAYS < entries)
		n *= 2;
	return n;
}

struct cache *cache_new(const struct pstn_host *host, struct pstn_self *self, uint64_t entries,
			uint64_t ttl)
{
	struct cache *c = host->alloc(self, sizeof(*c));

	if (!c)
		return NULL;
	c->host = host;
	c->self = self;
	c->ttl = ttl;
	c->sets = ttl ? sets_for(entries) : 0;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&c->locks[i], NULL);
	c->mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	c->set = c->sets ? host->alloc(self, c->sets * sizeof(*c->set)) : NULL;
	if (!c->mac || (c->sets && !c->set) || getentropy(c->key, KEY) != 0) {
		cache_free(c);
		return NULL;
	}
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&c->locks[i]);
	EVP_MAC_free(c->mac);
	if (c->set) {
		explicit_bzero(c->set, c->sets * sizeof(*c->set));
		c->host->free(c->self, c->set);
	}
	explicit_bzero(c->key, KEY);
	c->host->free(c->self, c);
}

/* The password comes first, so that the octets which the MAC buffers last are not its own. */
static size_t join(char *text, const char *password, const char *name, const char *service)
{
	const char *parts[] = {password, name, service};
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(parts[i]) + 1;

		memcpy(text + n, parts[i], length);
		n += length;
	}
	return n;
}

bool cache_digest(const struct cache *c, const char *service, const char *name,
		  const char *password, struct cache_digest *digest)
{
	char text[VERIFIER_PASSWORD_MAX + 1 + NAME_SIZE + NAME_SERVICE_MAX + 1];
	size_t length = join(text, password, name, service), made = 0;
	unsigned size = sizeof(*digest);
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_SIZE, &size),
				   OSSL_PARAM_construct_end()};
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(c->mac);
	bool ok;

	ok = mac && EVP_MAC_init(mac, c->key, KEY, parameters) == 1 &&
	     EVP_MAC_update(mac, (unsigned char *)text, length) == 1 &&
	     EVP_MAC_final(mac, (unsigned char *)digest, &made, sizeof(*digest)) == 1 &&
	     made == sizeof(*digest);
	EVP_MAC_CTX_free(mac);
	explicit_bzero(text, length);
	return ok;
}

static uint64_t set_index(const struct cache *c, const struct cache_digest *d)
{
	return d->half[0] & (c->sets - 1);
}

static struct set *set_of(struct cache *c, const struct cache_digest *d)
{
	return &c->set[set_index(c, d)];
}

static pthread_mutex_t *lock_of(struct cache *c, const struct cache_digest *d)
{
	return &c->locks[set_index(c, d) % LOCKS];
}

/* A reactor's clock stands still for a turn, so `now` may be a little before the moment. */
static bool is_old(const struct cache *c, const struct cache_entry *entry, uint64_t now)
{
	return now > entry->verified && now - entry->verified >= c->ttl;
}

/* The slot with this digest, or NULL. */
static struct slot *slot_of(struct set *set, const struct cache_digest *d)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct slot *slot = &set->way[i];

		if (slot->entry.account && slot->digest.half[0] == d->half[0] &&
		    slot->digest.half[1] == d->half[1])
			return slot;
	}
	return NULL;
}

static struct slot *oldest_of(struct set *set)
{
	struct slot *oldest = &set->way[0];

	for (size_t i = 1; i < WAYS && oldest->entry.account; i++) {
		struct slot *slot = &set->way[i];

		if (!slot->entry.account || slot->entry.verified < oldest->entry.verified)
			oldest = slot;
	}
	return oldest;
}

bool cache_find(struct cache *c, const struct cache_digest *d, uint64_t now,
		struct cache_entry *entry)
{
	struct slot *slot;
	bool found = false;

	if (!c->sets)
		return false;
	pthread_mutex_lock(lock_of(c, d));
	slot = slot_of(set_of(c, d), d);
	if (slot && is_old(c, &slot->entry, now)) {
		explicit_bzero(slot, sizeof(*slot));
	} else if (slot) {
		*entry = slot->entry;
		found = true;
	}
	pthread_mutex_unlock(lock_of(c, d));
	return found;
}

void cache_put(struct cache *c, const struct cache_digest *d, const struct cache_entry *entry)
{
	struct slot *slot;

	if (!c->sets)
		return;
	pthread_mutex_lock(lock_of(c, d));
	slot = slot_of(set_of(c, d), d);
	if (!slot)
		slot = oldest_of(set_of(c, d));
	*slot = (struct slot){*d, *entry};
	pthread_mutex_unlock(lock_of(c, d));
}

void cache_forget(struct cache *c, const struct cache_digest *d)
{
	struct slot *slot;

	if (!c->sets)
		return;
	pthread_mutex_lock(lock_of(c, d));
	slot = slot_of(set_of(c, d), d);
	if (slot)
		explicit_bzero(slot, sizeof(*slot));
	pthread_mutex_unlock(lock_of(c, d));
}
