/*
 * metrics_shared.c - what is counted, over all generations.
 *
 * Nobody locks: a row is taken by one exchange, a worker's counts are written by that worker alone,
 * and when it has ended by the supervisor, which believes nothing it reads but numbers.
 */
#include "config.h"

#include "metrics_shared.h"

#include "claims.h"
#include "metrics.h"

#define XXH_INLINE_ALL
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

/* Stands for the layout too: it changes with it. */
#define SHARED_MAGIC UINT64_C(0x5053544e4d455431)

enum { ROW_FREE, ROW_TAKEN, ROW_READY };

struct row {
	_Atomic uint32_t state;
	uint32_t gauge;
	uint64_t name[2];       /* hash of instance and metric */
	_Atomic int64_t before; /* counted by workers that have ended */
};

struct shared {
	uint64_t magic;
	struct row rows[METRICS_MAX];
	_Atomic int64_t live[CLAIMS_SLOTS][METRICS_MAX];
};

static struct {
	struct shared *shared; /* NULL: no other generation is known */
	unsigned slot;
	uint16_t row_of[METRICS_MAX]; /* row + 1; 0: not shared */
} own;

size_t metrics_shared_size(void)
{
	return sizeof(struct shared);
}

static struct shared *map(int fd, off_t offset)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) || st.st_size < offset + (off_t)sizeof(struct shared))
		return NULL;
	void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	return p == MAP_FAILED ? NULL : p;
}

void metrics_shared_init(int fd, off_t offset)
{
	struct shared *s = map(fd, offset);
	if (!s)
		return;
	s->magic = SHARED_MAGIC;
	munmap(s, sizeof(*s));
}

static void forget(struct shared *s, unsigned slot)
{
	for (unsigned i = 0; i < METRICS_MAX; i++) {
		struct row *r = &s->rows[i];
		if (r->state == ROW_FREE)
			return;
		int64_t n = atomic_exchange(&s->live[slot][i], 0);
		if (n && r->state == ROW_READY && !r->gauge)
			atomic_fetch_add(&r->before, n);
	}
}

void metrics_shared_forget(int fd, off_t offset, unsigned slot)
{
	struct shared *s = map(fd, offset);
	if (!s)
		return;
	if (s->magic == SHARED_MAGIC && slot < CLAIMS_SLOTS)
		forget(s, slot);
	munmap(s, sizeof(*s));
}

void metrics_shared_attach(int fd, off_t offset, unsigned slot)
{
	struct shared *s = own.shared ? NULL : map(fd, offset);
	if (!s)
		return;
	if (s->magic != SHARED_MAGIC || slot >= CLAIMS_SLOTS) {
		munmap(s, sizeof(*s));
		return;
	}
	forget(s, slot);
	own.shared = s;
	own.slot = slot;
}

void metrics_shared_detach(void)
{
	if (!own.shared)
		return;
	munmap(own.shared, sizeof(*own.shared));
	memset(&own, 0, sizeof(own));
}

/* ---- rows ---- */

static bool is_row(const struct row *r, const uint64_t name[2])
{
	return r->state == ROW_READY && r->name[0] == name[0] && r->name[1] == name[1];
}

static bool take_row(struct row *r, const uint64_t name[2], bool gauge)
{
	uint32_t state = ROW_FREE;
	if (!atomic_compare_exchange_strong(&r->state, &state, ROW_TAKEN))
		return false;
	r->name[0] = name[0];
	r->name[1] = name[1];
	r->gauge = gauge;
	r->state = ROW_READY;
	return true;
}

void metrics_share(int counter, const char *instance, const char *metric, bool gauge)
{
	struct shared *s = own.shared;
	if (!s || counter < 0)
		return;
	uint64_t name[2] = {XXH3_64bits(instance, strlen(instance)),
			    XXH3_64bits(metric, strlen(metric))};
	for (unsigned i = 0; i < METRICS_MAX; i++)
		if (is_row(&s->rows[i], name) || take_row(&s->rows[i], name, gauge)) {
			own.row_of[counter] = (uint16_t)(i + 1);
			return;
		}
}

int64_t metrics_elsewhere(int counter)
{
	struct shared *s = own.shared;
	if (!s || counter < 0 || own.row_of[counter] == 0)
		return 0;
	unsigned row = own.row_of[counter] - 1u;
	int64_t sum = s->rows[row].before;
	for (unsigned slot = 0; slot < CLAIMS_SLOTS; slot++)
		if (slot != own.slot)
			sum += s->live[slot][row];
	return sum;
}

void metrics_publish(void)
{
	struct shared *s = own.shared;
	for (int i = 0; s && i < METRICS_MAX; i++)
		if (own.row_of[i])
			s->live[own.slot][own.row_of[i] - 1] = metrics_read(i);
}
