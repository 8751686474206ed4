/*
 * ahead.c - the pages of a range of rows, and one request to the kernel for each run of them.
 */
#include "index/ahead.h"

#include "index/tree.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGES_AT_ONCE 1024
#define REQUEST_PAGES 32 /* 128 KiB: of a longer range the kernel may read no more */

struct ahead {
	struct tree tree;
	unsigned what;
	uint32_t count;
	uint64_t wanted[PAGES_AT_ONCE];
};

static int by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static unsigned char *page_at(const struct ahead *a, uint64_t number)
{
	return a->tree.map + number * a->tree.page_size;
}

/* Whether the kernel holds all pages from `i` to `end` of the list, which one request reaches. */
static bool resident(const struct ahead *a, uint32_t i, uint32_t end)
{
	unsigned char held[REQUEST_PAGES];
	uint64_t begin = a->wanted[i], pages = a->wanted[end - 1] + 1 - begin;

	if (mincore(page_at(a, begin), pages * a->tree.page_size, held) != 0)
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
			(void)madvise(page_at(a, begin),
				      (a->wanted[end - 1] + 1 - begin) * a->tree.page_size,
				      MADV_WILLNEED);
	}
}

/* Touching is cheaper than MADV_POPULATE_READ, which maps what lies between as well. */
static void map(const struct ahead *a)
{
	for (uint32_t i = 0; i < a->count; i++)
		(void)*(const volatile unsigned char *)page_at(a, a->wanted[i]);
}

/* The disk hears of all before anybody waits for the first. */
static void bring(void *arg)
{
	struct ahead *a = arg;

	qsort(a->wanted, a->count, sizeof(*a->wanted), by_number);
	if (a->what & AHEAD_ASK)
		ask(a);
	if (a->what & AHEAD_MAP)
		map(a);
	a->count = 0;
}

static void want(void *arg, uint64_t page, bool leaf)
{
	struct ahead *a = arg;

	(void)leaf;
	if (a->count == PAGES_AT_ONCE)
		bring(a);
	a->wanted[a->count++] = page;
}

void ahead_messages(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		    uint32_t first, uint32_t last, unsigned what)
{
	struct ahead a = {.what = what};
	struct tree_walk to = {.child = want, .descend = bring, .arg = &a};

	if (!tree_of_messages(&a.tree, ix, txn))
		return;
	key_message(to.first, account, folder, first);
	key_message(to.last, account, folder, last);
	tree_walk(&a.tree, &to);
	bring(&a);
}
