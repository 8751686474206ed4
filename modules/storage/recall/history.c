/*
 * history.c - mailbox history: what came, was read, was deleted, when, and by which session.
 */
#include "history_events.h"
#include "recall.h"
#include "segment/fetch.h"
#include "store.h"
#include "when.h"

#include <postern/maildrop.h>

#include <stdio.h>
#include <string.h>

#define SHOWN      100
#define SHOWN_MAX  100000
#define FLAGS_TEXT 160

struct telling {
	struct recall recall; /* its account and folders */
	struct history history;
};

struct told { /* what is known of an event */
	struct message_row message;
	struct change_row change;
	char origin[ORIGIN_MAX + 1];
	bool known; /* the message has not been given up by compaction yet */
};

/* ---- one event ---- */

static int look_up(struct telling *t, const struct event *e, struct told *told)
{
	struct index *ix = &t->recall.store->index;
	uint64_t account = t->recall.account.id;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return rc;
	rc = index_message(ix, txn, account, e->folder, e->uid, &told->message);
	if (rc == MDB_NOTFOUND)
		rc = index_tombstone(ix, txn, account, e->folder, e->uid, &told->message);
	told->known = rc == 0;
	if (rc == MDB_CORRUPTED) {
		told->message = (struct message_row){.state = 0};
		snprintf(told->message.uidl, sizeof(told->message.uidl), "damaged-%u", e->uid);
	}
	if (rc == MDB_NOTFOUND || rc == MDB_CORRUPTED)
		rc = 0;
	if (rc == 0 && e->kind != EVENT_DELIVERED)
		rc = index_change(ix, txn, account, e->folder, e->change, e->first, &told->change);
	index_read_end(ix, txn);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Who delivered a message stands in its record alone. */
static void find_origin(struct telling *t, const struct event *e, struct told *told)
{
	struct fetch_key key = {t->recall.account.id, e->folder, e->uid};
	struct record r;

	if (e->kind != EVENT_DELIVERED)
		memcpy(told->origin, told->change.origin, sizeof(told->origin));
	else if (told->known && fetch_head(t->recall.store, &key, &told->message, &r) == PSTN_OK)
		memcpy(told->origin, r.origin, sizeof(told->origin));
}

/* A unique id of this store's own making that was brought along has been here before. */
static const char *name_of(const struct event *e, const struct told *told)
{
	if (e->kind == EVENT_FLAGS)
		return "flags";
	if (e->kind == EVENT_EXPUNGED)
		return "expunged";
	if (told->message.state & MESSAGE_NAMED &&
	    (told->message.serial || strstr(told->origin, " restore") ||
	     strstr(told->origin, " undelete")))
		return "restored";
	return "delivered";
}

static void flags_of(const struct event *e, const struct told *told, char out[FLAGS_TEXT])
{
	char set[64], cleared[64];

	out[0] = '\0';
	if (e->kind != EVENT_FLAGS)
		return;
	command_flags_text(told->change.after & ~told->change.before, set);
	command_flags_text(told->change.before & ~told->change.after, cleared);
	snprintf(out, FLAGS_TEXT, "%s%s%s%s", set, *set && *cleared ? ", " : "",
		 *cleared ? "not " : "", cleared);
}

static const char *folder_of(const struct telling *t, const struct event *e)
{
	for (uint32_t i = 0; i < t->recall.nfolders; i++) {
		if (t->recall.folders[i].id == e->folder)
			return t->recall.folders[i].name;
	}
	return "";
}

static void tell(struct telling *t, const struct event *e, const struct told *told)
{
	const struct pstn_call_ops *call = t->recall.store->host->call;
	struct pstn_call *c = t->recall.call;
	char when[WHEN_TEXT], flags[FLAGS_TEXT];

	when_text(e->time, when);
	flags_of(e, told, flags);
	call->open_object(c, NULL);
	call->text(c, "time", when);
	call->text(c, "folder", folder_of(t, e));
	call->text(c, "event", name_of(e, told));
	call->text(c, "flags", flags);
	call->integer(c, "uid", e->uid);
	call->text(c, "uidl", told->message.uidl);
	call->integer(c, "octets", (int64_t)told->message.octets);
	call->text(c, "unique_id",
		   told->message.state & MESSAGE_NAMED ? "brought along" : "assigned");
	call->text(c, "session", told->origin);
	call->close(c);
}

/* ---- all of them ---- */

static int tell_all(struct telling *t)
{
	const struct pstn_call_ops *call = t->recall.store->host->call;
	int rc = 0;

	call->open_array(t->recall.call, NULL);
	for (uint32_t i = t->history.count; rc == 0 && i > 0; i--) {
		const struct event *e = &t->history.events[i - 1];
		struct told told = {0};

		rc = look_up(t, e, &told);
		if (rc == 0) {
			find_origin(t, e, &told);
			tell(t, e, &told);
		}
		if (call->cancelled(t->recall.call))
			return PSTN_E_CANCELLED;
	}
	call->close(t->recall.call);
	return index_status(rc);
}

static int gather(struct telling *t, uint32_t limit)
{
	struct recall *r = &t->recall;
	int status = history_begin(&t->history, r->store, r->account.id, limit);

	t->history.uidl = r->store->host->call->arg(r->call, "uidl");
	if (!command_moment(r->store, r->call, "since", &t->history.since))
		return PSTN_E_INVALID;
	for (uint32_t i = 0; status == PSTN_OK && i < r->nfolders; i++)
		status = history_add(&t->history, r->folders[i].id);
	return status;
}

static void history(struct telling *t)
{
	struct recall *r = &t->recall;
	const struct pstn_call_ops *call = r->store->host->call;
	const char *folder = call->arg(r->call, "folder");
	uint32_t limit;
	int status;

	if (!command_limit(r->store, r->call, SHOWN, &limit) ||
	    (folder && !command_folder(r->store, r->call)))
		return;
	if (limit == 0 || limit > SHOWN_MAX) {
		call->fail(r->call, "--limit can be 1 to %d; --since and --uidl narrow it down.",
			   SHOWN_MAX);
		return;
	}
	status = recall_find_folders(r, folder);
	if (status == PSTN_OK)
		status = gather(t, limit);
	if (status == PSTN_OK)
		status = tell_all(t);
	if (status == PSTN_OK && t->history.damaged)
		call->note(r->call,
			   "When %u messages came cannot be told: their rows in the index are "
			   "damaged; the log says which. `storage repair` looks for their records.",
			   t->history.damaged);
	if (status != PSTN_OK && status != PSTN_E_INVALID)
		call->fail(r->call, "The history of %s cannot be told: %s.", r->account.name,
			   command_reason(status));
}

void command_history(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct telling *t = store_alloc(st, sizeof(*t));

	if (!t) {
		st->host->call->fail(c, "There is not enough memory.");
		return;
	}
	if (recall_begin(&t->recall, st, c, "history"))
		history(t);
	history_free(&t->history);
	recall_end(&t->recall);
	store_free(st, t);
}
