/*
 * fuzz_uidls.c - any file as another server's listing of unique ids: in pieces of any size the same
 * comes out, every id can be used and stands once, and what was read is found again.
 */
#include "modules/storage/import/uidl_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_uidls: %s\n", what);
	abort();
}

static void *take(void *arg, size_t n)
{
	(void)arg;
	return calloc(1, n);
}

static void give(void *arg, void *p)
{
	(void)arg;
	free(p);
}

static struct uidl_list *parse(const char *text, size_t n, size_t piece)
{
	struct uidl_list *l = calloc(1, sizeof(*l));

	l->alloc = take;
	l->free = give;
	for (size_t at = 0; at < n; at += piece)
		uidl_list_feed(l, text + at, n - at < piece ? n - at : piece);
	uidl_list_end(l);
	return l;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	struct uidl_list *whole = parse((const char *)octets, n, n + 1);
	struct uidl_list *pieces = parse((const char *)octets, n, n % 5 + 1);

	must(whole->count == pieces->count && whole->kind == pieces->kind &&
		 whole->strange == pieces->strange && whole->fault == pieces->fault,
	     "pieces matter");
	for (size_t i = 0; i < whole->count && !whole->fault; i++) {
		const struct uidl_entry *e = &whole->entries[i];

		must(same_text(e->uidl, pieces->entries[i].uidl), "pieces change an id");
		must(!e->uidl || uidl_valid(e->uidl, strlen(e->uidl)), "an id that is none");
	}
	uidl_list_by_uidl(whole);
	for (size_t i = 0; i < whole->count && !whole->fault; i++) {
		const struct uidl_entry *e = &whole->entries[i];

		must(!e->uidl || uidl_list_uidl(whole, e->uidl) == e,
		     "an id is not found, or twice");
	}
	uidl_list_by_name(whole);
	for (size_t i = 0; i < whole->count && !whole->fault; i++) {
		const struct uidl_entry *e = &whole->entries[i];
		const struct uidl_entry *found =
		    e->name ? uidl_list_name(whole, e->name, strlen(e->name)) : NULL;

		must(!e->name || (found && same_text(found->name, e->name)), "a name is not found");
	}
	uidl_list_free(whole);
	uidl_list_free(pieces);
	free(whole);
	free(pieces);
	return 0;
}
