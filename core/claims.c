/*
 * claims.c - a table of counts in shared memory.
 *
 * An entry says how many places one worker holds under one key; a key's count is the sum over the
 * workers' entries. Entries hang in chains, one for each hash value, and do not move, so an entry's
 * index can serve as ticket.
 *
 * A worker may be killed at any instruction. An entry is linked and unlinked by one store, so that
 * chains are always whole and all that can be lost is an unused entry; the robust mutex passes on
 * to the next. The supervisor never takes that mutex: its list pointers lie where workers can write.
 * To forget a dead worker it only stores zeros into counts that nobody else changes any more, and
 * whoever meets such an entry later puts it back.
 */
#include "config.h"

#include "claims.h"

#include "log.h"
#include "metrics_shared.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	ENTRIES = 1 << 19, /* 100,000 sessions with two places each fill two fifths */
	CHAINS = 1 << 18,
	CHAIN_MAX =
	    4096, /* nothing honest is longer; whoever wrote such a chain, nobody loops in it */
	LOCK_SECONDS = 2
};
/* Stands for the layout too: it changes with it. */
#define CLAIMS_MAGIC UINT64_C(0x5053544e434c4d31)

struct entry {
	uint64_t hash;
	uint32_t check;         /* more of the hash */
	uint32_t next;          /* in its chain, or among the free ones; 0 ends */
	_Atomic uint32_t slot;  /* of the worker; written before count */
	_Atomic uint32_t count; /* 0: of no use to anybody */
};

struct table {
	uint64_t magic;
	pthread_mutex_t lock;
	_Atomic uint32_t held[CLAIMS_SLOTS]; /* at least the sum of that worker's counts */
	_Atomic uint32_t stale;              /* counts were zeroed; entries wait in their chains */
	_Atomic uint32_t used;               /* entries from 1 to here have been used */
	uint32_t free;
	uint32_t chains[CHAINS];
	struct entry entries[ENTRIES + 1]; /* [0] is none */
};

static struct {
	struct table *table;
	uint16_t slot;
} own;

/* ---- the lock ---- */

/* The lock is held for a few hundred nanoseconds; who waits longer meets a stopped process. */
static bool lock_table(struct table *t)
{
	struct timespec until;
	int rc = pthread_mutex_trylock(&t->lock);
	if (rc == EBUSY) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LOCK_SECONDS;
		rc = pthread_mutex_timedlock(&t->lock, &until);
	}
	if (rc == EOWNERDEAD)
		rc = pthread_mutex_consistent(&t->lock);
	return rc == 0;
}

static void unlock_table(struct table *t)
{
	pthread_mutex_unlock(&t->lock);
}

static int init_table(struct table *t)
{
	pthread_mutexattr_t attr;
	if (pthread_mutexattr_init(&attr))
		return -1;
	int rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!rc)
		rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!rc)
		rc = pthread_mutex_init(&t->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	if (rc)
		return -1;
	t->magic = CLAIMS_MAGIC;
	return 0;
}

/* ---- the memory ---- */

/* The file: the table, then from the next page on what metrics_shared.c keeps. */
static off_t metrics_offset(void)
{
	return (off_t)((sizeof(struct table) + 4095) & ~(size_t)4095);
}

static struct table *map_table(int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	struct table *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, flags, fd, 0);
	return t == MAP_FAILED ? NULL : t;
}

int claims_create(void)
{
	int fd = memfd_create("postern-claims", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	struct table *t = NULL;
	if (ftruncate(fd, metrics_offset() + (off_t)metrics_shared_size()) ||
	    !(t = map_table(fd)) || init_table(t) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		close(fd);
		fd = -1;
	}
	if (t)
		munmap(t, sizeof(*t));
	metrics_shared_init(fd, metrics_offset());
	return fd;
}

static void clear_slot(struct table *t, unsigned slot)
{
	uint32_t end = t->used;
	if (t->held[slot] == 0)
		return;
	for (uint32_t i = 1; i <= end && i <= ENTRIES; i++) {
		struct entry *e = &t->entries[i];
		if (e->count > 0 && e->slot == slot) /* in this order: see `slot` */
			e->count = 0;
	}
	t->held[slot] = 0;
	t->stale = 1;
}

void claims_clear_slot(int fd, unsigned slot)
{
	if (fd < 0 || slot >= CLAIMS_SLOTS)
		return;
	metrics_shared_forget(fd, metrics_offset(), slot);
	struct table *t = map_table(fd);
	if (!t)
		return; /* claims_attach() of the slot's next owner does it */
	if (t->magic == CLAIMS_MAGIC)
		clear_slot(t, slot);
	munmap(t, sizeof(*t));
}

int claims_attach(int fd, unsigned slot)
{
	if (own.table || slot >= CLAIMS_SLOTS)
		return -1;
	struct table *t = map_table(fd);
	if (!t)
		return -1;
	if ((fd < 0 && init_table(t)) || t->magic != CLAIMS_MAGIC) {
		munmap(t, sizeof(*t));
		return -1;
	}
	own.table = t;
	own.slot = (uint16_t)slot;
	clear_slot(t, slot);
	metrics_shared_attach(fd, metrics_offset(), slot);
	return 0;
}

void claims_detach(void)
{
	if (!own.table)
		return;
	clear_slot(own.table, own.slot);
	munmap(own.table, sizeof(*own.table));
	own.table = NULL;
	metrics_shared_detach();
}

/* ---- chains; all with the lock held ---- */

/* What is written before is in memory before what comes after, for whoever finds us dead here. */
static void step(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static uint32_t *chain_of(struct table *t, uint64_t hash)
{
	return &t->chains[hash & (CHAINS - 1)];
}

static void put_back(struct table *t, uint32_t *link)
{
	uint32_t i = *link;
	*link = t->entries[i].next;
	step();
	t->entries[i].next = t->free;
	step();
	t->free = i;
}

static void sweep(struct table *t)
{
	for (unsigned c = 0; c < CHAINS; c++)
		for (uint32_t *link = &t->chains[c]; *link && *link <= ENTRIES;)
			if (t->entries[*link].count == 0)
				put_back(t, link);
			else
				link = &t->entries[*link].next;
}

static uint32_t take_free(struct table *t)
{
	uint32_t i = t->free;
	if (!i && t->used < ENTRIES)
		return ++t->used;
	if (!i && t->stale) {
		t->stale = 0;
		sweep(t);
		i = t->free;
	}
	if (i)
		t->free = t->entries[i].next;
	step();
	return i;
}

struct found {
	uint32_t mine; /* 0: this worker has no entry for the key */
	uint64_t taken;
};

static bool search(struct table *t, uint64_t hash, uint32_t check, struct found *f)
{
	uint32_t *link = chain_of(t, hash);
	*f = (struct found){0};
	for (unsigned n = 0; *link && *link <= ENTRIES; n++) {
		struct entry *e = &t->entries[*link];
		if (n == CHAIN_MAX)
			return false;
		uint32_t count = e->count;
		if (count == 0) {
			put_back(t, link);
			continue;
		}
		if (e->hash == hash && e->check == check) {
			f->taken += count;
			if (e->slot == own.slot)
				f->mine = *link;
		}
		link = &e->next;
	}
	return true;
}

static uint32_t add_entry(struct table *t, uint64_t hash, uint32_t check)
{
	uint32_t i = take_free(t), *chain = chain_of(t, hash);
	if (!i)
		return 0;
	struct entry *e = &t->entries[i];
	e->hash = hash;
	e->check = check;
	e->next = *chain;
	e->slot = own.slot;
	e->count = 1;
	step();
	*chain = i;
	return i;
}

static void remove_entry(struct table *t, uint32_t i)
{
	uint32_t *link = chain_of(t, t->entries[i].hash);
	for (unsigned n = 0; *link && *link <= ENTRIES && n < CHAIN_MAX; n++) {
		if (*link == i) {
			put_back(t, link);
			return;
		}
		link = &t->entries[*link].next;
	}
}

/* ---- taking and giving ---- */

static void tell_full(void)
{
	static atomic_llong next;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long long due = atomic_load(&next);
	if (now.tv_sec >= due &&
	    atomic_compare_exchange_strong(&next, &due, (long long)now.tv_sec + 10))
		CORE_EVENT(PSTN_CRITICAL, "claims-full", PSTN_U("entries", ENTRIES),
			   PSTN_S("effect", "sessions that need a place are refused"));
}

static uint32_t take(struct table *t, uint64_t hash, uint32_t check, uint32_t limit)
{
	struct found f;
	uint32_t i = 0;
	bool whole = search(t, hash, check, &f);
	if (whole && f.taken >= limit)
		return 0;
	t->held[own.slot]++; /* before the count, so that the sum is never too low */
	if (whole && f.mine) {
		t->entries[f.mine].count++;
		return f.mine;
	}
	if (whole)
		i = add_entry(t, hash, check);
	if (!i) {
		t->held[own.slot]--;
		tell_full();
	}
	return i;
}

bool claims_take(const char *key, uint32_t limit, uint32_t *ticket)
{
	struct table *t = own.table;
	if (!t)
		return false;
	XXH128_hash_t h = XXH3_128bits(key, strlen(key));
	if (!lock_table(t))
		return false;
	*ticket = take(t, h.low64, (uint32_t)h.high64, limit);
	unlock_table(t);
	return *ticket;
}

void claims_give(uint32_t ticket)
{
	struct table *t = own.table;
	if (!t || ticket == 0 || ticket > ENTRIES || !lock_table(t))
		return; /* a place that cannot be given back goes with the worker */
	struct entry *e = &t->entries[ticket];
	if (e->slot == own.slot && e->count > 0) {
		if (--e->count == 0)
			remove_entry(t, ticket);
		t->held[own.slot]--;
	}
	unlock_table(t);
}
