/*
 * tree.c - which pages of the index hold a range of messages' rows.
 */
#include "index/tree.h"

#include "format/bytes.h"
#include "index/lmdb_page.h"

#include <string.h>
#include <unistd.h>

struct walk {
	const struct tree *tree;
	const struct tree_walk *to;
	uint64_t left; /* branches that may still be looked at: a loop ends here */
};

struct branch {
	const unsigned char *page;
	unsigned count;
};

static bool branch_at(const struct tree *t, uint64_t number, struct branch *b)
{
	unsigned lower;

	if (number >= t->pages)
		return false;
	b->page = t->map + number * t->page_size;
	lower = get16(b->page + 12);
	if (get64(b->page) != number || get16(b->page + 10) != P_BRANCH || lower < PAGE_HEAD ||
	    lower > t->page_size)
		return false;
	b->count = (lower - PAGE_HEAD) / 2;
	return true;
}

/* NULL: outside. */
static const unsigned char *node_at(const struct tree *t, const struct branch *b, unsigned i)
{
	size_t at = get16(b->page + PAGE_HEAD + i * 2);

	if (at + NODE_HEAD > t->page_size ||
	    at + NODE_HEAD + get16(b->page + at + 6) > t->page_size)
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
static void children(const struct walk *w, const struct branch *b, unsigned *from, unsigned *to)
{
	*from = *to = 0;
	for (unsigned i = 0; i < b->count; i++) {
		const unsigned char *node = node_at(w->tree, b, i);

		if (!node || (i > 0 && compare(node, w->to->last) > 0))
			return;
		if (i > 0 && compare(node, w->to->first) <= 0)
			*from = i;
		*to = i + 1;
	}
}

static void descend(struct walk *w, uint64_t number, unsigned level)
{
	const struct tree *t = w->tree;
	bool leaves = level + 2 >= t->depth;
	struct branch b;
	unsigned from, to;

	if (w->left == 0 || !branch_at(t, number, &b))
		return;
	w->left--;
	children(w, &b, &from, &to);
	for (unsigned i = from; i < to; i++) {
		uint64_t child = child_of(node_at(t, &b, i));

		if (child < t->pages)
			w->to->child(w->to->arg, child, leaves);
	}
	if (leaves)
		return;
	w->to->descend(w->to->arg);
	for (unsigned i = from; i < to; i++)
		descend(w, child_of(node_at(t, &b, i)), level + 1);
}

void tree_walk(const struct tree *t, const struct tree_walk *to)
{
	struct walk w = {.tree = t, .to = to, .left = t->pages};

	descend(&w, t->root, 0);
}

/* LMDB does not tell where its map is, but each page has its number at its beginning. */
static unsigned char *map_around(const unsigned char *row, size_t page_size)
{
	const unsigned char *page = row - (uintptr_t)row % page_size;

	return (unsigned char *)(uintptr_t)(page - get64(page) * page_size);
}

static bool find_root(struct tree *t, struct index *ix, MDB_txn *txn)
{
	static const char table[] = "messages";
	MDB_val k = {.mv_size = sizeof(table) - 1, .mv_data = (void *)(uintptr_t)table}, v;
	MDB_cursor *c;
	bool found;

	if (mdb_cursor_open(txn, ix->tables, &c) != 0)
		return false;
	found = mdb_cursor_get(c, &k, &v, MDB_SET_KEY) == 0 && v.mv_size == DB_SIZE;
	if (found) {
		t->map = map_around(v.mv_data, t->page_size);
		t->depth = get16((unsigned char *)v.mv_data + DB_DEPTH_AT);
		t->root = get64((unsigned char *)v.mv_data + DB_ROOT_AT);
	}
	mdb_cursor_close(c);
	return found && t->depth > 1 && t->depth <= DEPTH_MAX;
}

bool tree_of_messages(struct tree *t, struct index *ix, MDB_txn *txn)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(ix->env, &info) != 0 || mdb_env_stat(ix->env, &stat) != 0)
		return false;
	*t = (struct tree){.page_size = stat.ms_psize, .pages = info.me_last_pgno + 1};
	/* The kernel counts in pages of its own; an index from another kind of machine may differ. */
	if (sysconf(_SC_PAGESIZE) != (long)t->page_size)
		return false;
	if (t->pages > info.me_mapsize / t->page_size)
		t->pages = info.me_mapsize / t->page_size;
	return find_root(t, ix, txn);
}
