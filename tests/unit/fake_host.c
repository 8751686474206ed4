/*
 * fake_host.c - the fake host's world: directories, instances, memory, the function table.
 */
#include "fake_parts.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fake_world fake_world = {.lock = PTHREAD_MUTEX_INITIALIZER,
				.changed = PTHREAD_COND_INITIALIZER};
_Thread_local bool fake_in_job;

/* In front of every block, so that leaks can be told and a wrong free is noticed. */
struct block {
	struct block *next, **prev;
	struct pstn_self *self;
	size_t size;
	unsigned long number;
	uint64_t magic;
};
_Static_assert(sizeof(struct block) % 16 == 0, "what follows must be aligned for any type");

enum { BLOCK_LIVE = 0x4c495645, BLOCK_FREE = 0x46524545 };

static struct {
	struct block *first;
	size_t live, bytes;
	unsigned long count, fail_at;
	bool failed;
} memory;

static struct pstn_host table;
static char directories[4][80];

void fake_die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("fake_host: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

void fake_lock(void)
{
	pthread_mutex_lock(&fake_world.lock);
}

void fake_unlock(void)
{
	pthread_mutex_unlock(&fake_world.lock);
}

void fake_on_reactor(const char *what)
{
	if (fake_in_job)
		fake_die("%s was called from a job", what);
	if (!pthread_equal(pthread_self(), fake_world.reactor))
		fake_die("%s was called from a thread that is not the reactor", what);
}

void *fake_must(void *p)
{
	if (!p)
		fake_die("the test itself is out of memory");
	return p;
}

/* ---- memory ---- */

static bool alloc_fails_locked(void)
{
	memory.count++;
	if (memory.count != memory.fail_at)
		return false;
	memory.failed = true;
	return true;
}

bool fake_alloc_fails(void)
{
	fake_lock();
	bool fails = alloc_fails_locked();
	fake_unlock();
	return fails;
}

static void *host_alloc(struct pstn_self *self, size_t n)
{
	if (!self)
		fake_die("alloc without an instance");
	fake_lock();
	struct block *b = NULL;
	if (!alloc_fails_locked())
		b = calloc(1, sizeof(*b) + n);
	if (b) {
		*b = (struct block){memory.first, &memory.first, self, n, memory.count, BLOCK_LIVE};
		if (b->next)
			b->next->prev = &b->next;
		memory.first = b;
		memory.live++;
		memory.bytes += n;
	}
	fake_unlock();
	return b ? b + 1 : NULL;
}

static void host_free(struct pstn_self *self, void *p)
{
	if (!p)
		return;
	struct block *b = (struct block *)p - 1;
	fake_lock();
	if (b->magic != BLOCK_LIVE)
		fake_die("free of %p, which alloc did not give or which is freed already", p);
	if (b->self != self)
		fake_die("instance %s frees a block of %s", self->name, b->self->name);
	*b->prev = b->next;
	if (b->next)
		b->next->prev = b->prev;
	b->magic = BLOCK_FREE;
	memory.live--;
	memory.bytes -= b->size;
	fake_unlock();
	free(b);
}

void fake_fail_alloc(unsigned long n)
{
	fake_lock();
	memory.count = 0;
	memory.fail_at = n;
	memory.failed = false;
	fake_unlock();
}

bool fake_alloc_failed(void)
{
	fake_lock();
	bool failed = memory.failed;
	fake_unlock();
	return failed;
}

size_t fake_live(void)
{
	fake_lock();
	size_t n = memory.live;
	fake_unlock();
	return n;
}

size_t fake_live_bytes(void)
{
	fake_lock();
	size_t n = memory.bytes;
	fake_unlock();
	return n;
}

static unsigned memory_end(void)
{
	unsigned n = 0;
	for (struct block *b = memory.first, *next; b; b = next, n++) {
		next = b->next;
		fprintf(stderr, "fake_host: %s leaked %zu bytes (allocation %lu)\n", b->self->name,
			b->size, b->number);
		free(b);
	}
	memset(&memory, 0, sizeof(memory));
	return n;
}

/* ---- instances ---- */

struct pstn_self *fake_self(const char *name)
{
	struct pstn_self *self = fake_must(calloc(1, sizeof(*self)));
	self->name = fake_must(strdup(name));
	self->next = fake_world.selves;
	fake_world.selves = self;
	return self;
}

void fake_need(struct pstn_self *self, uint32_t i, const void *offered, void *inst)
{
	if (i >= FAKE_NEEDS)
		fake_die("more needs than the fake has room for");
	self->needs[i].table = offered;
	self->needs[i].inst = inst;
}

static const void *host_need(struct pstn_self *self, uint32_t i, void **inst)
{
	if (i >= FAKE_NEEDS)
		fake_die("%s asks for need %u, which no module can have", self->name, i);
	if (inst)
		*inst = self->needs[i].inst;
	return self->needs[i].table;
}

static void host_count(struct pstn_self *self, uint32_t metric, int64_t by)
{
	if (metric >= FAKE_METRICS)
		fake_die("%s counts metric %u, which no module can have", self->name, metric);
	__atomic_fetch_add(&self->metrics[metric], by, __ATOMIC_RELAXED);
}

int64_t fake_metric(struct pstn_self *self, uint32_t metric)
{
	return metric < FAKE_METRICS ? __atomic_load_n(&self->metrics[metric], __ATOMIC_RELAXED)
				     : 0;
}

static void host_tell(struct pstn_self *self, const char *key, const char *value)
{
	unsigned i = 0;

	if (!key || !*key || strlen(key) > 31 || (value && strlen(value) > 127))
		fake_die("%s tells a fact that does not fit: %s: %s", self->name, key, value);
	fake_lock();
	while (i < FAKE_FACTS && self->facts[i].key[0] && strcmp(self->facts[i].key, key) != 0)
		i++;
	if (i == FAKE_FACTS)
		fake_die("%s tells more facts than `status` shows", self->name);
	snprintf(self->facts[i].key, sizeof(self->facts[i].key), "%s", key);
	snprintf(self->facts[i].value, sizeof(self->facts[i].value), "%s", value ? value : "");
	fake_unlock();
}

const char *fake_fact(struct pstn_self *self, const char *key, char value[128])
{
	value[0] = '\0';
	fake_lock();
	for (unsigned i = 0; i < FAKE_FACTS; i++)
		if (strcmp(self->facts[i].key, key) == 0)
			snprintf(value, 128, "%s", self->facts[i].value);
	fake_unlock();
	return value;
}

static void host_progress(struct pstn_self *self, const char *what, uint64_t done, uint64_t total)
{
	if (total && done > total)
		fake_die("%s: %s is further than its end", self->name, what);
	self->progressed++;
	snprintf(self->progress, sizeof(self->progress), "%s", what);
}

unsigned fake_progressed(struct pstn_self *self)
{
	return self->progressed;
}

const char *fake_progress(struct pstn_self *self)
{
	return self->progress;
}

static const char *host_name(struct pstn_self *self)
{
	return self->name;
}

static const char *host_directory(struct pstn_self *self, int kind)
{
	if (kind < PSTN_DIR_CONFIG || kind > PSTN_DIR_LOG)
		fake_die("%s asks for directory %d, which there is not", self->name, kind);
	return directories[kind];
}

static uint64_t host_now(void)
{
	return __atomic_load_n(&fake_world.now, __ATOMIC_RELAXED);
}

/* ---- the world ---- */

static void fill_table(void)
{
	table = fake_session_part;
	table.size = sizeof(table);
	table.abi_major = PSTN_ABI_MAJOR;
	table.abi_minor = PSTN_ABI_MINOR;
	table.alloc = host_alloc;
	table.free = host_free;
	table.log = fake_log_add;
	table.logs = fake_log_wanted;
	table.count = host_count;
	table.name = host_name;
	table.directory = host_directory;
	table.need = host_need;
	table.now = host_now;
	table.after = fake_op_after;
	table.job = fake_op_job;
	table.pend = fake_op_pend;
	table.post = fake_op_post;
	table.cancel = fake_op_cancel;
	table.call = &fake_call_table;
	table.tell = host_tell;
	table.progress = host_progress;
}

static void make_directories(void)
{
	static const char *const names[] = {"config", "state", "run", "log"};
	const char *tmp = getenv("TMPDIR");
	if (!tmp || strlen(tmp) > 40)
		tmp = "/tmp";
	snprintf(fake_world.directory, sizeof(fake_world.directory), "%s/postern-XXXXXX", tmp);
	if (!mkdtemp(fake_world.directory))
		fake_die("cannot make a scratch directory in %s", tmp);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(directories[i], sizeof(directories[i]), "%s/%s", fake_world.directory,
			 names[i]);
		if (mkdir(directories[i], 0700))
			fake_die("cannot make %s", directories[i]);
	}
}

void fake_begin(void)
{
	if (fake_world.running)
		fake_die("fake_begin() twice without fake_end()");
	fake_world.running = true;
	fake_world.reactor = pthread_self();
	fake_world.now = 1000000;
	make_directories();
	fill_table();
}

const struct pstn_host *fake_host(void)
{
	return &table;
}

const char *fake_directory(void)
{
	return fake_world.directory;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

unsigned fake_end(void)
{
	if (!fake_world.running)
		fake_die("fake_end() without fake_begin()");
	unsigned left = fake_sessions_end();
	left += fake_ops_end();
	left += memory_end();
	fake_log_clear();
	fake_log_level(PSTN_PROTOCOL);
	while (fake_world.selves) {
		struct pstn_self *self = fake_world.selves;
		fake_world.selves = self->next;
		free(self->name);
		free(self);
	}
	if (nftw(fake_world.directory, remove_one, 16, FTW_DEPTH | FTW_PHYS))
		fprintf(stderr, "fake_host: cannot remove %s\n", fake_world.directory);
	fake_world.running = false;
	return left;
}
