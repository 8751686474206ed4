/*
 * test_storage_compact.c - deleted mail's space is given back, and nothing else: what is there
 * before is there after, in the index and in one that is made again from the segments alone, at
 * every step; with sessions open, readers at work, processes killed.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/command/commands.h"
#include "modules/storage/format/bytes.h"
#include "modules/storage/maildrop/view.h"
#include "modules/storage/open/maintenance.h"
#include "modules/storage/segment/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANN  "ann@example.org"
#define BOB  "bob@example.org"
#define DAY  (UINT64_C(24) * 60 * 60 * 1000)
#define SIZE ((size_t)1 << 20)

/* ---- what a store holds, as text ---- */

struct text {
	char *at;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->used += (size_t)vsnprintf(t->at + t->used, SIZE - t->used, fmt, ap);
	va_end(ap);
	if (t->used >= SIZE)
		abort();
}

static unsigned long long sum_of_text(struct rig *r, const unsigned char *key,
				      const struct message_row *row)
{
	struct fetch_key where = {get64be(key), get32be(key + 8), get32be(key + 12)};
	struct pstn_content c;
	unsigned long long sum;
	int status = fetch(r->store, &where, row, true, &c);

	if (status != PSTN_OK)
		return (unsigned long long)-status;
	if (c.bytes) {
		sum = record_sum(c.bytes, (size_t)c.length, 0);
	} else {
		char *bytes = malloc((size_t)c.length);

		CU_ASSERT_EQUAL(pread(c.fd, bytes, (size_t)c.length, (off_t)c.offset),
				(ssize_t)c.length);
		sum = record_sum(bytes, (size_t)c.length, 0);
		free(bytes);
	}
	c.release(c.ref);
	return sum;
}

static void say_message(struct rig *r, struct text *t, const unsigned char *key,
			const struct message_row *m)
{
	say(t, "%llx %u %u: %x %llx %llu %llu %u %llu %llu %llu %s",
	    (unsigned long long)get64be(key), get32be(key + 8), get32be(key + 12), m->flags,
	    (unsigned long long)m->keywords, (unsigned long long)m->octets,
	    (unsigned long long)m->header_octets, m->dots, (unsigned long long)m->received,
	    (unsigned long long)m->stored, (unsigned long long)m->change, m->uidl);
	say(t, " %llu %llu %llx\n", (unsigned long long)m->expunged_change,
	    (unsigned long long)m->expunged_at, sum_of_text(r, key, m));
}

static void say_folder(struct text *t, const unsigned char *key, const struct folder_row *f,
		       bool all)
{
	say(t, "%llx %u %s: %u %u %u %llu %llu %llu %llu", (unsigned long long)get64be(key),
	    get32be(key + 8), f->name, f->flags, f->uidvalidity, f->uidnext,
	    (unsigned long long)f->change, (unsigned long long)f->messages,
	    (unsigned long long)f->octets, (unsigned long long)f->unseen);
	if (all)
		say(t, " %llu %llu %llu %llu", (unsigned long long)f->expunge_change,
		    (unsigned long long)f->tombstones, (unsigned long long)f->tombstone_octets,
		    (unsigned long long)f->forgotten);
	say(t, "\n");
}

/* Rows of tables whose octets are the same in every index. */
static void say_rows(struct text *t, MDB_txn *txn, MDB_dbi dbi, const char *table)
{
	MDB_cursor *c;
	MDB_val k, v;

	CU_ASSERT_EQUAL_FATAL(mdb_cursor_open(txn, dbi, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0)
		say(t, "%s %llx %llx\n", table,
		    (unsigned long long)record_sum(k.mv_data, k.mv_size, 0),
		    (unsigned long long)record_sum(v.mv_data, v.mv_size, 0));
	mdb_cursor_close(c);
}

struct rows { /* copied, because the texts are read without a transaction */
	struct row {
		unsigned char key[KEY_MESSAGE];
		struct message_row row;
	} * at;
	size_t count;
};

static void copy_messages(struct rig *r, MDB_txn *txn, MDB_dbi dbi, struct rows *rows)
{
	MDB_cursor *c;
	MDB_val k, v;

	CU_ASSERT_EQUAL_FATAL(mdb_cursor_open(txn, dbi, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		rows->at = realloc(rows->at, (rows->count + 1) * sizeof(*rows->at));
		memcpy(rows->at[rows->count].key, k.mv_data, KEY_MESSAGE);
		CU_ASSERT_TRUE(message_row_get(&rows->at[rows->count].row, k.mv_data,
					       r->store->index.tag, v.mv_data, v.mv_size));
		rows->count++;
	}
	mdb_cursor_close(c);
}

/* all: with what compaction is meant to take away, to compare with an index that was made anew. */
static char *dump(struct rig *r, bool all)
{
	struct text t = {.at = calloc(1, SIZE)};
	struct index *ix = &r->store->index;
	struct rows rows = {0};
	struct state_row state;
	MDB_cursor *c;
	MDB_val k, v;
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(ix, &txn), 0);
	CU_ASSERT_EQUAL(index_state(ix, txn, &state), 0);
	say(&t, "serial %llu\n", (unsigned long long)state.serial);
	CU_ASSERT_EQUAL_FATAL(mdb_cursor_open(txn, ix->folders, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		struct folder_row f;

		CU_ASSERT_TRUE(folder_row_get(&f, k.mv_data, v.mv_data, v.mv_size));
		say_folder(&t, k.mv_data, &f, all);
	}
	mdb_cursor_close(c);
	say_rows(&t, txn, ix->accounts, "accounts");
	say_rows(&t, txn, ix->names, "names");
	say_rows(&t, txn, ix->uidls, "uidls");
	say_rows(&t, txn, ix->keywords, "keywords");
	say_rows(&t, txn, ix->domains, "domains");
	if (all)
		say_rows(&t, txn, ix->changes, "changes");
	copy_messages(r, txn, ix->messages, &rows);
	if (all)
		copy_messages(r, txn, ix->tombstones, &rows);
	index_read_end(ix, txn);
	for (size_t i = 0; i < rows.count; i++)
		say_message(r, &t, rows.at[i].key, &rows.at[i].row);
	free(rows.at);
	return t.at;
}

static void differ(const char *what, const char *before, const char *after)
{
	size_t at = 0;

	if (strcmp(before, after) == 0)
		return;
	while (before[at] && before[at] == after[at])
		at++;
	while (at > 0 && before[at - 1] != '\n')
		at--;
	fprintf(stderr, "  %s:\n  before %.200s\n  after  %.200s\n", what, before + at, after + at);
	CU_FAIL("the store's contents have changed");
}

static void expect_sound(struct rig *r)
{
	const char *answer = rig_command(r, "storage check", NULL, NULL, NULL, NULL, -1);

	if (strstr(answer, "\"faults\":0"))
		return;
	fprintf(stderr, "  %.400s\n", answer);
	CU_FAIL("storage check finds faults");
}

/* The store as it is on disk, in another directory, with its index or without. */
static void open_copy(struct rig *r, struct rig *copy, char path[600], bool with_index)
{
	char index[640];

	snprintf(path, 600, "%s-copy", r->path);
	rig_copy_store(r->path, path);
	snprintf(index, sizeof(index), "%s/index", path);
	if (!with_index)
		rig_remove_store(index);
	*copy = *r;
	copy->store = NULL;
	copy->options.path = path;
	if (!rig_open(copy))
		fprintf(stderr, "  %s\n", copy->error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy->store);
}

static void close_copy(struct rig *copy)
{
	rig_close(copy);
	rig_remove_store(copy->options.path);
}

/* An index that is made anew holds the same. */
static void expect_rebuilt(struct rig *r, bool all)
{
	struct rig copy;
	char path[600], *before = dump(r, all), *after;

	open_copy(r, &copy, path, false);
	after = dump(&copy, all);
	differ("made anew", before, after);
	expect_sound(&copy);
	close_copy(&copy);
	free(before);
	free(after);
}

/* ---- mail ---- */

static void begin(struct rig *r)
{
	rig_begin(r);
	r->options.segment_size = 16384;
	r->options.stream_threshold = 65536;
	CU_ASSERT_FATAL(rig_open(r));
}

static void deliver(struct rig *r, const char *user, const char *folder, unsigned number, size_t n,
		    const char *uidl)
{
	char *text = malloc(n + 200);
	int status, head = snprintf(text, 200, "Subject: %u\n\n.dotted\n", number);

	for (size_t i = 0; i < n; i++)
		text[(size_t)head + i] = i % 70 == 69 ? '\n' : (char)('a' + (i + number) % 26);
	rig_deliver_bytes(r, user, folder, text, (size_t)head + n, uidl, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	free(text);
}

static void expunge(struct rig *r, const char *user, const char *folder, uint32_t first,
		    uint32_t last, uint32_t step)
{
	uint32_t numbers[512], n = 0;
	struct pstn_maildrop *d;
	int status;

	d = rig_folder(r, user, folder, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (uint32_t i = first; i <= last; i += step)
		numbers[n++] = i;
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, n), PSTN_OK);
	maildrop_table.close(d);
}

static void flag(struct rig *r, const char *user, uint32_t number, uint32_t add, uint32_t remove)
{
	struct pstn_maildrop *d;
	int status;

	d = rig_drop(r, user, &status);
	maildrop_table.flag(d, number, add, remove);
	maildrop_table.close(d);
	fake_settle();
}

/* Several segments; flags set, changed again and on messages of other segments; two expunges that
 * reach over segments; ids that were brought along, one of them twice. */
static void fill(struct rig *r)
{
	for (unsigned i = 0; i < 60; i++) {
		char uidl[32];

		snprintf(uidl, sizeof(uidl), "brought-%u", i);
		deliver(r, i % 3 == 2 ? BOB : ANN, i % 8 == 7 ? "Archive" : "INBOX", i,
			300 + i * 17, i % 10 == 4 ? uidl : NULL);
		if (i % 5 == 0)
			flag(r, ANN, i / 2 + 1 > 20 ? 20 : i / 3 + 1, PSTN_SEEN, 0);
		if (i % 15 == 14)
			flag(r, BOB, 1, i % 2 ? PSTN_FLAGGED : 0, i % 2 ? 0 : PSTN_FLAGGED);
	}
	expunge(r, ANN, "INBOX", 2, 30, 2);
	expunge(r, BOB, "INBOX", 1, 12, 1);
	deliver(r, ANN, "INBOX", 100, 50, "brought-14");
	flag(r, ANN, 1, PSTN_SEEN | PSTN_ANSWERED, 0);
	expunge(r, ANN, "Archive", 1, 3, 1);
	deliver(r, BOB, "INBOX", 101, 20000, NULL);
	deliver(r, BOB, "INBOX", 102, 20000, NULL);
}

static const char *compact(struct rig *r, const char *retention)
{
	return rig_command(r, "storage compact", NULL, "retention", retention, NULL, -1);
}

static long long answered(const char *answer, const char *key)
{
	char name[64];
	const char *at;

	snprintf(name, sizeof(name), "\"%s\":", key);
	at = strstr(answer, name);
	return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* ---- cases ---- */

static void keeps_within_retention(void)
{
	struct rig r;
	char *before, *after;

	begin(&r);
	fill(&r);
	before = dump(&r, true);
	CU_ASSERT_EQUAL(answered(compact(&r, "7d"), "segments_removed"), 0);
	after = dump(&r, true);
	differ("within the retention", before, after);
	free(before);
	free(after);
	rig_end(&r);
}

static void reclaims(void)
{
	struct rig r;
	char *before, *after;

	begin(&r);
	fill(&r);
	before = dump(&r, false);
	CU_ASSERT_TRUE(answered(compact(&r, "0"), "segments_removed") >= 3);
	after = dump(&r, false);
	differ("compacted", before, after);
	free(after);
	expect_sound(&r);
	expect_rebuilt(&r, true);
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	after = dump(&r, false);
	differ("opened again", before, after);
	free(before);
	free(after);
	rig_end(&r);
}

/* Pass after pass, until there is nothing more to do, and then there is not. */
static void becomes_stable(void)
{
	struct rig r;
	char *before, *after;
	int rounds = 0;

	begin(&r);
	fill(&r);
	before = dump(&r, false);
	while (answered(compact(&r, "0"), "segments_removed") > 0)
		CU_ASSERT_TRUE_FATAL(++rounds < 6);
	CU_ASSERT_EQUAL(answered(compact(&r, "0"), "octets_moved"), 0);
	after = dump(&r, false);
	differ("pass after pass", before, after);
	expect_rebuilt(&r, true);
	expect_sound(&r);
	free(before);
	free(after);
	rig_end(&r);
}

/* At every step: the segments alone hold everything; a process that dies there is nobody's loss,
 * and whoever comes after it ends what it began. */
static void survives_at_every_step(void)
{
	struct rig r, copy;
	struct compactor c;
	char path[600], *before, *after;
	bool more = true;
	unsigned steps = 0;

	begin(&r);
	fill(&r);
	before = dump(&r, false);
	CU_ASSERT_TRUE_FATAL(maintenance_try(r.store));
	compactor_begin(&c, r.store, 0, true);
	while (more) {
		more = compactor_step(&c);
		steps++;
		if (c.phase != COMPACT_MOVE && c.phase != COMPACT_REMOVE &&
		    c.phase != COMPACT_CHOOSE)
			continue;
		expect_rebuilt(&r, false);
		open_copy(&r, &copy, path, true);
		after = dump(&copy, false);
		differ("opened at a step", before, after);
		free(after);
		compact(&copy, "0");
		after = dump(&copy, false);
		differ("ended by another", before, after);
		free(after);
		expect_sound(&copy);
		rig_close(&copy);
		rig_remove_store(path);
	}
	compactor_end(&c);
	maintenance_end(r.store);
	CU_ASSERT_TRUE(steps > 10);
	free(before);
	rig_end(&r);
}

/* A session that was there before the deletion sees it as it was, however old it is by then. */
static void keeps_for_open_sessions(void)
{
	struct pstn_maildrop *d;
	struct rig_listing l;
	struct pstn_maildrop_totals totals;
	struct rig r;
	int status;

	begin(&r);
	fill(&r);
	d = rig_drop(&r, BOB, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	expunge(&r, BOB, "INBOX", 1, 5, 1);
	compact(&r, "0");
	rig_list(d, &l);
	CU_ASSERT_EQUAL(maildrop_table.totals(d, &totals, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(totals.zombies, 5);
	CU_ASSERT_EQUAL(l.count, totals.messages);
	for (uint32_t i = 0; i < l.count; i++) {
		CU_ASSERT_EQUAL(l.rows[i].zombie, i < 5);
		CU_ASSERT_TRUE(strlen(l.rows[i].uidl) > 3);
	}
	maildrop_table.close(d);
	compact(&r, "0");
	CU_ASSERT_EQUAL(answered(compact(&r, "0"), "octets_moved"), 0);
	expect_sound(&r);
	rig_end(&r);
}

static uint64_t blocks_of(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
}

static uint64_t disk_use(struct rig *r)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < 200; i++) {
		char name[64];

		snprintf(name, sizeof(name), "segments/%08u.seg", i);
		sum += blocks_of(rig_path(r, name));
	}
	return sum;
}

/* Everything deleted: next to nothing is left, and no number is given again. */
static void shrinks_to_nothing(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	char uidl[UIDL_MAX + 1];
	uint64_t before;
	int status;

	begin(&r);
	r.store->options.segment_size = 4 << 20;
	for (unsigned i = 0; i < 64; i++)
		deliver(&r, ANN, "INBOX", i, i % 8 ? 60000 : 1500000, NULL);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	snprintf(uidl, sizeof(uidl), "%s", l.rows[63].uidl);
	maildrop_table.close(d);
	expunge(&r, ANN, "INBOX", 1, 64, 1);
	before = disk_use(&r);
	CU_ASSERT_TRUE(answered(compact(&r, "0"), "octets_reclaimed") > 10 << 20);
	CU_ASSERT_TRUE(before > 14 << 20);
	CU_ASSERT_TRUE(disk_use(&r) < 9 << 20);
	expect_rebuilt(&r, true);
	rig_close(&r);
	rig_remove_store(rig_path(&r, "index"));
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(rig_deliver(&r, ANN, "new\n", &status), 65);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 1);
	CU_ASSERT_TRUE(strcmp(l.rows[0].uidl, uidl) > 0);
	maildrop_table.close(d);
	rig_end(&r);
}

static void reclaims_removed_accounts(void)
{
	struct rig r;
	struct pending p = {.kind = PENDING_FORGET};
	struct pstn_account account;
	char *before, *after;

	begin(&r);
	fill(&r);
	rig_account(&account, BOB);
	p.account = account.id;
	commit_wait(r.store, &p);
	CU_ASSERT_EQUAL(p.status, PSTN_OK);
	before = dump(&r, false);
	while (answered(compact(&r, "0"), "segments_removed") > 0)
		;
	after = dump(&r, false);
	differ("an account was removed", before, after);
	expect_rebuilt(&r, true);
	expect_sound(&r);
	free(before);
	free(after);
	rig_end(&r);
}

/* What is damaged stays so, and harms nothing else. */
static void keeps_the_damaged(void)
{
	struct rig r;
	struct message_row row;
	struct pstn_account account;
	char *before, *after, name[64];
	MDB_txn *txn;
	int fd;

	begin(&r);
	fill(&r);
	rig_account(&account, ANN);
	CU_ASSERT_EQUAL_FATAL(index_read(&r.store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_message(&r.store->index, txn, account.id, 1, 1, &row), 0);
	index_read_end(&r.store->index, txn);
	snprintf(name, sizeof(name), "segments/%08u.seg", row.segment);
	fd = open(rig_path(&r, name), O_WRONLY);
	CU_ASSERT_EQUAL(pwrite(fd, "?", 1, (off_t)row.offset + 250), 1);
	close(fd);
	before = dump(&r, false);
	compact(&r, "0");
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("message-damaged"));
	after = dump(&r, false);
	differ("with a damaged message", before, after);
	CU_ASSERT_NOT_EQUAL(access(rig_path(&r, name), F_OK), 0);
	rig_close(&r);
	rig_remove_store(rig_path(&r, "index"));
	CU_ASSERT_FATAL(rig_open(&r));
	free(after);
	after = dump(&r, false);
	differ("made anew with a damaged message", before, after);
	free(before);
	free(after);
	rig_end(&r);
}

/* A segment that cannot be gone through stays as it is, and the log says why. */
static void leaves_what_it_cannot_read(void)
{
	struct rig r;
	char *before, *after;
	int fd;

	begin(&r);
	fill(&r);
	before = dump(&r, false);
	fd = open(rig_path(&r, "segments/00000001.seg"), O_WRONLY);
	/* The head of a record that is no message: the account's name. */
	CU_ASSERT_EQUAL(pwrite(fd, "?", 1, SEGMENT_HEAD + 20), 1);
	close(fd);
	CU_ASSERT_TRUE(answered(compact(&r, "0"), "segments_blocked") >= 1);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("compaction-blocked"));
	CU_ASSERT_EQUAL(access(rig_path(&r, "segments/00000001.seg"), F_OK), 0);
	after = dump(&r, false);
	differ("with a damaged record", before, after);
	free(before);
	free(after);
	rig_end(&r);
}

/* Mail in small segments, and compaction from time to time, without being asked. */
static void begin_background(struct rig *r)
{
	rig_begin(r);
	r->options.segment_size = 16384;
	r->options.stream_threshold = 65536;
	r->options.retention = 0;
	r->options.compaction_interval = 1000;
}

static void let_it_work(void)
{
	fake_advance(100);
	fake_settle();
}

static void works_by_itself(void)
{
	struct rig r;
	char *before, *after;

	begin_background(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	before = dump(&r, false);
	for (int i = 0; i < 2000 && fake_metric(r.self, METRIC_COMPACTED) < 3; i++)
		let_it_work();
	CU_ASSERT_TRUE(fake_metric(r.self, METRIC_COMPACTED) >= 3);
	after = dump(&r, false);
	differ("by itself", before, after);
	/* The next generation takes over. */
	pstn_module.drain(r.store);
	CU_ASSERT_TRUE(maintenance_try(r.store));
	maintenance_end(r.store);
	expect_sound(&r);
	free(before);
	free(after);
	rig_end(&r);
}

/* Whoever waits need not wait for the whole pass, and the rest is done afterwards. */
static void makes_way(void)
{
	struct rig r;
	char *before, *after;

	begin_background(&r);
	r.options.compaction_rate = 4096;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	before = dump(&r, false);
	/* It is in the middle of its first segment, for seconds at this rate. */
	for (int i = 0; i < 2000 && !fake_log_find("compaction-start"); i++)
		let_it_work();
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.store->compaction.run);
	fake_log_clear();
	for (int i = 0; i < 500 && r.store->compaction.run; i++) {
		maintenance_want(r.store);
		let_it_work();
	}
	CU_ASSERT_PTR_NULL(r.store->compaction.run);
	CU_ASSERT_PTR_NULL(fake_log_find("compaction-start")); /* of another segment */
	CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_COMPACTED), 1);
	for (int i = 0; i < 50; i++) {
		maintenance_want(r.store);
		let_it_work();
	}
	CU_ASSERT_PTR_NULL(r.store->compaction.run);
	CU_ASSERT_TRUE(maintenance_try(r.store));
	maintenance_end(r.store);
	atomic_store(&r.store->shared->wanted_until, 0);
	for (int i = 0; i < 5000 && fake_metric(r.self, METRIC_COMPACTED) < 3; i++)
		let_it_work();
	CU_ASSERT_TRUE(fake_metric(r.self, METRIC_COMPACTED) >= 3);
	after = dump(&r, false);
	differ("made way", before, after);
	free(before);
	free(after);
	expect_sound(&r);
	rig_end(&r);
}

/* Whoever waits hears for what. */
static void tells_who_waits(void)
{
	static const char *const commands[] = {"storage compact", "mailbox restore"};
	struct rig r;

	begin(&r);
	CU_ASSERT_TRUE(maintenance_try(r.store));
	CU_ASSERT_FALSE(maintenance_wanted(r.store));
	for (size_t i = 0; i < 2; i++) {
		struct pstn_call *c = fake_call();

		if (i) {
			fake_call_arg(c, "user", ANN);
			fake_call_arg(c, "at", "0s");
			fake_call_arg(c, "exact", "");
		}
		fake_call_cancel(c);
		fake_call_run(c, &commands_table, commands[i], r.store);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_call_notes(c), "Waiting until a compaction"));
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_call_error(c), "Nothing was"));
		CU_ASSERT_TRUE(maintenance_wanted(r.store));
		fake_call_free(c);
	}
	/* A clock that was set back makes nobody wait for ever. */
	atomic_store(&r.store->shared->wanted_until, store_time() + 3600000);
	CU_ASSERT_FALSE(maintenance_wanted(r.store));
	maintenance_end(r.store);
	rig_end(&r);
}

static void compact_until_killed(struct rig *r)
{
	struct rig other = *r;

	other.store = NULL;
	if (!rig_open(&other))
		_exit(1);
	for (;;) {
		struct timespec pause = {.tv_nsec = 1000000};

		compact(&other, "0");
		nanosleep(&pause, NULL);
	}
}

/* One of two compacts and is killed, again and again, while the other delivers and deletes. */
static void survives_kill(void)
{
	struct rig r;
	int rounds = getenv("STORAGE_LONG") ? 100 : 10;

	begin(&r);
	fill(&r);
	for (int round = 0; round < rounds; round++) {
		struct timespec pause = {.tv_nsec = 5000000L + round % 10 * 4000000L};
		char *before, *after;
		int status;
		pid_t child;

		expunge(&r, BOB, "INBOX", 1, 2, 1);
		for (unsigned i = 0; i < 12; i++)
			deliver(&r, i % 2 ? ANN : BOB, "INBOX", 1000 + i, 900, NULL);
		before = dump(&r, false);
		child = fork();
		if (child == 0)
			compact_until_killed(&r);
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		after = dump(&r, false);
		differ("killed", before, after);
		free(after);
		expect_rebuilt(&r, false);
		if (round % 3 == 2) {
			rig_crash(&r);
			CU_ASSERT_FATAL(rig_open(&r));
			after = dump(&r, false);
			differ("both killed", before, after);
			free(after);
		}
		free(before);
	}
	while (answered(compact(&r, "0"), "segments_removed") > 0)
		;
	expect_rebuilt(&r, true);
	expect_sound(&r);
	rig_end(&r);
}

struct racing {
	struct rig *rig;
	_Atomic bool stop;
	unsigned reads;
};

static void *read_all_the_time(void *arg)
{
	struct racing *race = arg;
	struct pstn_account account;
	struct view v;

	rig_account(&account, ANN);
	while (!atomic_load(&race->stop)) {
		CU_ASSERT_EQUAL(view_open(&v, race->rig->store, account.id, "INBOX"), PSTN_OK);
		CU_ASSERT_EQUAL(view_map(&v, true), PSTN_OK);
		for (uint32_t i = 1; i <= v.messages; i++) {
			struct fetch_key key = {account.id, v.folder, view_uid(&v, i)};
			struct message_row row;
			struct pstn_content c;
			MDB_txn *txn;
			int rc = index_read(&race->rig->store->index, &txn);

			CU_ASSERT_EQUAL_FATAL(rc, 0);
			rc = index_message(&race->rig->store->index, txn, account.id, v.folder,
					   key.uid, &row);
			index_read_end(&race->rig->store->index, txn);
			CU_ASSERT_EQUAL(rc, 0);
			/* Between the row and the text, too, a segment may go. */
			if (i % 7 == 0)
				sched_yield();
			CU_ASSERT_EQUAL(fetch(race->rig->store, &key, &row, true, &c), PSTN_OK);
			c.release(c.ref);
			race->reads++;
		}
		view_close(&v);
	}
	return NULL;
}

static void never_hinders_readers(void)
{
	struct rig r;
	struct racing race = {.rig = &r};
	pthread_t reader;

	begin(&r);
	fill(&r);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&reader, NULL, read_all_the_time, &race), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 20; i++)
			deliver(&r, BOB, "INBOX", i, 900, NULL);
		expunge(&r, BOB, "INBOX", 1, 18, 1);
		compact(&r, "0");
	}
	atomic_store(&race.stop, true);
	pthread_join(reader, NULL);
	CU_ASSERT_TRUE(race.reads > 0);
	CU_ASSERT_PTR_NULL(fake_log_find("message-damaged"));
	expect_sound(&r);
	rig_end(&r);
}

/* Whatever allocation fails: the pass is worth less, nothing is lost. */
static void bears_lack_of_memory(void)
{
	unsigned long step = getenv("STORAGE_LONG") ? 1 : 13;
	bool failed = true;

	for (unsigned long n = 1; failed && n < 2000; n += step) {
		struct rig r;
		char *before, *after;

		begin(&r);
		r.store->options.durability = DURABILITY_NONE;
		fill(&r);
		before = dump(&r, false);
		fake_fail_alloc(n);
		compact(&r, "0");
		failed = fake_alloc_failed();
		fake_fail_alloc(0);
		fake_settle();
		compact(&r, "0");
		after = dump(&r, false);
		differ("without memory", before, after);
		expect_sound(&r);
		free(before);
		free(after);
		rig_end(&r);
	}
	CU_ASSERT_FALSE(failed);
}

static void refuses_nonsense(void)
{
	static const char *const bad[] = {"", "x", "-1d", "7 d", "7w", "99999999999d", "1d1"};
	struct rig r;

	begin(&r);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(compact(&r, bad[i]), "--retention takes"));
		CU_ASSERT_TRUE(rig_command_failed());
	}
	rig_end(&r);
}

/* ---- what was expunged and is not forgotten yet ---- */

/* As if the message had been expunged earlier or later. */
static void shift_death(struct rig *r, uint32_t uid, int64_t by)
{
	unsigned char key[KEY_MESSAGE], bytes[ROW_MESSAGE_MAX];
	MDB_val k = {sizeof(key), key}, v = {0, bytes};
	struct pstn_account account;
	struct message_row row;
	struct apply a;

	rig_account(&account, ANN);
	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r->store->index), 0);
	CU_ASSERT_EQUAL_FATAL(index_tombstone(a.index, a.txn, account.id, 1, uid, &row), 0);
	row.expunged_at = (uint64_t)((int64_t)row.expunged_at + by);
	key_message(key, account.id, 1, uid);
	v.mv_size = message_row_put(&row, key, bytes);
	CU_ASSERT_EQUAL(mdb_put(a.txn, a.index->tombstones, &k, &v, 0), 0);
	CU_ASSERT_EQUAL(apply_end(&a), 0);
}

/* With a retention shorter than a session lasts, the session still sees what it saw. */
static void keeps_what_sessions_count(void)
{
	struct pstn_maildrop_totals totals = {0};
	struct pstn_message rows[8];
	struct pstn_maildrop *d;
	uint32_t count;
	struct rig r;
	int status;

	begin(&r);
	for (unsigned i = 1; i <= 5; i++)
		deliver(&r, ANN, "INBOX", i, i == 1 ? 9000 : 300, NULL);
	expunge(&r, ANN, "INBOX", 1, 3, 2);
	shift_death(&r, 1, -3600000);
	shift_death(&r, 3, -3600000);
	d = rig_drop(&r, ANN, &status);
	expunge(&r, ANN, "INBOX", 2, 2, 1);
	CU_ASSERT_EQUAL(answered(compact(&r, "0"), "segments_removed"), 1);
	CU_ASSERT_EQUAL(maildrop_table.totals(d, &totals, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(totals.zombies, 1);
	CU_ASSERT_EQUAL(maildrop_table.list(d, 1, rows, 8, &count, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(count, 3);
	maildrop_table.close(d);
	rig_end(&r);
}

/* A change of flags that is written again stands behind the expunge of its message. */
static void keeps_flags_of_the_expunged(void)
{
	struct rig r, copy;
	struct pstn_account account;
	struct message_row row = {0};
	char path[600];
	MDB_txn *txn;

	begin(&r);
	deliver(&r, ANN, "INBOX", 1, 300, NULL);
	for (unsigned i = 0; i < 2; i++)
		deliver(&r, BOB, "INBOX", 2, 9000, NULL);
	deliver(&r, BOB, "INBOX", 3, 300, NULL);
	flag(&r, ANN, 1, PSTN_SEEN, 0);
	deliver(&r, BOB, "INBOX", 4, 9000, NULL);
	deliver(&r, BOB, "INBOX", 5, 9000, NULL);
	deliver(&r, BOB, "INBOX", 6, 300, NULL);
	expunge(&r, ANN, "INBOX", 1, 1, 1);
	expunge(&r, BOB, "INBOX", 4, 5, 1);
	shift_death(&r, 1, 86400000);
	CU_ASSERT_EQUAL(answered(compact(&r, "0"), "segments_removed"), 1);
	rig_account(&account, ANN);
	open_copy(&r, &copy, path, false);
	CU_ASSERT_EQUAL_FATAL(index_read(&copy.store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_tombstone(&copy.store->index, txn, account.id, 1, 1, &row), 0);
	index_read_end(&copy.store->index, txn);
	CU_ASSERT_EQUAL(row.flags, PSTN_SEEN);
	close_copy(&copy);
	rig_end(&r);
}

/* ---- two processes ---- */

static void call_out(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(9);
}

static void hear(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(8);
}

/* A process that has seen fewer segments come than another must not give their numbers again: the
 * file would be taken for the one that is gone. */
static void never_gives_a_number_twice(void)
{
	int up[2], down[2], status;
	struct rig_listing l;
	struct pstn_maildrop *d;
	struct rig r;
	pid_t pid;

	CU_ASSERT_FATAL(pipe(up) == 0 && pipe(down) == 0);
	begin(&r);
	rig_crash(&r);
	pid = fork();
	if (pid == 0) {
		struct rig other = r;

		hear(down[0]);
		other.store = NULL;
		if (!rig_open(&other))
			_exit(1);
		deliver(&other, ANN, "INBOX", 1, 200000, NULL);
		deliver(&other, ANN, "INBOX", 2, 200000, NULL);
		call_out(up[1]);
		_exit(0);
	}
	CU_ASSERT_FATAL(rig_open(&r));
	call_out(down[1]);
	hear(up[0]);
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	expunge(&r, ANN, "INBOX", 1, 2, 1);
	CU_ASSERT_EQUAL(answered(compact(&r, "0"), "segments_removed"), 2);
	deliver(&r, ANN, "INBOX", 3, 200000, NULL);
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 1);
	maildrop_table.close(d);
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"nothing goes within the retention", keeps_within_retention},
    {"what has expired goes, nothing else", reclaims},
    {"pass after pass until nothing is left to do", becomes_stable},
    {"a death at any step loses nothing", survives_at_every_step},
    {"open sessions see what they saw", keeps_for_open_sessions},
    {"a store where all was deleted shrinks", shrinks_to_nothing},
    {"removed accounts are given back", reclaims_removed_accounts},
    {"a damaged message stays as it is", keeps_the_damaged},
    {"a segment that cannot be read stays", leaves_what_it_cannot_read},
    {"by itself, until the next generation does it", works_by_itself},
    {"makes way for who waits", makes_way},
    {"who waits hears for what", tells_who_waits},
    {"killed again and again beside another process", survives_kill},
    {"readers never notice", never_hinders_readers},
    {"lack of memory", bears_lack_of_memory},
    {"a retention that is none", refuses_nonsense},
    {"what a session counts, with no retention at all", keeps_what_sessions_count},
    {"flags that are told behind an expunge", keeps_flags_of_the_expunged},
    {"a number of a segment is given once", never_gives_a_number_twice},
    {0},
};

int main(int argc, char **argv)
{
	return suite_run("storage compaction", cases, argc > 1 ? argv[1] : NULL);
}
