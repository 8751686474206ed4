/*
 * test_storage_ahead.c - rows are brought into memory before they are walked, or read from leaf pages: which
 * pages and rows, and when a reactor leaves that to a job.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/format/bytes.h"
#include "modules/storage/index/ahead.h"
#include "modules/storage/index/leaves.h"
#include "modules/storage/maildrop/maildrop_parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 4096 /* rows that a job reads for a listing */
#define EACH  2000 /* messages of an account: the tree of all has branches of branches */

static const char *const users[] = {"ann@example.org", "bob@example.org", "eve@example.org"};
#define USERS (sizeof(users) / sizeof(*users))

static void begin(struct rig *r)
{
	rig_begin(r);
	r->options.durability = DURABILITY_NONE;
	CU_ASSERT_FATAL(rig_open(r));
}

static void deliver(struct rig *r, const char *user, unsigned n)
{
	int status;

	for (unsigned i = 0; i < n; i++) {
		rig_deliver(r, user, "x\n", &status);
		CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	}
}

/* ---- pages of the map ---- */

static char *map_of(struct rig *r, size_t *page_size)
{
	char state[] = "state";
	MDB_val k = {.mv_size = sizeof(state) - 1, .mv_data = state}, v;
	char *page;
	MDB_stat stat;
	MDB_txn *txn;

	CU_ASSERT_EQUAL(mdb_env_stat(r->store->index.env, &stat), 0);
	*page_size = stat.ms_psize;
	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(mdb_get(txn, r->store->index.meta, &k, &v), 0);
	page = (char *)v.mv_data - (uintptr_t)v.mv_data % stat.ms_psize;
	page -= get64((unsigned char *)page) * stat.ms_psize;
	index_read_end(&r->store->index, txn);
	return page;
}

static uint64_t account_id(const char *name)
{
	struct pstn_account account;

	rig_account(&account, name);
	return account.id;
}

/* The page that a row stands on; after this it is mapped. */
static uint64_t page_of(struct rig *r, uint64_t account, uint32_t uid)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	size_t page_size;
	char *map = map_of(r, &page_size);
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	key_message(key, account, FOLDER_INBOX, uid);
	CU_ASSERT_EQUAL_FATAL(mdb_get(txn, r->store->index.messages, &k, &v), 0);
	index_read_end(&r->store->index, txn);
	return (uint64_t)((char *)v.mv_data - map) / page_size;
}

static void find_pages(struct rig *r, uint64_t account, uint64_t pages[EACH])
{
	for (uint32_t uid = 1; uid <= EACH; uid++)
		pages[uid - 1] = page_of(r, account, uid);
}

/* How many of the rows from first to last stand on a page that is mapped, without touching any. */
static uint32_t mapped(struct rig *r, const uint64_t pages[EACH], uint32_t first, uint32_t last)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t page_size;
	char *map = map_of(r, &page_size);
	uint32_t n = 0;

	for (uint32_t uid = first; uid <= last; uid++) {
		uintptr_t at = (uintptr_t)(map + pages[uid - 1] * page_size);
		uint64_t entry = 0;

		CU_ASSERT_EQUAL(pread(fd, &entry, 8, (off_t)(at / page_size * 8)), 8);
		n += (uint32_t)(entry >> 63);
	}
	close(fd);
	return n;
}

static void look_ahead(struct rig *r, uint64_t account, uint32_t first, uint32_t last,
		       unsigned what)
{
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	ahead_messages(&r->store->index, txn, account, FOLDER_INBOX, first, last, what);
	index_read_end(&r->store->index, txn);
}

static void brings_pages_of_a_range(void)
{
	static const struct {
		size_t user;
		uint32_t first, last;
	} cases[] = {
	    {1, 1, EACH}, {0, 700, 900}, {2, 1, 1}, {2, EACH, EACH}, {1, 999, 1000}, {0, 1, 2},
	};
	static uint64_t pages[USERS][EACH];
	struct rig r;

	begin(&r);
	for (size_t i = 0; i < USERS; i++)
		deliver(&r, users[i], EACH);
	for (size_t i = 0; i < USERS; i++)
		find_pages(&r, account_id(users[i]), pages[i]);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const uint64_t *here = pages[cases[i].user];
		uint32_t others = 0;

		/* A new map, of which nothing but the way to a few rows has been touched. */
		CU_ASSERT_FATAL(rig_reopen(&r));
		look_ahead(&r, account_id(users[cases[i].user]), cases[i].first, cases[i].last,
			   AHEAD_ASK | AHEAD_MAP);
		CU_ASSERT_EQUAL(mapped(&r, here, cases[i].first, cases[i].last),
				cases[i].last - cases[i].first + 1);
		for (size_t k = 0; k < USERS; k++)
			others += mapped(&r, pages[k], 1, EACH);
		CU_ASSERT_TRUE(others < USERS * EACH);
	}
	rig_end(&r);
}

/* An account without messages, the ends of the table, an empty table, one of a single page. */
static void finds_nothing(void)
{
	static const uint64_t accounts[] = {0, 1, UINT64_MAX};
	struct rig r;

	begin(&r);
	for (unsigned messages = 0; messages < 3; messages++) {
		for (size_t i = 0; i < sizeof(accounts) / sizeof(*accounts); i++) {
			look_ahead(&r, accounts[i], 1, UINT32_MAX, AHEAD_ASK | AHEAD_MAP);
			look_ahead(&r, accounts[i], 1, UINT32_MAX, AHEAD_ASK);
		}
		look_ahead(&r, account_id(users[0]), 1, UINT32_MAX, AHEAD_ASK | AHEAD_MAP);
		deliver(&r, users[0], messages ? 300 : 1);
	}
	rig_end(&r);
}

/* ---- who reads ---- */

struct wait {
	int status;
};

static void told(void *arg, int status)
{
	((struct wait *)arg)->status = status;
}

static struct pstn_maildrop *enter(struct rig *r, struct pstn_session *s, const char *user)
{
	struct pstn_account account;
	struct pstn_maildrop *d = NULL;
	struct wait w;

	rig_account(&account, user);
	w.status = maildrop_table.open(r->store, s, &account, "INBOX", &d, told, &w);
	fake_settle();
	CU_ASSERT_EQUAL_FATAL(w.status, PSTN_OK);
	return d;
}

/* true: at once, on the reactor. */
static bool lists_at_once(struct pstn_maildrop *d, uint32_t first, uint32_t max, uint32_t *got)
{
	struct pstn_message *rows = calloc(max, sizeof(*rows));
	struct wait w;
	bool at_once;

	w.status = maildrop_table.list(d, first, rows, max, got, told, &w);
	at_once = w.status != PSTN_LATER;
	fake_settle();
	CU_ASSERT_EQUAL(w.status, PSTN_OK);
	for (uint32_t i = 0; i < *got; i++)
		CU_ASSERT_EQUAL(rows[i].number, first + i);
	free(rows);
	return at_once;
}

static bool reads_at_once(struct pstn_maildrop *d, uint32_t number)
{
	struct pstn_content text = {.size = sizeof(text)};
	struct wait w;
	bool at_once;

	w.status = maildrop_table.read(d, number, &text, told, &w);
	at_once = w.status != PSTN_LATER;
	fake_settle();
	CU_ASSERT_EQUAL_FATAL(w.status, PSTN_OK);
	text.release(text.ref);
	return at_once;
}

static void leaves_large_folders_to_jobs(void)
{
	struct rig r;
	struct pstn_session *s;
	struct pstn_maildrop *d;
	uint32_t got;

	begin(&r);
	deliver(&r, users[0], 1500);
	deliver(&r, users[1], 50);
	s = fake_session(r.self);
	d = enter(&r, s, users[1]);
	CU_ASSERT_TRUE(lists_at_once(d, 1, 50, &got));
	reads_at_once(d, 50); /* the segment is opened */
	CU_ASSERT_TRUE(reads_at_once(d, 49));
	maildrop_table.close(d);
	d = enter(&r, s, users[0]);
	/* One that is looked up brings those that follow it. */
	CU_ASSERT_FALSE(reads_at_once(d, 100));
	CU_ASSERT_TRUE(reads_at_once(d, 101));
	CU_ASSERT_TRUE(lists_at_once(d, 1123, 1, &got));
	CU_ASSERT_FALSE(reads_at_once(d, 1124));
	CU_ASSERT_FALSE(reads_at_once(d, 99));
	CU_ASSERT_FALSE(lists_at_once(d, 1123, 1, &got));
	/* Much later they may be gone again. */
	fake_advance(61000);
	fake_settle();
	maildrop_table.close(enter(&r, s, users[0]));
	CU_ASSERT_FALSE(lists_at_once(d, 1123, 1, &got));
	maildrop_table.close(d);
	fake_close(s, "test");
	rig_end(&r);
}

/* Also when the account's mail has not been read since the start. */
static void brings_a_small_folder_when_it_is_opened(void)
{
	static uint64_t pages[EACH];
	struct pstn_session *s;
	struct pstn_maildrop *d;
	struct rig r;
	uint32_t got;

	begin(&r);
	deliver(&r, users[0], EACH);
	deliver(&r, users[1], 50);
	for (uint32_t uid = 1; uid <= 50; uid++)
		pages[uid - 1] = page_of(&r, account_id(users[1]), uid);
	CU_ASSERT_FATAL(rig_reopen(&r));
	s = fake_session(r.self);
	d = enter(&r, s, users[1]);
	CU_ASSERT_EQUAL(mapped(&r, pages, 1, 50), 50);
	CU_ASSERT_TRUE(lists_at_once(d, 1, 50, &got));
	CU_ASSERT_TRUE(lists_at_once(d, 17, 1, &got));
	maildrop_table.close(d);
	d = enter(&r, s, users[1]);
	CU_ASSERT_TRUE(lists_at_once(d, 1, 50, &got));
	/* Much later they may have gone from memory. */
	fake_advance(61000);
	CU_ASSERT_FALSE(lists_at_once(d, 1, 50, &got));
	CU_ASSERT_TRUE(lists_at_once(d, 1, 50, &got));
	maildrop_table.close(d);
	fake_close(s, "test");
	rig_end(&r);
}

static void lists_from_what_a_job_has_read(void)
{
	struct pstn_maildrop_totals totals;
	struct pstn_session *s;
	struct pstn_maildrop *d;
	struct wait w;
	struct rig r;
	uint32_t got;

	begin(&r);
	deliver(&r, users[0], BATCH + 600);
	s = fake_session(r.self);
	d = enter(&r, s, users[0]);
	CU_ASSERT_FALSE(lists_at_once(d, 1, 100, &got));
	for (uint32_t first = 101; first <= BATCH; first += 100) {
		uint32_t left = BATCH + 1 - first;

		CU_ASSERT_TRUE(lists_at_once(d, first, 100, &got));
		CU_ASSERT_EQUAL(got, left < 100 ? left : 100);
	}
	CU_ASSERT_FALSE(lists_at_once(d, BATCH + 1, 100, &got));
	/* Rows may be left out on the way, but whoever goes back wants them as they are now. */
	CU_ASSERT_TRUE(lists_at_once(d, BATCH + 300, 100, &got));
	CU_ASSERT_FALSE(lists_at_once(d, BATCH + 299, 100, &got));
	CU_ASSERT_TRUE(lists_at_once(d, BATCH + 399, 200, &got));
	/* The last of them alone is still of the listing; after it they are forgotten. */
	CU_ASSERT_TRUE(lists_at_once(d, BATCH + 599, 100, &got));
	CU_ASSERT_EQUAL(got, 2);
	CU_ASSERT_FALSE(lists_at_once(d, BATCH + 600, 100, &got));
	CU_ASSERT_EQUAL(got, 1);
	/* So they are when somebody counts. */
	CU_ASSERT_FALSE(lists_at_once(d, 1, 100, &got));
	w.status = maildrop_table.totals(d, &totals, told, &w);
	fake_settle();
	CU_ASSERT_EQUAL(w.status, PSTN_OK);
	CU_ASSERT_FALSE(lists_at_once(d, 101, 100, &got));
	maildrop_table.close(d);
	fake_close(s, "test");
	rig_end(&r);
}

/* ---- rows from leaf pages ---- */

static void remove_messages(struct pstn_maildrop *d, uint32_t first, uint32_t n)
{
	uint32_t numbers[EACH];
	struct wait w;

	for (uint32_t i = 0; i < n; i++)
		numbers[i] = first + i;
	w.status = maildrop_table.expunge(d, numbers, n, told, &w);
	fake_settle();
	CU_ASSERT_EQUAL(w.status, PSTN_OK);
}

/* Very many go in several groups, and all of them when nobody waits any more: in one row of uids, and
 * in many. */
static void removes_very_many_in_several_groups(void)
{
	enum { MANY = 20000 };
	static uint32_t numbers[MANY];

	for (unsigned step = 1; step <= 2; step++) {
		uint32_t n = 0, before = MANY;
		struct pstn_session *s;
		struct pstn_maildrop *d;
		struct wait w = {.status = 1};
		int64_t groups;
		struct rig r;

		begin(&r);
		deliver(&r, users[0], MANY);
		s = fake_session(r.self);
		d = enter(&r, s, users[0]);
		if (step == 1) /* a hole, so that ranges are cut at other places */
			remove_messages(d, 7, 1);
		before -= step == 1;
		groups = fake_metric(r.self, METRIC_GROUPS);
		for (uint32_t i = 1; i <= MANY - 9; i++) {
			if (step != 2 || i % 1000)
				numbers[n++] = i;
		}
		CU_ASSERT_EQUAL(maildrop_table.expunge(d, numbers, n, told, &w), PSTN_LATER);
		maildrop_table.close(d);
		if (step == 2)
			fake_close(s, "the client is gone");
		fake_settle();
		CU_ASSERT_EQUAL(w.status, step == 2 ? 1 : PSTN_OK);
		CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_GROUPS), groups + 2);
		if (step != 2)
			fake_close(s, "test");
		s = fake_session(r.self);
		d = enter(&r, s, users[0]);
		CU_ASSERT_EQUAL(d->view.messages, before - n + (step == 1));
		maildrop_table.close(d);
		fake_close(s, "test");
		rig_end(&r);
	}
}

/* What a job reads from the file is what LMDB tells, messages that have gone meanwhile among it. */
static void reads_the_same_rows_from_leaves(void)
{
	struct pstn_message *rows = calloc(EACH, sizeof(*rows)), one;
	struct pstn_session *s;
	struct pstn_maildrop *d;
	struct rig r;
	uint32_t got;

	begin(&r);
	for (size_t i = 0; i < USERS; i++)
		deliver(&r, users[i], EACH);
	s = fake_session(r.self);
	d = enter(&r, s, users[1]);
	remove_messages(d, 1, 3);
	remove_messages(d, 500, 700);
	remove_messages(d, EACH, 1);
	for (uint32_t first = 1; first <= EACH; first += got) {
		CU_ASSERT_EQUAL_FATAL(view_list(&d->view, first, rows, 613, true, &got), PSTN_OK);
		CU_ASSERT_TRUE_FATAL(got > 0);
		for (uint32_t i = 0; i < got; i++) {
			uint32_t n;

			CU_ASSERT_EQUAL(view_list(&d->view, first + i, &one, 1, true, &n), PSTN_OK);
			CU_ASSERT_EQUAL(n, 1);
			CU_ASSERT_EQUAL(one.uid, rows[i].uid);
			CU_ASSERT_EQUAL(one.octets, rows[i].octets);
			CU_ASSERT_EQUAL(one.zombie, rows[i].zombie);
			CU_ASSERT_STRING_EQUAL(one.uidl, rows[i].uidl);
		}
	}
	maildrop_table.close(d);
	fake_close(s, "test");
	free(rows);
	rig_end(&r);
}

/* Every row of the table, each found once; none that is not there; no row of another folder. */
static void finds_rows_in_leaves(void)
{
	static struct leaves l;
	struct rig r;
	MDB_txn *txn;

	begin(&r);
	for (size_t i = 0; i < USERS; i++)
		deliver(&r, users[i], EACH);
	CU_ASSERT_EQUAL_FATAL(index_read(&r.store->index, &txn), 0);
	for (size_t i = 0; i < USERS; i++) {
		uint64_t account = account_id(users[i]);
		uint32_t found = 0;

		leaves_begin(&l, &r.store->index, txn, account, FOLDER_INBOX, 1, EACH);
		CU_ASSERT_TRUE(l.count > 10);
		for (uint32_t uid = 0; uid <= EACH + 1; uid++) {
			unsigned char key[KEY_MESSAGE];
			struct message_row row;
			MDB_val value;
			int rc;

			key_message(key, account, FOLDER_INBOX, uid);
			rc = leaves_find(&l, key, &value);
			found += rc == 0;
			CU_ASSERT_EQUAL(rc == 0, uid >= 1 && uid <= EACH);
			if (rc == 0)
				CU_ASSERT_TRUE(message_row_get(&row, key, r.store->index.tag,
							       value.mv_data, value.mv_size));
		}
		CU_ASSERT_EQUAL(found, EACH);
	}
	index_read_end(&r.store->index, txn);
	rig_end(&r);
}

static void lists_for_want_of_memory(void)
{
	struct pstn_message rows[100];
	struct pstn_session *s;
	struct pstn_maildrop *d;
	bool failed = true;
	struct rig r;
	uint32_t got;

	begin(&r);
	deliver(&r, users[0], 600);
	s = fake_session(r.self);
	for (unsigned long n = 1; failed && n < 50; n++) {
		struct wait w;

		d = enter(&r, s, users[0]);
		fake_fail_alloc(n);
		w.status = maildrop_table.list(d, 1, rows, 100, &got, told, &w);
		fake_settle();
		failed = fake_alloc_failed();
		fake_fail_alloc(0);
		CU_ASSERT_TRUE(w.status == PSTN_OK || (failed && w.status == PSTN_E_NO_MEMORY));
		CU_ASSERT_EQUAL(got, w.status == PSTN_OK ? 100 : 0);
		lists_at_once(d, 1, 100, &got);
		CU_ASSERT_EQUAL(got, 100);
		maildrop_table.close(d);
	}
	CU_ASSERT_FALSE(failed);
	fake_close(s, "test");
	rig_end(&r);
}

/* A page whose head or nodes make no sense ends the walk; no row is told that is not there. */
static void gives_up_at_pages_without_sense(void)
{
	static const struct {
		unsigned at, octet;
	} damages[] = {{0, 0xff}, {10, 1}, {10, 0x0a}, {12, 3}, {13, 0xff}, {16, 0xff}, {17, 0xff}};
	static struct leaves l;
	struct rig r;

	begin(&r);
	deliver(&r, users[0], EACH);
	CU_ASSERT_FATAL(rig_reopen(&r));
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		unsigned char was = 0, octet = (unsigned char)damages[i].octet, key[KEY_MESSAGE];
		uint64_t account = account_id(users[0]);
		uint32_t found = 0;
		MDB_val value;
		MDB_txn *txn;
		off_t at;

		CU_ASSERT_EQUAL_FATAL(index_read(&r.store->index, &txn), 0);
		leaves_begin(&l, &r.store->index, txn, account, FOLDER_INBOX, 1, EACH);
		at = (off_t)(l.numbers[3] * l.tree.page_size) + damages[i].at;
		CU_ASSERT_EQUAL(pread(l.fd, &was, 1, at), 1);
		CU_ASSERT_EQUAL(pwrite(l.fd, &octet, 1, at), 1);
		for (uint32_t uid = 1; uid <= EACH; uid++) {
			key_message(key, account, FOLDER_INBOX, uid);
			found += leaves_find(&l, key, &value) == 0;
		}
		CU_ASSERT_TRUE(found > 0 && found < EACH);
		CU_ASSERT_EQUAL(pwrite(l.fd, &was, 1, at), 1);
		index_read_end(&r.store->index, txn);
	}
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"pages of a range are brought", brings_pages_of_a_range},
    {"nothing is found where nothing is", finds_nothing},
    {"large folders are left to jobs", leaves_large_folders_to_jobs},
    {"a small folder is brought when it is opened", brings_a_small_folder_when_it_is_opened},
    {"a listing is answered from what a job has read", lists_from_what_a_job_has_read},
    {"very many go in several groups", removes_very_many_in_several_groups},
    {"rows from leaves are those of LMDB", reads_the_same_rows_from_leaves},
    {"rows are found in leaves", finds_rows_in_leaves},
    {"pages without sense end the walk", gives_up_at_pages_without_sense},
    {"lists for want of memory", lists_for_want_of_memory},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage: looking ahead", cases, argc > 1 ? argv[1] : NULL);
}
