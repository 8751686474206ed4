/*
 * uidl_list.c - another server's listing of unique ids: its lines, its memory, looking up. Pure.
 */
#include "uidl_lines.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK    ((size_t)64 << 10)
#define ROOM_MIN 256

struct uidl_chunk { /* of strings */
	struct uidl_chunk *next;
	size_t used, room;
	char text[];
};

static bool give_up(struct uidl_list *l, const char *why)
{
	if (!l->fault)
		l->fault = why;
	return false;
}

/* ---- memory ---- */

static struct uidl_chunk *chunk_for(struct uidl_list *l, size_t n)
{
	struct uidl_chunk *c = l->chunks;
	size_t room = n > CHUNK ? n : CHUNK;

	if (c && c->room - c->used >= n)
		return c;
	c = l->alloc(l->arg, sizeof(*c) + room);
	if (!c)
		return NULL;
	*c = (struct uidl_chunk){.next = l->chunks, .room = room};
	l->chunks = c;
	return c;
}

const char *uidl_copy(struct uidl_list *l, const char *text, size_t n)
{
	struct uidl_chunk *c = chunk_for(l, n + 1);
	char *copy;

	if (!c) {
		give_up(l, "needs more memory than there is");
		return NULL;
	}
	copy = c->text + c->used;
	memcpy(copy, text, n);
	copy[n] = '\0';
	c->used += n + 1;
	return copy;
}

bool uidl_add(struct uidl_list *l, const struct uidl_entry *e)
{
	if (l->count == UIDL_ENTRIES_MAX)
		return give_up(l, "has more than 4,000,000 messages");
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : ROOM_MIN;
		struct uidl_entry *larger = l->alloc(l->arg, room * sizeof(*larger));

		if (!larger)
			return give_up(l, "needs more memory than there is");
		if (l->count)
			memcpy(larger, l->entries, l->count * sizeof(*larger));
		l->free(l->arg, l->entries);
		l->entries = larger;
		l->room = room;
	}
	l->entries[l->count++] = *e;
	return true;
}

void uidl_list_free(struct uidl_list *l)
{
	while (l->chunks) {
		struct uidl_chunk *c = l->chunks;

		l->chunks = c->next;
		l->free(l->arg, c);
	}
	l->free(l->arg, l->entries);
	l->entries = NULL;
	l->count = l->room = 0;
}

/* ---- lines ---- */

static void take_line(struct uidl_list *l)
{
	size_t n = l->length;

	if (n > 0 && l->line[n - 1] == '\r')
		n--;
	l->line[n] = '\0';
	l->lines++;
	if (!l->too_long)
		uidl_line(l, l->line, n);
	else if (l->kind != UIDL_KIND_NONE && l->strange++ == 0)
		l->first_strange = l->lines;
	l->length = 0;
	l->too_long = false;
}

/* JSON has no lines; it is told by its first octet. */
static bool at_begin(const struct uidl_list *l)
{
	return l->kind == UIDL_KIND_NONE && l->length == 0 && !l->too_long;
}

bool uidl_list_feed(struct uidl_list *l, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && !l->fault; i++) {
		if (l->kind == UIDL_KIND_JSON || (at_begin(l) && bytes[i] == '['))
			uidl_json_octet(l, bytes[i]);
		else if (bytes[i] == '\n')
			take_line(l);
		else if (l->length < UIDL_LINE)
			l->line[l->length++] = bytes[i];
		else
			l->too_long = true;
	}
	return !l->fault;
}

/* ---- looking up ---- */

static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int by_order(const void *x, const void *y)
{
	const struct uidl_entry *a = x, *b = y;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

static int by_name(const void *x, const void *y)
{
	const struct uidl_entry *a = x, *b = y;
	int c = compare_text(a->name, b->name);

	return c ? c : by_order(x, y);
}

static int by_uid(const void *x, const void *y)
{
	const struct uidl_entry *a = x, *b = y;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

static int by_uidl(const void *x, const void *y)
{
	const struct uidl_entry *a = x, *b = y;
	int c = compare_text(a->uidl, b->uidl);

	return c ? c : by_order(x, y);
}

static void sort(struct uidl_list *l, int (*compare)(const void *, const void *))
{
	if (l->count)
		qsort(l->entries, l->count, sizeof(*l->entries), compare);
}

void uidl_list_by_name(struct uidl_list *l)
{
	sort(l, by_name);
}

void uidl_list_by_uid(struct uidl_list *l)
{
	sort(l, by_uid);
}

void uidl_list_by_uidl(struct uidl_list *l)
{
	sort(l, by_uidl);
}

void uidl_list_by_order(struct uidl_list *l)
{
	sort(l, by_order);
}

/* The last one that is not greater than the key, which compare() tells from an entry. */
static struct uidl_entry *find(const struct uidl_list *l,
			       int (*compare)(const void *key, const struct uidl_entry *),
			       const void *key)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(key, &l->entries[mid]) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->count && compare(key, &l->entries[low]) == 0 ? &l->entries[low] : NULL;
}

struct name_key {
	const char *name;
	size_t n;
};

static int name_is(const void *key, const struct uidl_entry *e)
{
	const struct name_key *k = key;
	int c;

	if (!e->name)
		return 1;
	c = strncmp(k->name, e->name, k->n);
	return c ? c : -(e->name[k->n] != '\0');
}

static int uid_is(const void *key, const struct uidl_entry *e)
{
	uint32_t uid = *(const uint32_t *)key;

	return uid < e->uid ? -1 : uid > e->uid;
}

static int uidl_is(const void *key, const struct uidl_entry *e)
{
	return compare_text(key, e->uidl);
}

struct uidl_entry *uidl_list_name(const struct uidl_list *l, const char *name, size_t n)
{
	return find(l, name_is, &(struct name_key){name, n});
}

struct uidl_entry *uidl_list_uid(const struct uidl_list *l, uint32_t uid)
{
	return find(l, uid_is, &uid);
}

struct uidl_entry *uidl_list_uidl(const struct uidl_list *l, const char *uidl)
{
	return find(l, uidl_is, uidl);
}

/* ---- the end ---- */

static const char *template_of(const struct uidl_list *l)
{
	if (l->template)
		return l->template;
	if (l->own_template[0] && !uidl_template_fault(l->own_template))
		return l->own_template;
	return l->kind == UIDL_KIND_CYRUS ? UIDL_TEMPLATE_CYRUS : UIDL_TEMPLATE_DOVECOT;
}

/* An id that the listing does not tell is the one that the server would make. */
static void complete(struct uidl_list *l, struct uidl_entry *e)
{
	struct uidl_values v = {e->uid, l->uidvalidity, e->name, e->guid ? e->guid : e->name};
	char uidl[UIDL_MAX + 1];

	if (!e->uidl && uidl_template_expand(template_of(l), &v, uidl)) {
		e->uidl = uidl_copy(l, uidl, strlen(uidl));
	} else if (!e->uidl) {
		l->nameless++;
	} else if (!uidl_valid(e->uidl, strlen(e->uidl))) {
		l->invalid++;
		e->uidl = NULL;
	}
}

/* Of messages with the same id the first one keeps it: it is the one that clients know. */
static void drop_duplicates(struct uidl_list *l)
{
	const char *last = NULL;

	uidl_list_by_uidl(l);
	for (size_t i = 0; i < l->count; i++) {
		struct uidl_entry *e = &l->entries[i];

		if (!e->uidl)
			continue;
		if (last && strcmp(last, e->uidl) == 0) {
			l->duplicates++;
			e->uidl = NULL;
		} else {
			last = e->uidl;
		}
	}
	uidl_list_by_order(l);
}

bool uidl_list_end(struct uidl_list *l)
{
	if (l->length > 0 || l->too_long)
		take_line(l);
	if (!l->fault)
		uidl_line_end(l);
	if (!l->fault && l->kind == UIDL_KIND_NONE)
		give_up(l,
			"is no listing that is known: dovecot-uidlist, doveadm fetch, "
			"courierpop3dsizelist, Cyrus mbexamine, or the answers to UIDL and LIST");
	if (l->fault)
		return false;
	for (size_t i = 0; i < l->count; i++)
		complete(l, &l->entries[i]);
	if (!l->fault)
		drop_duplicates(l);
	return !l->fault;
}

const char *uidl_list_kind(const struct uidl_list *l)
{
	static const char *const kinds[] = {
	    [UIDL_KIND_NONE] = "unknown",
	    [UIDL_KIND_UIDLIST] = "dovecot-uidlist",
	    [UIDL_KIND_COURIER] = "courierpop3dsizelist",
	    [UIDL_KIND_FLOW] = "doveadm",
	    [UIDL_KIND_TAB] = "doveadm",
	    [UIDL_KIND_TABLE] = "doveadm",
	    [UIDL_KIND_PAGER] = "doveadm",
	    [UIDL_KIND_JSON] = "doveadm",
	    [UIDL_KIND_CYRUS] = "Cyrus mbexamine",
	    [UIDL_KIND_POP3] = "POP3",
	};

	return kinds[l->kind];
}
