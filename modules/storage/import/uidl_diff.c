/*
 * uidl_diff.c - mailbox uidl-diff: a folder's unique ids beside those of another server's listing. A
 * client downloads again what it does not know by its unique id.
 */
#include "command/commands.h"
#include "maildrop/view.h"
#include "store.h"
#include "uidl_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE   ((size_t)64 << 10)
#define AT_ONCE 256
#define LIMIT   20

struct other_size { /* of a message that has the same id */
	const char *uidl;
	uint64_t here, there;
};

struct diff {
	struct store *store;
	struct pstn_call *call;
	struct uidl_list list;
	struct view view;
	uint64_t same, only_here, missing, sizes, limit;
	struct pstn_message *rows;
	char (*here)[UIDL_MAX + 1]; /* the first `limit` that are only here */
	struct other_size *other;   /* likewise, of another size */
};

static void *take(void *arg, size_t n)
{
	return store_alloc(arg, n);
}

static void give_back(void *arg, void *p)
{
	store_free(arg, p);
}

/* ---- the listing ---- */

static bool read_listing(struct diff *d)
{
	const struct pstn_call_ops *call = d->store->host->call;
	char *piece = store_alloc(d->store, PIECE);
	int fd = call->fd(d->call, "listing");
	ssize_t n = -1;

	errno = ENOMEM;
	while (piece) {
		n = read(fd, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !uidl_list_feed(&d->list, piece, (size_t)n))
			break;
	}
	store_free(d->store, piece);
	if (n < 0) {
		call->fail(d->call, "The listing cannot be read: %s.", strerror(errno));
		return false;
	}
	if (!uidl_list_end(&d->list)) {
		call->fail(d->call, "The listing %s.", d->list.fault);
		return false;
	}
	if (d->list.strange)
		call->note(d->call,
			   "%" PRIu64 " lines of the listing are not understood, the first is line "
			   "%" PRIu64 ".",
			   d->list.strange, d->list.first_strange);
	uidl_list_by_uidl(&d->list);
	return true;
}

/* ---- comparing ---- */

static void compare_one(struct diff *d, const struct pstn_message *m)
{
	struct uidl_entry *e = uidl_list_uidl(&d->list, m->uidl);

	if (!e) {
		if (d->only_here++ < d->limit)
			memcpy(d->here[d->only_here - 1], m->uidl, sizeof(d->here[0]));
		return;
	}
	d->same++;
	e->used = true;
	if (e->size == UIDL_NO_SIZE || e->size == m->octets)
		return;
	if (d->sizes++ < d->limit)
		d->other[d->sizes - 1] = (struct other_size){e->uidl, m->octets, e->size};
}

static int compare(struct diff *d)
{
	uint32_t count = 0;
	int status = view_map(&d->view, true);

	for (uint32_t first = 1; status == PSTN_OK; first += count) {
		status = view_list(&d->view, first, d->rows, AT_ONCE, true, &count);
		if (status != PSTN_OK || count == 0)
			break;
		for (uint32_t i = 0; i < count; i++) {
			if (!d->rows[i].zombie)
				compare_one(d, &d->rows[i]);
		}
		d->store->host->call->progress(d->call, first + count - 1, d->view.messages,
					       "messages");
		if (d->store->host->call->cancelled(d->call))
			status = PSTN_E_CANCELLED;
	}
	for (size_t i = 0; i < d->list.count; i++)
		d->missing += !d->list.entries[i].used;
	return status;
}

/* ---- the answer ---- */

static void say_missing(struct diff *d)
{
	const struct pstn_call_ops *call = d->store->host->call;
	uint64_t told = 0;
	char number[32];

	call->open_array(d->call, "missing");
	for (size_t i = 0; i < d->list.count && told < d->limit; i++) {
		const struct uidl_entry *e = &d->list.entries[i];

		if (e->used)
			continue;
		snprintf(number, sizeof(number), "uid %" PRIu32, e->uid);
		call->text(d->call, NULL, e->uidl ? e->uidl : e->name ? e->name : number);
		told++;
	}
	call->close(d->call);
}

static void say_others(struct diff *d)
{
	const struct pstn_call_ops *call = d->store->host->call;

	call->open_array(d->call, "only_here");
	for (uint64_t i = 0; i < d->only_here && i < d->limit; i++)
		call->text(d->call, NULL, d->here[i]);
	call->close(d->call);
	call->open_array(d->call, "other_sizes");
	for (uint64_t i = 0; i < d->sizes && i < d->limit; i++) {
		call->open_object(d->call, NULL);
		call->text(d->call, "uidl", d->other[i].uidl);
		call->integer(d->call, "here", (int64_t)d->other[i].here);
		call->integer(d->call, "there", (int64_t)d->other[i].there);
		call->close(d->call);
	}
	call->close(d->call);
}

static void verdict(const struct diff *d, char *out, size_t n)
{
	if (d->only_here)
		snprintf(out, n,
			 "Clients that leave mail on the server will download %" PRIu64
			 " messages that the listing does not have.%s",
			 d->only_here,
			 d->missing ? " As many as are missing here may be the same under new ids."
				    : "");
	else if (d->missing)
		snprintf(out, n,
			 "Clients will download nothing again, but %" PRIu64
			 " messages of the listing are missing here.",
			 d->missing);
	else
		snprintf(out, n, "Clients will download nothing again.");
}

static void answer(struct diff *d, const struct pstn_account *account, const char *folder)
{
	const struct pstn_call_ops *call = d->store->host->call;
	char text[256];

	verdict(d, text, sizeof(text));
	call->open_object(d->call, NULL);
	call->text(d->call, "account", account->name);
	call->text(d->call, "folder", folder);
	call->text(d->call, "listing", uidl_list_kind(&d->list));
	call->boolean(d->call, "same", d->only_here + d->missing + d->sizes == 0);
	call->text(d->call, "verdict", text);
	call->integer(d->call, "same_messages", (int64_t)d->same);
	call->integer(d->call, "missing_here", (int64_t)d->missing);
	call->integer(d->call, "only_here_messages", (int64_t)d->only_here);
	call->integer(d->call, "different_sizes", (int64_t)d->sizes);
	say_missing(d);
	say_others(d);
	call->close(d->call);
}

/* ---- the command ---- */

static bool take_arguments(struct diff *d)
{
	const struct pstn_call_ops *call = d->store->host->call;
	const char *limit = call->arg(d->call, "limit"), *fault = NULL;
	char *end = NULL;

	d->limit = LIMIT;
	if (limit)
		d->limit = strtoul(limit, &end, 10);
	if (limit && (*limit == '\0' || *limit == '-' || *end || d->limit > 1000000)) {
		call->fail(d->call, "--limit takes a number up to 1000000, not \"%s\".", limit);
		return false;
	}
	d->list.template = call->arg(d->call, "uidl-format");
	if (d->list.template)
		fault = uidl_template_fault(d->list.template);
	if (fault)
		call->fail(d->call, "The format \"%s\" of unique ids %s.", d->list.template, fault);
	return !fault;
}

static void run(struct diff *d, const struct pstn_account *account, const char *folder)
{
	int status;

	if (!take_arguments(d) || !read_listing(d))
		return;
	status = view_open(&d->view, d->store, account->id, folder);
	d->rows = store_alloc(d->store, AT_ONCE * sizeof(*d->rows));
	d->here = store_alloc(d->store, (d->limit + 1) * sizeof(*d->here));
	d->other = store_alloc(d->store, (d->limit + 1) * sizeof(*d->other));
	if (status == PSTN_OK && (!d->rows || !d->here || !d->other))
		status = PSTN_E_NO_MEMORY;
	if (status == PSTN_OK)
		status = compare(d);
	if (status == PSTN_OK)
		answer(d, account, folder);
	else
		d->store->host->call->fail(d->call, "The folder %s could not be compared: %s.",
					   folder, command_reason(status));
	view_close(&d->view);
}

void command_uidl_diff(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct diff *d = store_alloc(st, sizeof(*d));
	const char *folder = command_folder(st, c);
	struct pstn_account account;

	if (!d && folder)
		st->host->call->fail(c, "There is not enough memory.");
	if (d && folder && command_account(st, c, &account)) {
		d->store = d->view.store = st;
		d->call = c;
		d->list.alloc = take;
		d->list.free = give_back;
		d->list.arg = st;
		run(d, &account, folder);
		uidl_list_free(&d->list);
		store_free(st, d->rows);
		store_free(st, d->here);
		store_free(st, d->other);
	}
	store_free(st, d);
}
