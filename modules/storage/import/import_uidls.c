/*
 * import_uidls.c - which unique id (UIDL) a message had on the server it comes from: from the list
 * that lies beside it in its Maildir, or from one that was given.
 */
#include "import.h"

#include "maildir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *take(void *arg, size_t n)
{
	return store_alloc(arg, n);
}

static void give_back(void *arg, void *p)
{
	store_free(arg, p);
}

void import_uidls_free(struct import *im, struct uidl_list **l)
{
	if (*l)
		uidl_list_free(*l);
	store_free(im->store, *l);
	*l = NULL;
}

/* ---- reading ---- */

static bool read_list(struct import *im, int fd, struct uidl_list *l, const char *what)
{
	ssize_t n;

	do {
		n = read(fd, im->piece, IMPORT_PIECE);
		if (n > 0 && !uidl_list_feed(l, im->piece, (size_t)n))
			break;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		import_fail(im, "%s cannot be read: %s.", what, strerror(errno));
	else if (!uidl_list_end(l))
		import_fail(im, "%s %s.", what, l->fault);
	else if (l->strange)
		im->store->host->call->note(im->call,
					    "%s: %" PRIu64
					    " lines are not understood, the first is line %" PRIu64
					    "; their messages get new unique ids.",
					    what, l->strange, l->first_strange);
	if (im->status == PSTN_OK && l->duplicates + l->invalid + l->nameless > 0)
		im->store->host->call->note(
		    im->call,
		    "%s: %" PRIu64 " messages have an id that another has before them, %" PRIu64
		    " one that is none, of %" PRIu64 " none is told; they get new unique ids.",
		    what, l->duplicates, l->invalid, l->nameless);
	return im->status == PSTN_OK;
}

static struct uidl_list *open_list(struct import *im, int fd, const char *what)
{
	struct uidl_list *l = store_alloc(im->store, sizeof(*l));

	if (!l) {
		im->status = PSTN_E_NO_MEMORY;
		return NULL;
	}
	l->alloc = take;
	l->free = give_back;
	l->arg = im->store;
	l->template = im->store->host->call->arg(im->call, "uidl-format");
	if (!read_list(im, fd, l, what))
		import_uidls_free(im, &l);
	return l;
}

bool import_uidls_given(struct import *im)
{
	const struct pstn_call_ops *call = im->store->host->call;
	const char *format = call->arg(im->call, "uidl-format");
	const char *fault = format ? uidl_template_fault(format) : NULL;
	int fd = call->fd(im->call, "uidls");

	im->no_uidls = call->arg(im->call, "no-uidls") != NULL;
	if (fault)
		import_fail(im, "The format \"%s\" of unique ids %s.", format, fault);
	else if (fd >= 0 && im->no_uidls)
		import_fail(im, "--uidls and --no-uidls contradict each other.");
	else if (fd >= 0)
		im->given = open_list(im, fd, "The listing of unique ids");
	return im->status == PSTN_OK;
}

void import_uidls_found(struct import *im, const char *path)
{
	static const char *const names[] = {"dovecot-uidlist", "courierpop3dsizelist"};

	import_uidls_free(im, &im->found);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !im->found && !im->no_uidls; i++) {
		char name[PATH_MAX];
		int fd;

		snprintf(name, sizeof(name), "%s%s%s", path, *path ? "/" : "", names[i]);
		fd = import_open(im, name);
		if (fd < 0) {
			import_unreadable(im, name);
			continue;
		}
		im->found = open_list(im, fd, name);
		close(fd);
		if (im->status != PSTN_OK)
			return;
	}
}

/* ---- looking up ---- */

/* The uid that Cyrus made an id of: UIDVALIDITY.UID, UIDVALIDITY-UID, UID, or 8 digits of each. */
static uint32_t cyrus_uid(const char *uidl)
{
	size_t n = strlen(uidl), last = n;
	char digits[9] = "";

	while (last > 0 && uidl[last - 1] >= '0' && uidl[last - 1] <= '9')
		last--;
	if (n == 16 && strspn(uidl, "0123456789abcdef") == n) {
		memcpy(digits, uidl, 8);
		return (uint32_t)strtoul(digits, NULL, 16);
	}
	if (n - last == 0 || n - last > 10 || (last > 0 && !strchr(".-", uidl[last - 1])))
		return 0;
	return (uint32_t)strtoul(uidl + last, NULL, 10);
}

static void complete_cyrus(struct uidl_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct uidl_entry *e = &l->entries[i];

		if (e->uid == 0 && e->uidl)
			e->uid = cyrus_uid(e->uidl);
	}
}

/* What doveadm tells of a message in a Maildir: its GUID is its file's name, unless that is told. */
static void complete_names(struct uidl_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct uidl_entry *e = &l->entries[i];

		if (!e->name)
			e->name = e->guid;
	}
}

static bool has_names(const struct uidl_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->entries[i].name)
			return true;
	}
	return false;
}

/* Ids by uid alone say nothing of files, but the folder's own list has both. */
static void name_by_uid(struct import *im)
{
	uidl_list_by_uid(im->found);
	for (size_t i = 0; i < im->given->count; i++) {
		struct uidl_entry *e = &im->given->entries[i];
		const struct uidl_entry *known = e->uid ? uidl_list_uid(im->found, e->uid) : NULL;

		if (known && !e->name)
			e->name = known->name;
		if (known && !e->uidl)
			e->uidl = known->uidl;
	}
}

static bool prepare_given(struct import *im, bool cyrus, uint64_t messages, enum import_uidls *how)
{
	struct uidl_list *l = im->given;

	*how = IMPORT_UIDLS_NAMES;
	if (cyrus) {
		complete_cyrus(l);
		uidl_list_by_uid(l);
		return true;
	}
	if (im->found)
		name_by_uid(im);
	complete_names(l);
	if (has_names(l)) {
		uidl_list_by_name(l);
		return true;
	}
	*how = IMPORT_UIDLS_ORDER;
	uidl_list_by_order(l);
	if (l->count == messages)
		return true;
	import_fail(im,
		    "The listing tells messages by their order, and it has %zu of them, but there "
		    "are %" PRIu64 ": ids would go to the wrong ones. Make both again, at a moment "
		    "when no mail comes in.",
		    l->count, messages);
	return false;
}

bool import_uidls_prepare(struct import *im, bool cyrus, uint64_t messages, enum import_uidls *how)
{
	*how = IMPORT_UIDLS_NONE;
	if (im->given && !prepare_given(im, cyrus, messages, how))
		return false;
	if (im->found) {
		uidl_list_by_name(im->found);
		if (*how == IMPORT_UIDLS_NONE)
			*how = IMPORT_UIDLS_NAMES;
	}
	return true;
}

const struct uidl_entry *import_uidls_name(const struct import *im, const char *name, size_t n)
{
	unsigned long uid;
	char *end;

	if (!im->given)
		return NULL;
	/* A file of Cyrus is "UID." */
	uid = strtoul(name, &end, 10);
	if (*end == '.' && end[1] == '\0' && uid <= UINT32_MAX)
		return uidl_list_uid(im->given, (uint32_t)uid);
	return uidl_list_name(im->given, name, n);
}

const char *import_uidls_nth(const struct import *im, uint64_t n)
{
	return im->given && n < im->given->count ? im->given->entries[n].uidl : NULL;
}
