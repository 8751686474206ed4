/*
 * leaves.c - the rows of a range, read from the leaf pages in the index's file (LMDB 0.9, data
 * version 1). What makes no sense ends the walk: LMDB will tell what is wrong.
 */
#include "index/leaves.h"

#include "format/bytes.h"
#include "index/ahead.h"
#include "index/lmdb_page.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define ASK_ROWS 32768

static void add_leaf(void *arg, uint64_t page, bool leaf)
{
	struct leaves *l = arg;

	if (leaf && l->count < LEAVES_MAX)
		l->numbers[l->count++] = page;
}

static void nothing(void *arg)
{
	(void)arg;
}

void leaves_begin(struct leaves *l, struct index *ix, MDB_txn *txn, uint64_t account,
		  uint32_t folder, uint32_t first, uint32_t last)
{
	struct tree_walk to = {.child = add_leaf, .descend = nothing, .arg = l};

	l->index = ix;
	l->txn = txn;
	l->account = account;
	l->folder = folder;
	l->first = first;
	l->asked = false;
	l->count = l->read = l->node = l->nodes = 0;
	l->page = l->end = l->buffer;
	l->key_size = 0;
	if (mdb_env_get_fd(ix->env, &l->fd) != 0 || !tree_of_messages(&l->tree, ix, txn) ||
	    l->tree.page_size > LEAVES_BUFFER)
		return;
	key_message(to.first, account, folder, first);
	key_message(to.last, account, folder, last);
	tree_walk(&l->tree, &to);
}

static void give_up(struct leaves *l)
{
	l->count = l->read = l->node = l->nodes = 0;
}

/* The disk is asked for all that will soon be wanted, so that it need not be waited for again and
 * again. */
static void ask(struct leaves *l)
{
	uint32_t last = l->first < UINT32_MAX - ASK_ROWS ? l->first + ASK_ROWS : UINT32_MAX;

	if (!l->asked)
		ahead_messages(l->index, l->txn, l->account, l->folder, l->first, last, AHEAD_ASK);
	l->asked = true;
}

/* A page that the kernel holds may not be read without waiting if it marks where to read ahead. */
static bool is_held(const struct leaves *l, off_t at)
{
	unsigned char held;

	return mincore(l->tree.map + at, l->tree.page_size, &held) == 0 && (held & 1);
}

static bool read_at(struct leaves *l, size_t octets, off_t at)
{
	struct iovec v = {.iov_base = l->buffer, .iov_len = octets};

	if (preadv2(l->fd, &v, 1, at, RWF_NOWAIT) == (ssize_t)octets)
		return true;
	if (!is_held(l, at))
		ask(l);
	return pread(l->fd, l->buffer, octets, at) == (ssize_t)octets;
}

/* Pages that follow each other in the file are read at once. */
static bool read_on(struct leaves *l)
{
	uint64_t first = l->numbers[l->read];
	uint32_t n = 1;
	size_t octets;

	while (l->read + n < l->count && l->numbers[l->read + n] == first + n &&
	       (n + 1) * l->tree.page_size <= LEAVES_BUFFER)
		n++;
	octets = n * l->tree.page_size;
	if (!read_at(l, octets, (off_t)(first * l->tree.page_size)))
		return false;
	l->page = l->buffer;
	l->end = l->buffer + octets;
	return true;
}

static bool next_page(struct leaves *l)
{
	unsigned lower;

	if (l->read == l->count)
		return false;
	if (l->nodes)
		l->page += l->tree.page_size;
	if (l->page == l->end && !read_on(l))
		return false;
	lower = get16(l->page + 12);
	if (get64(l->page) != l->numbers[l->read] || get16(l->page + 10) != P_LEAF ||
	    lower <= PAGE_HEAD || lower > l->tree.page_size)
		return false;
	l->read++;
	l->node = 0;
	l->nodes = (lower - PAGE_HEAD) / 2;
	return l->nodes > 0;
}

/* A value on pages of its own, or a tree below, is no row of ours. */
static bool take_node(struct leaves *l)
{
	const unsigned char *page = l->page;
	size_t at = get16(page + PAGE_HEAD + l->node * 2), key, value;
	const unsigned char *node = page + at;

	if (at + NODE_HEAD > l->tree.page_size || get16(node + 4) != 0)
		return false;
	key = get16(node + 6);
	value = get16(node) | (size_t)get16(node + 2) << 16;
	if (at + NODE_HEAD + key + value > l->tree.page_size)
		return false;
	l->key = node + NODE_HEAD;
	l->key_size = key;
	l->value = l->key + key;
	l->value_size = value;
	l->node++;
	return true;
}

static bool next(struct leaves *l)
{
	if ((l->node < l->nodes || next_page(l)) && take_node(l))
		return true;
	give_up(l);
	return false;
}

/* As memcmp() does, for this length alone, because it is asked for each row. */
static int compare_keys(const unsigned char *a, const unsigned char *b)
{
	uint64_t x = get64be(a), y = get64be(b);

	if (x == y) {
		x = get64be(a + 8);
		y = get64be(b + 8);
	}
	return x < y ? -1 : x > y;
}

int leaves_find(struct leaves *l, const unsigned char key[KEY_MESSAGE], MDB_val *value)
{
	do {
		int order = l->key_size == KEY_MESSAGE ? compare_keys(l->key, key) : -1;

		if (order > 0)
			return MDB_NOTFOUND;
		if (order == 0) {
			*value = (MDB_val){l->value_size, (void *)(uintptr_t)l->value};
			return 0;
		}
	} while (next(l));
	l->key_size = 0;
	return LEAVES_UNKNOWN;
}
