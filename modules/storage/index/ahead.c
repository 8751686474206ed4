/*
 * ahead.c - which leaf pages hold a range of rows, from the branch pages of LMDB 0.9 (data version 1,
 * 64 bit), and one request to the kernel for each run of them.
 *
 * A read transaction keeps all pages that its tree consists of as they are, so that they can be read
 * here as LMDB reads them; audit.c has judged them when the store was opened. A page that makes no
 * sense all the same ends the look ahead and nothing else.
 */
#include "index/ahead.h"

#include "format/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_HEAD     16
#define NODE_HEAD     8
#define P_BRANCH      1
#define DB_SIZE       48
#define DB_DEPTH_AT   6
#define DB_ROOT_AT    40
#define DEPTH_MAX     32
#define PAGES_AT_ONCE 1024
#define REQUEST_PAGES 32 /* 128 KiB: of a longer range the kernel may read no more */

struct ahead {
	unsigned char *map;
	size_t page_size;
	uint64_t pages; /* in the file */
	unsigned char first[KEY_MESSAGE], last[KEY_MESSAGE];
	unsigned depth;
	uint64_t left; /* branches that may still be looked at: a loop ends here */
	unsigned what;
	uint32_t count;
	uint64_t wanted[PAGES_AT_ONCE];
};

/* ---- pages ---- */

static int by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

/* Whether the kernel holds all pages from `i` to `end` of the list, which one request reaches. */
static bool resident(const struct ahead *a, uint32_t i, uint32_t end)
{
	unsigned char held[REQUEST_PAGES];
	uint64_t begin = a->wanted[i], pages = a->wanted[end - 1] + 1 - begin;

	if (mincore(a->map + begin * a->page_size, pages * a->page_size, held) != 0)
		return false;
	for (; i < end; i++) {
		if (!(held[a->wanted[i] - begin] & 1))
			return false;
	}
	return true;
}

/* Pages between two that are wanted are read as well: one larger request costs less than two. */
static void ask(const struct ahead *a)
{
	for (uint32_t i = 0, end; i < a->count; i = end) {
		uint64_t begin = a->wanted[i];

		for (end = i + 1; end < a->count && a->wanted[end] < begin + REQUEST_PAGES;)
			end++;
		if (!resident(a, i, end))
			(void)madvise(a->map + begin * a->page_size,
				      (a->wanted[end - 1] + 1 - begin) * a->page_size,
				      MADV_WILLNEED);
	}
}

/* Touching is cheaper than MADV_POPULATE_READ, which maps what lies between as well. */
static void map(const struct ahead *a)
{
	for (uint32_t i = 0; i < a->count; i++)
		(void)*(const volatile unsigned char *)(a->map + a->wanted[i] * a->page_size);
}

/* The disk hears of all before anybody waits for the first. */
static void bring(struct ahead *a)
{
	qsort(a->wanted, a->count, sizeof(*a->wanted), by_number);
	if (a->what & AHEAD_ASK)
		ask(a);
	if (a->what & AHEAD_MAP)
		map(a);
	a->count = 0;
}

static void want(struct ahead *a, uint64_t page)
{
	if (a->count == PAGES_AT_ONCE)
		bring(a);
	a->wanted[a->count++] = page;
}

/* ---- the tree ---- */

struct branch {
	const unsigned char *page;
	unsigned count;
};

static bool branch_at(const struct ahead *a, uint64_t number, struct branch *b)
{
	unsigned lower;

	if (number >= a->pages)
		return false;
	b->page = a->map + number * a->page_size;
	lower = get16(b->page + 12);
	if (get64(b->page) != number || get16(b->page + 10) != P_BRANCH || lower < PAGE_HEAD ||
	    lower > a->page_size)
		return false;
	b->count = (lower - PAGE_HEAD) / 2;
	return true;
}

/* NULL: outside. */
static const unsigned char *node_at(const struct ahead *a, const struct branch *b, unsigned i)
{
	size_t at = get16(b->page + PAGE_HEAD + i * 2);

	if (at + NODE_HEAD > a->page_size ||
	    at + NODE_HEAD + get16(b->page + at + 6) > a->page_size)
		return NULL;
	return b->page + at;
}

static int compare(const unsigned char *node, const unsigned char key[KEY_MESSAGE])
{
	size_t length = get16(node + 6);
	int order = memcmp(node + NODE_HEAD, key, length < KEY_MESSAGE ? length : KEY_MESSAGE);

	return order ? order : length < KEY_MESSAGE ? -1 : length > KEY_MESSAGE;
}

static uint64_t child_of(const unsigned char *node)
{
	return get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;
}

/* The children that may hold rows of the range: [*from, *to). A child's rows are not below its
 * node's key, of which the first counts as the lowest of all. */
static void children(const struct ahead *a, const struct branch *b, unsigned *from, unsigned *to)
{
	*from = *to = 0;
	for (unsigned i = 0; i < b->count; i++) {
		const unsigned char *node = node_at(a, b, i);

		if (!node || (i > 0 && compare(node, a->last) > 0))
			return;
		if (i > 0 && compare(node, a->first) <= 0)
			*from = i;
		*to = i + 1;
	}
}

static void walk(struct ahead *a, uint64_t number, unsigned level)
{
	struct branch b;
	unsigned from, to;

	if (a->left == 0 || !branch_at(a, number, &b))
		return;
	a->left--;
	children(a, &b, &from, &to);
	for (unsigned i = from; i < to; i++) {
		uint64_t child = child_of(node_at(a, &b, i));

		if (child < a->pages)
			want(a, child);
	}
	if (level + 2 >= a->depth)
		return;
	bring(a);
	for (unsigned i = from; i < to; i++)
		walk(a, child_of(node_at(a, &b, i)), level + 1);
}

/* LMDB does not tell where its map is, but each page has its number at its beginning. */
static unsigned char *map_around(const unsigned char *row, size_t page_size)
{
	const unsigned char *page = row - (uintptr_t)row % page_size;

	return (unsigned char *)(uintptr_t)(page - get64(page) * page_size);
}

/* Of the table's tree; false: there is no branch page, or no such table. */
static bool find_root(struct ahead *a, struct index *ix, MDB_txn *txn, uint64_t *root)
{
	static const char table[] = "messages";
	MDB_val k = {.mv_size = sizeof(table) - 1, .mv_data = (void *)(uintptr_t)table}, v;
	MDB_cursor *c;
	bool found;

	if (mdb_cursor_open(txn, ix->tables, &c) != 0)
		return false;
	found = mdb_cursor_get(c, &k, &v, MDB_SET_KEY) == 0 && v.mv_size == DB_SIZE;
	if (found) {
		a->map = map_around(v.mv_data, a->page_size);
		a->depth = get16((unsigned char *)v.mv_data + DB_DEPTH_AT);
		*root = get64((unsigned char *)v.mv_data + DB_ROOT_AT);
	}
	mdb_cursor_close(c);
	return found && a->depth > 1 && a->depth <= DEPTH_MAX;
}

void ahead_messages(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		    uint32_t first, uint32_t last, unsigned what)
{
	struct ahead a = {.what = what};
	MDB_envinfo info;
	MDB_stat stat;
	uint64_t root = 0;

	if (mdb_env_info(ix->env, &info) != 0 || mdb_env_stat(ix->env, &stat) != 0)
		return;
	a.page_size = stat.ms_psize;
	/* The kernel counts in pages of its own; an index from another kind of machine may differ. */
	if (sysconf(_SC_PAGESIZE) != (long)a.page_size)
		return;
	a.pages = info.me_last_pgno + 1;
	if (a.pages > info.me_mapsize / a.page_size)
		a.pages = info.me_mapsize / a.page_size;
	a.left = a.pages;
	if (!find_root(&a, ix, txn, &root))
		return;
	key_message(a.first, account, folder, first);
	key_message(a.last, account, folder, last);
	walk(&a, root, 0);
	bring(&a);
}
