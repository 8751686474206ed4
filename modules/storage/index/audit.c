/*
 * audit.c - a walk through an LMDB 0.9 file (data version 1, 64 bit) that believes nothing.
 */
#include "audit.h"

#include "checkpoint.h"
#include "format/bytes.h"
#include "lmdb_page.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define META_DBS_AT  (16 + 24)
#define META_LAST_AT (16 + 120)
#define NO_PAGE      UINT64_MAX

typedef bool row_check(const unsigned char *key, size_t nk, const unsigned char *row, size_t nr,
		       uint32_t tag);

struct audit {
	struct store *store;
	int fd;
	size_t page_size;
	uint64_t pages; /* that the state uses, meta pages included */
	uint64_t looked_at;
	unsigned char *seen; /* a bit for each */
	uint32_t tag;
	row_check *check; /* of the table being walked */
	bool free_list, tables;
	char *err;
	size_t err_size;
	bool failed; /* it says nothing of the index */
};

struct node {
	const unsigned char *key, *data; /* data NULL in a branch */
	size_t key_length, data_length;
	uint64_t child; /* branch: the page below */
	unsigned flags;
};

static int wrong(struct audit *a, const char *fmt, ...) PSTN_PRINTF(2, 3);

static int wrong(struct audit *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->err, a->err_size, fmt, ap);
	va_end(ap);
	return -1;
}

static int cannot(struct audit *a, const char *what)
{
	a->failed = true;
	return wrong(a, "%s", what);
}

/* ---- pages ---- */

/* Each page has one place in the tree; a second one would be a loop. */
static int mark(struct audit *a, uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t page = first + i;

		if (page < 2 || page >= a->pages)
			return wrong(a, "page %llu is outside", (unsigned long long)page);
		if (a->seen[page / 8] & 1 << page % 8)
			return wrong(a, "page %llu is used twice", (unsigned long long)page);
		a->seen[page / 8] |= (unsigned char)(1 << page % 8);
	}
	return 0;
}

static int read_page(struct audit *a, uint64_t page, unsigned char *out)
{
	struct store *st = a->store;
	ssize_t n = pread(a->fd, out, a->page_size, (off_t)(page * a->page_size));

	if (a->looked_at < a->pages)
		a->looked_at++;
	st->host->progress(st->self, "looking at the index, pages", a->looked_at, a->pages);
	if (n < 0)
		return cannot(a, strerror(errno));
	if (n != (ssize_t)a->page_size)
		return wrong(a, "page %llu is not in the file", (unsigned long long)page);
	if (get64(out) != page)
		return wrong(a, "page %llu has another number", (unsigned long long)page);
	return 0;
}

static int page_nodes(struct audit *a, const unsigned char *p, unsigned *count)
{
	unsigned flags = get16(p + 10), lower = get16(p + 12), upper = get16(p + 14);

	if ((flags != P_BRANCH && flags != P_LEAF) || lower < PAGE_HEAD || lower > upper ||
	    upper > a->page_size || (lower - PAGE_HEAD) % 2)
		return wrong(a, "page %llu has a wrong header", (unsigned long long)get64(p));
	*count = (lower - PAGE_HEAD) / 2;
	if (*count < (flags == P_BRANCH ? 2U : 1U))
		return wrong(a, "page %llu is empty", (unsigned long long)get64(p));
	return 0;
}

static int node_at(struct audit *a, const unsigned char *p, unsigned i, struct node *n)
{
	bool leaf = get16(p + 10) == P_LEAF;
	size_t at = get16(p + PAGE_HEAD + i * 2), room;
	const unsigned char *q = p + at;

	if (at < get16(p + 14) || at + NODE_HEAD > a->page_size || at % 2)
		return wrong(a, "page %llu: node outside", (unsigned long long)get64(p));
	room = a->page_size - at - NODE_HEAD;
	n->flags = leaf ? get16(q + 4) : 0;
	n->key = q + NODE_HEAD;
	n->key_length = get16(q + 6);
	n->data_length = leaf ? get16(q) | (size_t)get16(q + 2) << 16 : 0;
	n->data = leaf ? n->key + n->key_length : NULL;
	n->child =
	    leaf ? 0 : get16(q) | (uint64_t)get16(q + 2) << 16 | (uint64_t)get16(q + 4) << 32;
	if (n->flags & ~(unsigned)(N_BIG | N_SUB))
		return wrong(a, "page %llu: node with unknown flags", (unsigned long long)get64(p));
	if (n->key_length > room || (n->flags & N_BIG ? 8 : n->data_length) > room - n->key_length)
		return wrong(a, "page %llu: node too long", (unsigned long long)get64(p));
	return 0;
}

static int compare(const struct audit *a, const struct node *x, const struct node *y)
{
	size_t n = x->key_length < y->key_length ? x->key_length : y->key_length;
	int order;

	if (a->free_list) { /* its keys are native integers */
		uint64_t i = get64(x->key), j = get64(y->key);

		return i < j ? -1 : i > j;
	}
	order = memcmp(x->key, y->key, n);
	return order ? order : x->key_length < y->key_length ? -1 : x->key_length > y->key_length;
}

/* ---- what leaves hold ---- */

static int walk_db(struct audit *, const unsigned char *db);

static int free_pages(struct audit *a, const unsigned char *data, size_t length)
{
	uint64_t count = length >= 8 ? get64(data) : 0;

	if (length < 8 || count > length / 8 - 1)
		return wrong(a, "the list of free pages is too long");
	for (uint64_t i = 0; i < count; i++) {
		if (mark(a, get64(data + 8 + i * 8), 1) != 0)
			return -1;
	}
	return 0;
}

static int big_data(struct audit *a, const struct node *n)
{
	uint64_t page = get64(n->data);
	uint64_t count = (n->data_length + PAGE_HEAD + a->page_size - 1) / a->page_size;
	unsigned char *bytes;
	ssize_t got;
	int rc;

	if (count > a->pages || mark(a, page, count) != 0)
		return wrong(a, "page %llu: overflow outside", (unsigned long long)page);
	bytes = store_alloc(a->store, count * a->page_size);
	if (!bytes)
		return cannot(a, "no memory to look at it");
	got = pread(a->fd, bytes, count * a->page_size, (off_t)(page * a->page_size));
	if (got < 0)
		rc = cannot(a, strerror(errno));
	else if (got != (ssize_t)(count * a->page_size) || get64(bytes) != page ||
		 get16(bytes + 10) != P_OVERFLOW || get32(bytes + 12) != count)
		rc = wrong(a, "page %llu: damaged overflow", (unsigned long long)page);
	else
		rc = a->free_list ? free_pages(a, bytes + PAGE_HEAD, n->data_length)
				  : wrong(a, "page %llu: row too long", (unsigned long long)page);
	store_free(a->store, bytes);
	return rc;
}

static bool check_folder(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			 uint32_t tag)
{
	struct folder_row row;

	(void)tag;
	return nk == KEY_FOLDER && folder_row_get(&row, k, v, nv);
}

static bool check_account(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			  uint32_t tag)
{
	struct account_row row;

	(void)tag;
	return nk == KEY_ACCOUNT && account_row_get(&row, k, v, nv);
}

static bool check_message(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			  uint32_t tag)
{
	struct message_row row;

	return nk == KEY_MESSAGE && message_row_get(&row, k, tag, v, nv);
}

static bool check_change(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			 uint32_t tag)
{
	struct change_row row;

	(void)tag;
	return nk == KEY_CHANGE && change_row_get(&row, k, v, nv);
}

static bool check_segment(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			  uint32_t tag)
{
	struct segment_row row;

	(void)tag;
	return nk == 4 && segment_row_get(&row, get32be(k), v, nv);
}

static bool check_state(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			uint32_t tag)
{
	struct state_row row;

	(void)tag;
	return nk == 5 && memcmp(k, "state", 5) == 0 && state_row_get(&row, v, nv);
}

static bool check_domain(const unsigned char *k, size_t nk, const unsigned char *v, size_t nv,
			 uint32_t tag)
{
	char domain[DOMAIN_MAX + 1] = "";
	struct domain_row row;

	(void)tag;
	if (nk == 0 || nk > DOMAIN_MAX)
		return false;
	memcpy(domain, k, nk);
	return domain_row_get(&row, domain, v, nv);
}

static row_check *check_of(const unsigned char *table, size_t n)
{
	static const struct {
		const char *table;
		row_check *check;
	} checks[] = {
	    {"folders", check_folder},     {"accounts", check_account}, {"messages", check_message},
	    {"tombstones", check_message}, {"changes", check_change},   {"segments", check_segment},
	    {"meta", check_state},         {"domains", check_domain},
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		if (strlen(checks[i].table) == n && memcmp(checks[i].table, table, n) == 0)
			return checks[i].check;
	}
	return NULL;
}

static int walk_table(struct audit *a, const struct node *n)
{
	int rc;

	if (n->data_length != DB_SIZE)
		return wrong(a, "a table's entry is damaged");
	a->tables = false;
	a->check = check_of(n->key, n->key_length);
	rc = walk_db(a, n->data);
	a->tables = true;
	return rc;
}

static int look_at_leaf(struct audit *a, const struct node *n)
{
	if (n->flags & N_BIG)
		return big_data(a, n);
	if (a->free_list)
		return n->key_length == 8 ? free_pages(a, n->data, n->data_length)
					  : wrong(a, "the list of free pages is damaged");
	if (a->tables != !!(n->flags & N_SUB))
		return wrong(a, "a table where none should be, or none where one should");
	if (a->tables)
		return walk_table(a, n);
	if (a->check && !a->check(n->key, n->key_length, n->data, n->data_length, a->tag))
		return wrong(a, "a row fails its checksum");
	return 0;
}

/* ---- the tree ---- */

struct walk {
	uint64_t entries;
	unsigned depth; /* of the leaves, as the table's head says */
};

static int walk_page(struct audit *a, struct walk *w, uint64_t page, unsigned level);

static int walk_nodes(struct audit *a, struct walk *w, const unsigned char *p, unsigned count,
		      unsigned level)
{
	bool leaf = get16(p + 10) == P_LEAF;
	struct node n, before = {.key = NULL};

	for (unsigned i = 0; i < count; i++) {
		if (node_at(a, p, i, &n) != 0)
			return -1;
		if (a->free_list && n.key_length != 8 && (leaf || i > 0))
			return wrong(a, "the list of free pages is damaged");
		/* The first key of a branch is not used. */
		if (before.key && (leaf || i > 1) && compare(a, &before, &n) >= 0)
			return wrong(a, "page %llu: keys out of order",
				     (unsigned long long)get64(p));
		before = n;
		if (leaf ? look_at_leaf(a, &n) : walk_page(a, w, n.child, level + 1))
			return -1;
	}
	if (leaf)
		w->entries += count;
	return 0;
}

static int walk_page(struct audit *a, struct walk *w, uint64_t page, unsigned level)
{
	unsigned char *p;
	unsigned count = 0;

	if (level >= w->depth || level >= DEPTH_MAX)
		return wrong(a, "page %llu is too deep", (unsigned long long)page);
	/* The tables' own tree and the tree of a table are walked at the same time. */
	p = store_alloc(a->store, a->page_size);
	if (!p)
		return cannot(a, "no memory to look at it");
	if (mark(a, page, 1) != 0 || read_page(a, page, p) != 0 || page_nodes(a, p, &count) != 0 ||
	    (get16(p + 10) == P_LEAF) != (level + 1 == w->depth) ||
	    walk_nodes(a, w, p, count, level) != 0) {
		store_free(a->store, p);
		return a->err[0]
			   ? -1
			   : wrong(a, "page %llu is at a wrong depth", (unsigned long long)page);
	}
	store_free(a->store, p);
	return 0;
}

static int walk_db(struct audit *a, const unsigned char *db)
{
	struct walk w = {.depth = get16(db + DB_DEPTH_AT)};
	uint64_t entries = get64(db + 32), root = get64(db + DB_ROOT_AT);

	if (root == NO_PAGE)
		return entries == 0 ? 0 : wrong(a, "a table lost its root");
	if (walk_page(a, &w, root, 0) != 0)
		return -1;
	return w.entries == entries ? 0 : wrong(a, "a table has not as many rows as it says");
}

static int walk_all(struct audit *a, const unsigned char *meta)
{
	a->free_list = true;
	if (walk_db(a, meta + META_DBS_AT) != 0)
		return -1;
	a->free_list = false;
	a->tables = true;
	return walk_db(a, meta + META_DBS_AT + DB_SIZE);
}

/* ---- the file ---- */

/* The tree is walked in its own order, which is none on the disk: it is read in the disk's before. */
static void read_ahead(const struct audit *a)
{
	(void)posix_fadvise(a->fd, 0, (off_t)(a->pages * a->page_size), POSIX_FADV_WILLNEED);
}

static enum audit_result audit_file(struct audit *a, const struct checkpoint_state *c, bool all)
{
	int rc;

	a->page_size = c->page_size;
	a->pages = get64(c->meta + META_LAST_AT) + 1;
	if (a->pages < 2)
		rc = wrong(a, "the checkpoint names no pages");
	else if (!all && a->pages > AUDIT_OCTETS_MAX / a->page_size)
		return AUDIT_SKIPPED;
	else if ((a->seen = store_alloc(a->store, a->pages / 8 + 1)) == NULL)
		rc = cannot(a, "no memory to look at it");
	else {
		read_ahead(a);
		rc = walk_all(a, c->meta);
	}
	store_free(a->store, a->seen);
	return rc == 0 ? AUDIT_SOUND : a->failed ? AUDIT_FAILED : AUDIT_DAMAGED;
}

enum audit_result audit_index(struct store *st, const char *index_path,
			      const struct checkpoint_state *c, bool all, char *err, size_t n)
{
	struct audit a = {.store = st, .err = err, .err_size = n, .tag = store_tag(st->uuid)};
	enum audit_result result;
	char path[PATH_MAX];

	err[0] = '\0';
	snprintf(path, sizeof(path), "%s/data.mdb", index_path);
	a.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (a.fd < 0) {
		wrong(&a, "%s", strerror(errno));
		return AUDIT_FAILED;
	}
	result = audit_file(&a, c, all);
	close(a.fd);
	return result;
}
