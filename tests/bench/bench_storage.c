/*
 * bench_storage.c - the store alone: what delivering, opening, listing, reading and removing cost,
 * in time and in CPU, without a network and without the core.
 *
 *	bench_storage DIRECTORY STEP[:NUMBER...]...
 *
 * DIRECTORY is a scratch directory; a store that is there is used. Each step prints one line of
 * JSON. Compare figures of one run only: `append` says what the disk itself does in that run.
 * tests/bench/store puts steps together, and makes tables of them. Steps, and their numbers:
 *
 *	append K ROUNDS               K x 4 kB to a growing file, one fdatasync
 *	deliver WAITING COUNT         4 kB each, as sessions do it: one reactor, WAITING in flight
 *	block WAITING COUNT           the same by threads that wait, as commands do it
 *	fill ACCOUNT COUNT OCTETS     in groups of 256, as an import does it
 *	accounts FIRST COUNT          a message of 200 octets to each
 *	stat ACCOUNT TIMES            open, totals, close
 *	list ACCOUNT                  all rows
 *	read ACCOUNT TIMES            hot, by a session, all messages in turn
 *	expunge ACCOUNT COUNT STEP    every STEP-th
 *	open                          start
 *	reopen                        stop and start
 *	crash                         end here, without a stop
 *	holes OCTETS TEXT EACH        a new store of so many octets, whose texts are holes
 *	thin FIRST ACCOUNTS STEP      expunge every STEP-th message of so many of its accounts
 *	compact                       one pass; what was expunged is not kept for a while
 *	memory                        resident octets of this process; octets of the index's file
 *	rebuild                       stop and start with a new index
 */
#include "bench_holes.h"
#include "bench_host.h"

#include "modules/storage/compact/compact.h"
#include "modules/storage/delivery/delivery.h"
#include "modules/storage/maildrop/maildrop.h"
#include "modules/storage/open/home.h"
#include "modules/storage/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT      4096
#define IN_FLIGHT 256
#define NUMBERS   3

static struct store *store;
static char text[1 << 20];

/* ---- clocks ---- */

struct clocks {
	double wall, cpu;
};

static struct clocks now(void)
{
	struct timespec wall, cpu;

	clock_gettime(CLOCK_MONOTONIC, &wall);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return (struct clocks){(double)wall.tv_sec + (double)wall.tv_nsec * 1e-9,
			       (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9};
}

static void report(const char *what, struct clocks from, double n)
{
	struct clocks to = now();

	printf("{\"what\": \"%s\", \"n\": %.0f, \"wall\": %.9f, \"cpu\": %.9f}\n", what, n,
	       to.wall - from.wall, to.cpu - from.cpu);
	fflush(stdout);
}

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "bench_storage: %s failed\n", what);
	exit(1);
}

/* ---- the store ---- */

static void start(void)
{
	const struct store_options options = {.path = "",
					      .segment_size = 64 << 20,
					      .message_size_limit = 256 << 20,
					      .stream_threshold = 1 << 20,
					      .index_map_size = (uint64_t)4 << 30,
					      .checkpoint_interval = 5000};
	char err[512];

	store = store_open(NULL, &bench_host, &options, err, sizeof(err));
	if (store)
		return;
	fprintf(stderr, "%s\n", err);
	exit(1);
}

/* A module is stopped when nothing of it runs any more. */
static void stop(void)
{
	bench_settle();
	store_close(store);
}

static struct pstn_account account_of(uint64_t id)
{
	struct pstn_account a = {.size = sizeof(a), .id = id};

	snprintf(a.name, sizeof(a.name), "user%llu@example.org", (unsigned long long)id);
	return a;
}

/* ---- the disk ---- */

static void append(const uint64_t *n)
{
	size_t size = (size_t)n[0] * TEXT;
	char path[512];
	struct clocks from;
	int fd;

	if (size > sizeof(text))
		die("append");
	snprintf(path, sizeof(path), "%s/append", bench_directory);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	from = now();
	for (uint64_t i = 0; i < n[1]; i++) {
		if (write(fd, text, size) != (ssize_t)size || fdatasync(fd) != 0)
			die("append");
	}
	report("append", from, (double)(n[0] * n[1]));
	close(fd);
	unlink(path);
}

/* ---- delivering ---- */

static struct pstn_delivery *begin(struct pstn_session *s, uint64_t id, size_t octets)
{
	struct pstn_account a = account_of(id);
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &a, .folder = "INBOX", .expected = octets};
	struct pstn_delivery *d;

	if (delivery_table.begin(store, s, &q, &d, NULL, NULL) != PSTN_OK ||
	    delivery_table.write(d, text, octets, NULL, NULL) != PSTN_OK)
		die("a delivery");
	return d;
}

struct deliverer {
	struct pstn_delivered out;
	pthread_t thread;
	uint64_t id, left;
};

static unsigned in_flight;

static void deliver_next(struct deliverer *d);

static void delivered(void *arg, int status)
{
	struct deliverer *d = arg;

	if (status != PSTN_OK)
		die("a delivery");
	in_flight--;
	deliver_next(d);
}

static void deliver_next(struct deliverer *d)
{
	if (d->left-- == 0)
		return;
	in_flight++;
	if (delivery_table.commit(begin(bench_session, d->id, TEXT), &d->out, delivered, d) !=
	    PSTN_LATER)
		die("a delivery");
}

static void deliver(const uint64_t *n)
{
	static struct deliverer d[IN_FLIGHT];
	struct clocks from = now();

	for (unsigned i = 0; i < n[0] && i < IN_FLIGHT; i++) {
		d[i] = (struct deliverer){.id = 1000 + i, .left = n[1] / n[0]};
		deliver_next(&d[i]);
	}
	while (in_flight)
		bench_turn();
	report("deliver", from, (double)(n[1] / n[0] * n[0]));
}

static void *run_deliverer(void *arg)
{
	struct deliverer *d = arg;

	while (d->left-- > 0) {
		if (delivery_table.commit(begin(NULL, d->id, TEXT), &d->out, NULL, NULL) != PSTN_OK)
			die("a delivery");
	}
	return NULL;
}

static void block(const uint64_t *n)
{
	static struct deliverer d[IN_FLIGHT];
	struct clocks from = now();

	for (unsigned i = 0; i < n[0] && i < IN_FLIGHT; i++) {
		d[i] = (struct deliverer){.id = 1000 + i, .left = n[1] / n[0]};
		if (pthread_create(&d[i].thread, NULL, run_deliverer, &d[i]) != 0)
			die("a thread");
	}
	for (unsigned i = 0; i < n[0] && i < IN_FLIGHT; i++)
		pthread_join(d[i].thread, NULL);
	report("block", from, (double)(n[1] / n[0] * n[0]));
}

/* `some` messages in one group, to one account or to one each. */
static void deliver_group(uint64_t account, bool each, unsigned some, size_t octets)
{
	struct pstn_delivery *d[IN_FLIGHT];
	struct pending *p[IN_FLIGHT] = {NULL};
	int status;

	for (unsigned i = 0; i < some; i++) {
		d[i] = begin(NULL, account + (each ? i : 0), octets);
		p[i] = delivery_seal(d[i], &status);
		if (!p[i])
			die("a delivery");
		if (i > 0)
			p[i - 1]->next = p[i];
		p[i]->next = NULL;
	}
	commit_wait(store, p[0]);
	for (unsigned i = 0; i < some; i++) {
		if (p[i]->status != PSTN_OK)
			die("a delivery");
		delivery_free(d[i]);
	}
}

static void deliver_groups(uint64_t account, bool each, uint64_t count, size_t octets)
{
	for (uint64_t done = 0; done < count; done += IN_FLIGHT) {
		uint64_t left = count - done;

		deliver_group(account + (each ? done : 0), each,
			      left < IN_FLIGHT ? (unsigned)left : IN_FLIGHT, octets);
	}
}

static void fill(const uint64_t *n)
{
	struct clocks from = now();

	deliver_groups(n[0], false, n[1], n[2] < sizeof(text) ? (size_t)n[2] : sizeof(text));
	report("fill", from, (double)n[1]);
}

static void accounts(const uint64_t *n)
{
	struct clocks from = now();

	deliver_groups(n[0], true, n[1], 200);
	report("accounts", from, (double)n[1]);
}

/* ---- maildrops ---- */

static struct pstn_maildrop *open_drop(uint64_t id, struct pstn_session *s)
{
	struct pstn_account a = account_of(id);
	struct pstn_maildrop *d = NULL;

	if (maildrop_table.open(store, s, &a, "INBOX", &d, NULL, NULL) != PSTN_OK)
		die("opening a maildrop at once");
	return d;
}

/* So that a session is answered at once: it is known to be warm, its files are open. */
static void warm(uint64_t id)
{
	struct pstn_maildrop *d = open_drop(id, NULL);
	struct pstn_content c;
	uint32_t number = 1;

	while (maildrop_table.read(d, number++, &c, NULL, NULL) == PSTN_OK)
		c.release(c.ref);
	maildrop_table.close(d);
}

static void told(void *arg, int status)
{
	*(int *)arg = status;
}

/* What the system has put aside meanwhile is read by a job. */
static void read_one(struct pstn_maildrop *d, uint32_t number)
{
	struct pstn_content c;
	int told_status = PSTN_LATER;
	int status = maildrop_table.read(d, number, &c, told, &told_status);

	while (status == PSTN_LATER) {
		bench_turn();
		status = told_status;
	}
	if (status != PSTN_OK)
		die("reading");
	c.release(c.ref);
}

static void stat_drop(const uint64_t *n)
{
	struct clocks from;

	maildrop_table.close(open_drop(n[0], NULL));
	from = now();
	for (uint64_t i = 0; i < n[1]; i++) {
		struct pstn_maildrop_totals t;
		struct pstn_maildrop *d = open_drop(n[0], bench_session);

		if (maildrop_table.totals(d, &t, NULL, NULL) != PSTN_OK)
			die("totals at once");
		maildrop_table.close(d);
	}
	report("stat", from, (double)n[1]);
}

static void list(const uint64_t *n)
{
	struct pstn_maildrop *d = open_drop(n[0], NULL);
	struct pstn_message rows[256];
	struct clocks from = now();
	uint32_t got, first = 1;

	do {
		maildrop_table.list(d, first, rows, 256, &got, NULL, NULL);
		first += got;
	} while (got > 0);
	report("list", from, first - 1);
	maildrop_table.close(d);
}

static void read_all(const uint64_t *n)
{
	struct pstn_maildrop_totals t;
	struct pstn_maildrop *d;
	struct clocks from;

	warm(n[0]);
	d = open_drop(n[0], bench_session);
	maildrop_table.totals(d, &t, NULL, NULL);
	from = now();
	for (uint64_t i = 0; i < n[1]; i++)
		read_one(d, (uint32_t)(i % t.messages) + 1);
	report("read", from, (double)n[1]);
	maildrop_table.close(d);
}

static void expunge(const uint64_t *n)
{
	struct pstn_maildrop *d = open_drop(n[0], NULL);
	uint32_t *numbers = calloc(n[1], sizeof(*numbers));
	struct clocks from = now();

	if (!numbers)
		die("memory");
	for (uint32_t i = 0; i < n[1]; i++)
		numbers[i] = 1 + i * (uint32_t)n[2];
	if (maildrop_table.expunge(d, numbers, (uint32_t)n[1], NULL, NULL) != PSTN_OK)
		die("an expunge");
	report("expunge", from, (double)n[1]);
	maildrop_table.close(d);
	free(numbers);
}

/* ---- the whole store ---- */

static void reopen(const uint64_t *n)
{
	struct clocks from = now();

	(void)n;
	stop();
	start();
	report("reopen", from, 1);
}

static void open_store(const uint64_t *n)
{
	struct clocks from = now();

	(void)n;
	start();
	report("open", from, 1);
}

_Noreturn static void crash(const uint64_t *n)
{
	(void)n;
	_exit(0);
}

static void rebuild(const uint64_t *n)
{
	struct clocks from = now();

	(void)n;
	if (home_ask_rebuild(store) != 0)
		die("asking for a rebuild");
	stop();
	start();
	report("rebuild", from, 1);
}

static void holes(const uint64_t *n)
{
	struct clocks from = now();
	uint64_t made = make_holes(bench_directory, n[0], n[1], n[2]);

	if (made == 0)
		die("making a store of holes");
	report("holes", from, (double)made);
	/* The index is made from the segments now. */
	from = now();
	start();
	report("rebuild", from, (double)made);
}

static void thin(const uint64_t *n)
{
	uint64_t removed = 0;
	struct clocks from = now();

	for (uint64_t i = 0; i < n[1]; i++) {
		struct pstn_maildrop *d = open_drop(HOLES_FIRST + n[0] + i, NULL);
		struct pstn_maildrop_totals t;
		uint32_t numbers[1024], count = 0;

		maildrop_table.totals(d, &t, NULL, NULL);
		if (t.messages > sizeof(numbers) / sizeof(*numbers))
			die("thinning a maildrop");
		for (uint32_t k = 1; k <= t.messages; k += (uint32_t)n[2])
			numbers[count++] = k;
		if (maildrop_table.expunge(d, numbers, count, NULL, NULL) != PSTN_OK)
			die("thinning a maildrop");
		removed += count;
		maildrop_table.close(d);
	}
	report("thin", from, (double)removed);
}

static void compact(const uint64_t *n)
{
	struct compactor c;
	struct clocks from = now();

	(void)n;
	compactor_begin(&c, store, 0, true);
	while (compactor_step(&c))
		;
	compactor_end(&c);
	report("compact", from, (double)c.tally.segments);
	printf("{\"what\": \"compacted\", \"segments\": %llu, \"octets\": %llu, \"moved\": %llu}\n",
	       (unsigned long long)c.tally.segments, (unsigned long long)c.tally.octets,
	       (unsigned long long)c.tally.moved);
	fflush(stdout);
}

static void memory(const uint64_t *n)
{
	char path[PATH_MAX + 32];
	struct stat index = {0};
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	(void)n;
	if (!statm || fscanf(statm, "%*u %lu", &pages) != 1)
		die("statm");
	fclose(statm);
	snprintf(path, sizeof(path), "%s/index/data.mdb", store->path);
	stat(path, &index);
	printf("{\"what\": \"memory\", \"resident\": %lu, \"index\": %llu}\n",
	       pages * (unsigned long)sysconf(_SC_PAGESIZE),
	       (unsigned long long)index.st_blocks * 512);
	fflush(stdout);
}

static const struct step {
	const char *name;
	unsigned numbers;
	void (*run)(const uint64_t *);
	bool alone; /* does not want the store, or begins with none */
} steps[] = {
    {"append", 2, append, true},    {"holes", 3, holes, true},
    {"thin", 3, thin, false},       {"compact", 0, compact, false},
    {"deliver", 2, deliver, false}, {"block", 2, block, false},
    {"fill", 3, fill, false},       {"accounts", 2, accounts, false},
    {"stat", 2, stat_drop, false},  {"list", 1, list, false},
    {"read", 2, read_all, false},   {"expunge", 3, expunge, false},
    {"open", 0, open_store, true},  {"crash", 0, crash, false},
    {"reopen", 0, reopen, false},   {"rebuild", 0, rebuild, false},
    {"memory", 0, memory, false},
};

static void run_step(const char *word)
{
	size_t name = strcspn(word, ":");

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		uint64_t numbers[NUMBERS];
		const char *at = word + name;
		unsigned n = 0;

		if (strlen(steps[i].name) != name || strncmp(word, steps[i].name, name) != 0)
			continue;
		while (*at == ':' && n < NUMBERS) {
			char *end;

			numbers[n++] = strtoull(at + 1, &end, 10);
			at = end;
		}
		if (n == steps[i].numbers && *at == '\0') {
			if (!store && !steps[i].alone)
				start();
			steps[i].run(numbers);
			return;
		}
	}
	die(word);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: bench_storage DIRECTORY STEP[:NUMBER...]...\n");
		return 2;
	}
	bench_directory = argv[1];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 70 == 69 ? '\n' : (char)('a' + i % 26);
	for (int i = 2; i < argc; i++)
		run_step(argv[i]);
	if (store)
		stop();
	return 0;
}
