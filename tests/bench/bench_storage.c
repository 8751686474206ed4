/*
 * bench_storage.c - the store alone: what opening, listing, delivering, reading and removing cost,
 * in time and in CPU, without a network and without the core's queues.
 *
 *	bench_storage DIRECTORY [MESSAGES]     a scratch directory; messages in the large folder
 *
 * Compare figures of one run only; `raw` is what the disk itself does in that run.
 */
#include "modules/storage/delivery.h"
#include "modules/storage/maildrop.h"
#include "modules/storage/store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TEXT 4096

/* ---- the least host that will do ---- */

struct pstn_op {
	pstn_done *done;
	void *arg;
	int (*work)(void *);
};

static const char *directory;
static atomic_uint jobs; /* running */

static void *host_alloc(struct pstn_self *self, size_t n)
{
	(void)self;
	return calloc(1, n);
}

static void host_free(struct pstn_self *self, void *p)
{
	(void)self;
	free(p);
}

static void host_log(struct pstn_self *self, struct pstn_session *s, int level, const char *event,
		     const struct pstn_field *fields, size_t n)
{
	(void)self;
	(void)s;
	fprintf(stderr, "log %d %s", level, event);
	for (size_t i = 0; i < n; i++) {
		if (fields[i].kind == PSTN_F_STR)
			fprintf(stderr, " %s=%s", fields[i].key, fields[i].str);
	}
	fprintf(stderr, "\n");
}

static void host_count(struct pstn_self *self, uint32_t metric, int64_t by)
{
	(void)self;
	(void)metric;
	(void)by;
}

static const char *host_name(struct pstn_self *self)
{
	(void)self;
	return "storage";
}

static const char *host_directory(struct pstn_self *self, int kind)
{
	(void)self;
	(void)kind;
	return directory;
}

static const void *host_need(struct pstn_self *self, uint32_t i, void **inst)
{
	(void)self;
	(void)i;
	*inst = NULL;
	return NULL;
}

static uint64_t host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct pstn_op *host_after(struct pstn_self *self, struct pstn_session *s, uint64_t ms,
				  pstn_done *done, void *arg)
{
	static struct pstn_op never;

	(void)self;
	(void)s;
	(void)ms;
	(void)done;
	(void)arg;
	return &never;
}

static void *run_job(void *arg)
{
	struct pstn_op *op = arg;

	op->done(op->arg, op->work(op->arg));
	free(op);
	atomic_fetch_sub(&jobs, 1);
	return NULL;
}

static struct pstn_op *host_job(struct pstn_self *self, struct pstn_session *s, int (*work)(void *),
				pstn_done *done, void (*orphan)(void *), void *arg)
{
	static struct pstn_op running;
	struct pstn_op *op = calloc(1, sizeof(*op));
	pthread_t thread;

	(void)self;
	(void)s;
	(void)orphan;
	*op = (struct pstn_op){.done = done, .arg = arg, .work = work};
	atomic_fetch_add(&jobs, 1);
	if (pthread_create(&thread, NULL, run_job, op) != 0)
		return NULL;
	pthread_detach(thread);
	return &running;
}

static void host_cancel(struct pstn_op **op)
{
	*op = NULL;
}

static const struct pstn_host host = {
    .size = sizeof(host),
    .abi_major = PSTN_ABI_MAJOR,
    .alloc = host_alloc,
    .free = host_free,
    .log = host_log,
    .count = host_count,
    .name = host_name,
    .directory = host_directory,
    .need = host_need,
    .now = host_now,
    .after = host_after,
    .job = host_job,
    .cancel = host_cancel,
};

/* ---- clocks ---- */

struct clocks {
	double wall, cpu;
};

static struct clocks now(void)
{
	struct timespec t;
	struct rusage u;

	clock_gettime(CLOCK_MONOTONIC, &t);
	getrusage(RUSAGE_SELF, &u);
	return (struct clocks){
	    (double)t.tv_sec + (double)t.tv_nsec * 1e-9,
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6,
	};
}

static void report(const char *what, struct clocks from, double n)
{
	struct clocks to = now();

	printf("%-44s %10.0f /s  %9.2f us  %9.2f us CPU\n", what, n / (to.wall - from.wall),
	       (to.wall - from.wall) / n * 1e6, (to.cpu - from.cpu) / n * 1e6);
	fflush(stdout);
}

/* ---- what is measured ---- */

static struct store *store;
static char text[TEXT];

static struct pstn_account account_of(uint64_t id)
{
	struct pstn_account a = {.size = sizeof(a), .id = id};

	snprintf(a.name, sizeof(a.name), "user%llu@example.org", (unsigned long long)id);
	return a;
}

static void deliver(uint64_t id, size_t n)
{
	struct pstn_account a = account_of(id);
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &a, .folder = "INBOX", .expected = n};
	struct pstn_delivered out;
	struct pstn_delivery *d;

	if (delivery_table.begin(store, NULL, &q, &d, NULL, NULL) != PSTN_OK ||
	    delivery_table.write(d, text, n, NULL, NULL) != PSTN_OK ||
	    delivery_table.commit(d, &out, NULL, NULL) != PSTN_OK)
		fprintf(stderr, "a delivery failed\n");
}

/* Many in a group, as an import does it. */
static void fill(uint64_t id, unsigned count, size_t n)
{
	struct pstn_account a = account_of(id);
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &a, .folder = "INBOX", .expected = n};
	struct clocks from = now();

	for (unsigned done = 0; done < count;) {
		struct pstn_delivery *d[256];
		struct pending *p[256] = {NULL};
		unsigned some = count - done < 256 ? count - done : 256;
		int status;

		for (unsigned i = 0; i < some; i++) {
			delivery_begin(store, &q, NULL, &d[i]);
			delivery_write(d[i], text, n);
			p[i] = delivery_seal(d[i], &status);
			if (i > 0)
				p[i - 1]->next = p[i];
			p[i]->next = NULL;
		}
		commit_wait(store, p[0]);
		for (unsigned i = 0; i < some; i++)
			delivery_free(d[i]);
		done += some;
	}
	report("deliver in groups of 256", from, count);
}

struct deliverer {
	pthread_t thread;
	uint64_t id;
	unsigned count;
};

static void *run_deliverer(void *arg)
{
	struct deliverer *d = arg;

	for (unsigned i = 0; i < d->count; i++)
		deliver(d->id, TEXT);
	return NULL;
}

static void deliver_with(unsigned threads, unsigned count)
{
	struct deliverer d[64];
	struct clocks from = now();
	char what[64];

	for (unsigned i = 0; i < threads; i++) {
		d[i] = (struct deliverer){.id = 1000 + i, .count = count / threads};
		pthread_create(&d[i].thread, NULL, run_deliverer, &d[i]);
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(d[i].thread, NULL);
	snprintf(what, sizeof(what), "deliver 4 kB, %u waiting", threads);
	report(what, from, count / threads * threads);
}

/* What the same octets cost the disk: n messages appended to allocated space under one sync. */
static void raw(unsigned n, unsigned rounds)
{
	size_t size = (size_t)n * (TEXT + 200);
	char *buffer = calloc(1, size), what[64];
	char path[512];
	struct clocks from;
	off_t at = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/raw", directory);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (posix_fallocate(fd, 0, (off_t)(size * rounds)) != 0 || fsync(fd) != 0)
		fprintf(stderr, "raw: no space\n");
	from = now();
	for (unsigned i = 0; i < rounds; i++) {
		if (pwrite(fd, buffer, size, at) != (ssize_t)size || fdatasync(fd) != 0)
			fprintf(stderr, "raw: a write failed\n");
		at += (off_t)size;
	}
	snprintf(what, sizeof(what), "raw: %u x 4 kB + fdatasync, preallocated", n);
	report(what, from, (double)n * rounds);
	close(fd);
	unlink(path);
	free(buffer);
}

static struct pstn_maildrop *open_drop(uint64_t id, struct pstn_session *s)
{
	struct pstn_account a = account_of(id);
	struct pstn_maildrop *d = NULL;

	if (maildrop_table.open(store, s, &a, "INBOX", &d, NULL, NULL) != PSTN_OK)
		fprintf(stderr, "a maildrop was not opened at once\n");
	return d;
}

static void open_many(uint64_t id, const char *what)
{
	struct pstn_session *s = (struct pstn_session *)&host;
	unsigned n = 300000;
	struct clocks from;

	maildrop_table.close(open_drop(id, NULL));
	from = now();
	for (unsigned i = 0; i < n; i++) {
		struct pstn_maildrop_totals t;
		struct pstn_maildrop *d = open_drop(id, s);

		maildrop_table.totals(d, &t, NULL, NULL);
		maildrop_table.close(d);
	}
	report(what, from, n);
}

static void list_all(uint64_t id, unsigned at_once, const char *what)
{
	struct pstn_maildrop *d = open_drop(id, NULL);
	struct pstn_message *rows = calloc(at_once, sizeof(*rows));
	struct clocks from = now();
	uint32_t got, first = 1;

	do {
		maildrop_table.list(d, first, rows, at_once, &got, NULL, NULL);
		first += got;
	} while (got > 0);
	report(what, from, first - 1);
	maildrop_table.close(d);
	free(rows);
}

static void read_some(uint64_t id, unsigned n, const char *what)
{
	struct pstn_maildrop *d = open_drop(id, NULL);
	struct pstn_content c;
	struct clocks from;

	/* So that the files are open. */
	for (unsigned i = 1; i <= 1000; i++) {
		if (maildrop_table.read(d, i, &c, NULL, NULL) == PSTN_OK)
			c.release(c.ref);
	}
	maildrop_table.close(d);
	d = open_drop(id, (struct pstn_session *)&host);
	from = now();
	for (unsigned i = 1; i <= n; i++) {
		if (maildrop_table.read(d, i % 200 + 1, &c, NULL, NULL) == PSTN_OK)
			c.release(c.ref);
		else
			fprintf(stderr, "a message was not read at once\n");
	}
	report(what, from, n);
	maildrop_table.close(d);
}

static void expunge_some(uint64_t id, uint32_t n, uint32_t step, const char *what)
{
	struct pstn_maildrop *d = open_drop(id, NULL);
	uint32_t *numbers = calloc(n, sizeof(*numbers));
	struct clocks from = now();

	for (uint32_t i = 0; i < n; i++)
		numbers[i] = 1 + i * step;
	if (maildrop_table.expunge(d, numbers, n, NULL, NULL) != PSTN_OK)
		fprintf(stderr, "an expunge failed\n");
	report(what, from, n);
	maildrop_table.close(d);
	free(numbers);
}

/* A module is stopped when nothing of it runs any more. */
static void stop(void)
{
	while (atomic_load(&jobs) > 0)
		usleep(100);
	store_close(store);
}

int main(int argc, char **argv)
{
	struct store_options options = {.path = "",
					.segment_size = 64 << 20,
					.message_size_limit = 256 << 20,
					.stream_threshold = 1 << 20,
					.index_map_size = (uint64_t)64 << 30,
					.checkpoint_interval = 5000};
	unsigned large = argc > 2 ? (unsigned)atoi(argv[2]) : 1000000;
	char err[512];
	struct clocks from;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_storage DIRECTORY [MESSAGES]\n");
		return 2;
	}
	directory = argv[1];
	for (size_t i = 0; i < TEXT; i++)
		text[i] = i % 70 == 69 ? '\n' : (char)('a' + i % 26);
	store = store_open(NULL, &host, &options, err, sizeof(err));
	if (!store) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	raw(1, 2000);
	deliver_with(1, 2000);
	raw(16, 1000);
	deliver_with(16, 16000);
	raw(64, 500);
	deliver_with(64, 32000);
	fill(1, 10, 200);
	fill(2, large, 200);
	open_many(1, "open + totals + close, 10 messages");
	open_many(2, "open + totals + close, the large folder");
	list_all(2, 256, "list the large folder, a row");
	read_some(2, 200000, "read a small hot message");
	read_some(1001, 200000, "read a hot message of 4 kB");
	expunge_some(2, 10000, 1, "expunge 10000 from the front");
	expunge_some(2, 10000, 7, "expunge 10000, every seventh");
	open_many(2, "open + totals + close, with holes");
	list_all(2, 256, "list the large folder with holes, a row");
	from = now();
	stop();
	store = store_open(NULL, &host, &options, err, sizeof(err));
	report("stop and start", from, 1);
	stop();
	return 0;
}
