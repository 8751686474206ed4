/*
 * test_storage_ahead.c - rows are brought into memory before they are walked: which pages, and when a
 * reactor leaves that to a job.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/format/bytes.h"
#include "modules/storage/index/ahead.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EACH 2000 /* messages of an account: the tree of all has branches of branches */

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

/* The page that each row stands on; after this all are mapped. */
static void find_pages(struct rig *r, uint64_t account, uint64_t pages[EACH])
{
	size_t page_size;
	char *map = map_of(r, &page_size);
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	for (uint32_t uid = 1; uid <= EACH; uid++) {
		unsigned char key[KEY_MESSAGE];
		MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;

		key_message(key, account, FOLDER_INBOX, uid);
		CU_ASSERT_EQUAL_FATAL(mdb_get(txn, r->store->index.messages, &k, &v), 0);
		pages[uid - 1] = (uint64_t)((char *)v.mv_data - map) / page_size;
	}
	index_read_end(&r->store->index, txn);
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
	/* A listing gets as many rows at once as there are near. */
	CU_ASSERT_TRUE(lists_at_once(d, 1100, 100, &got));
	CU_ASSERT_EQUAL(got, 23);
	CU_ASSERT_FALSE(lists_at_once(d, 1123, 100, &got));
	CU_ASSERT_EQUAL(got, 100);
	CU_ASSERT_TRUE(lists_at_once(d, 1223, 500, &got));
	CU_ASSERT_EQUAL(got, 278);
	/* Much later they may be gone again. */
	fake_advance(61000);
	fake_settle();
	maildrop_table.close(enter(&r, s, users[0]));
	CU_ASSERT_FALSE(lists_at_once(d, 1223, 100, &got));
	maildrop_table.close(d);
	fake_close(s, "test");
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"pages of a range are brought", brings_pages_of_a_range},
    {"nothing is found where nothing is", finds_nothing},
    {"large folders are left to jobs", leaves_large_folders_to_jobs},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage: looking ahead", cases, argc > 1 ? argv[1] : NULL);
}
