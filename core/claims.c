/*
 * claims.c - a table of counts in shared memory.
 *
 * An entry says how many places one worker holds under one key; a key's count is the sum over the
 * workers' entries. Entries are found by linear probing and never move while they count something,
 * so an entry's index can serve as ticket. An entry becomes valid by its count alone, which is
 * written last: a worker that dies at any instruction leaves a table that can be read, and the
 * robust mutex passes on to the next.
 *
 * The supervisor never takes that mutex: its list pointers lie where workers can write. To forget a
 * dead worker it only stores zeros into counts that nobody else changes any more.
 */
#include "config.h"

#include "claims.h"

#include "log.h"

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
	PROBES_MAX = 4096, /* a chain as long as this means a full table */
	LOCK_SECONDS = 2
};
#define CLAIMS_MAGIC UINT64_C(0x5053544e434c4d31)

struct entry {
	uint64_t hash; /* 0: nothing was ever here, a search ends */
	uint32_t check;
	uint16_t slot, unused;
	_Atomic uint32_t count; /* 0: may be used anew */
	uint32_t unused2;
};

struct table {
	uint64_t magic;
	pthread_mutex_t lock;
	_Atomic uint32_t
	    held[CLAIMS_SLOTS]; /* places of each worker: at least the sum of its counts */
	_Alignas(4096) struct entry entries[ENTRIES];
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
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOCK_SECONDS;
		rc = pthread_mutex_clocklock(&t->lock, CLOCK_MONOTONIC, &until);
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
	if (ftruncate(fd, sizeof(struct table)) || !(t = map_table(fd)) || init_table(t) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		close(fd);
		fd = -1;
	}
	if (t)
		munmap(t, sizeof(*t));
	return fd;
}

static void clear_entries(struct table *t, size_t from, size_t to, unsigned slot)
{
	for (size_t i = from; i < to && t->held[slot] > 0; i++) {
		struct entry *e = &t->entries[i];
		uint32_t count = e->count;
		if (e->slot != slot || count == 0)
			continue;
		e->count = 0;
		t->held[slot] -= count < t->held[slot] ? count : t->held[slot];
	}
}

/* Only what was ever written is looked at: to read a hole of a memory file would fill it. */
static void clear_slot(struct table *t, int fd, unsigned slot)
{
	const off_t base = offsetof(struct table, entries), size = sizeof(struct table);
	off_t at = base;
	while (t->held[slot] > 0 && (at = lseek(fd, at, SEEK_DATA)) >= 0 && at < size) {
		off_t hole = lseek(fd, at, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		size_t first = (size_t)(at - base) / sizeof(struct entry);
		size_t end =
		    (size_t)(hole - base + (off_t)sizeof(struct entry) - 1) / sizeof(struct entry);
		clear_entries(t, first, end < ENTRIES ? end : ENTRIES, slot);
		at = hole;
	}
	t->held[slot] = 0;
}

void claims_clear_slot(int fd, unsigned slot)
{
	if (fd < 0 || slot >= CLAIMS_SLOTS)
		return;
	struct table *t = map_table(fd);
	if (!t)
		return; /* claims_attach() of the slot's next owner does it */
	if (t->magic == CLAIMS_MAGIC)
		clear_slot(t, fd, slot);
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
	if (fd >= 0)
		clear_slot(t, fd, slot);
	return 0;
}

void claims_detach(void)
{
	if (!own.table)
		return;
	clear_entries(own.table, 0, ENTRIES, own.slot);
	munmap(own.table, sizeof(*own.table));
	own.table = NULL;
}

/* ---- taking and giving ---- */

struct found {
	struct entry *mine, *free;
	uint64_t taken;
	bool full;
};

/* Locked. */
static struct found search(struct table *t, uint64_t hash, uint32_t check)
{
	struct found f = {.full = true};
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct entry *e = &t->entries[(hash + i) & (ENTRIES - 1)];
		if (e->count == 0) {
			if (!f.free)
				f.free = e;
			if (e->hash == 0) {
				f.full = false;
				break;
			}
		} else if (e->hash == hash && e->check == check) {
			f.taken += e->count;
			if (e->slot == own.slot)
				f.mine = e;
		}
	}
	f.full = f.full && !f.free && !f.mine;
	return f;
}

static void tell_full(void)
{
	static atomic_llong told;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long long last = atomic_load(&told);
	if ((last == 0 || now.tv_sec - last >= 10) &&
	    atomic_compare_exchange_strong(&told, &last, (long long)now.tv_sec + 1))
		CORE_EVENT(PSTN_CRITICAL, "claims-full", PSTN_U("entries", ENTRIES),
			   PSTN_S("effect", "sessions that need a place are refused"));
}

static struct entry *take(struct table *t, uint64_t hash, uint32_t check, uint32_t limit)
{
	struct found f = search(t, hash, check);
	if (f.full)
		tell_full();
	struct entry *e = f.mine ? f.mine : f.free;
	if (!e || f.taken >= limit)
		return NULL;
	if (e == f.free) {
		e->hash = hash;
		e->check = check;
		e->slot = own.slot;
	}
	t->held[own.slot]++;
	e->count++; /* this makes the entry valid */
	return e;
}

bool claims_take(const char *key, uint32_t limit, uint32_t *ticket)
{
	struct table *t = own.table;
	if (!t)
		return false;
	XXH128_hash_t h = XXH3_128bits(key, strlen(key));
	uint64_t hash = h.low64 ? h.low64 : 1;
	if (!lock_table(t))
		return false;
	struct entry *e = take(t, hash, (uint32_t)h.high64, limit);
	if (e)
		*ticket = (uint32_t)(e - t->entries);
	unlock_table(t);
	return e;
}

/* An unused entry in front of one that was never used need not be passed by searches any more. */
static void forget_unused(struct table *t, size_t i)
{
	if (t->entries[(i + 1) & (ENTRIES - 1)].hash != 0)
		return;
	for (; t->entries[i].count == 0 && t->entries[i].hash != 0; i = (i - 1) & (ENTRIES - 1))
		t->entries[i].hash = 0;
}

void claims_give(uint32_t ticket)
{
	struct table *t = own.table;
	if (!t || ticket >= ENTRIES || !lock_table(t))
		return; /* a place that cannot be given back goes with the worker */
	struct entry *e = &t->entries[ticket];
	if (e->slot == own.slot && e->count > 0) {
		if (--e->count == 0)
			forget_unused(t, ticket);
		t->held[own.slot]--;
	}
	unlock_table(t);
}
