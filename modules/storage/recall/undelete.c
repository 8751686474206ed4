/*
 * undelete.c - mailbox undelete: expunged messages of a folder come back, all of them, those since
 * a moment, or those with certain unique ids.
 *
 * A message that was brought back and deleted again has several tombstones; the latest counts.
 */
#include "burials.h"
#include "command/folder_rows.h"
#include "recall.h"
#include "store.h"
#include "when.h"

#include <errno.h>
#include <string.h>

#define SHOWN 100

struct wanted { /* a unique id that was asked for */
	const char *uidl;
	bool found;
};

struct undelete {
	struct recall recall;
	struct folder_rows rows;
	struct burials named; /* tombstones whose unique ids were brought along */
	uint64_t since;
	char *uidls; /* what wanted points into; NULL: whichever */
	struct wanted *wanted;
	size_t nwanted;
	uint32_t shown, limit; /* of a dry run */
};

/* ---- what is asked for ---- */

/* Unique ids have no spaces in them, but commas. */
static bool split_uidls(struct undelete *u, const char *text)
{
	size_t n = strlen(text) + 1;
	char *rest;

	u->uidls = store_alloc(u->recall.store, n);
	u->wanted = store_alloc(u->recall.store, (n / 2 + 1) * sizeof(*u->wanted));
	if (!u->uidls || !u->wanted)
		return false;
	memcpy(u->uidls, text, n);
	for (char *id = strtok_r(u->uidls, " ", &rest); id; id = strtok_r(NULL, " ", &rest))
		u->wanted[u->nwanted++].uidl = id;
	return true;
}

static bool is_wanted(struct undelete *u, const struct message_row *row)
{
	bool wanted = !u->uidls;

	for (size_t i = 0; i < u->nwanted; i++) {
		if (strcmp(u->wanted[i].uidl, row->uidl) == 0)
			u->wanted[i].found = wanted = true;
	}
	return wanted && row->expunged_at >= u->since;
}

/* ---- one folder ---- */

static int note_named(struct undelete *u, uint32_t uid, const struct message_row *row)
{
	return row->state & MESSAGE_NAMED ? burials_add(&u->named, row->uidl, uid) : 0;
}

static int note_all_named(struct undelete *u)
{
	const struct message_row *row;
	uint32_t uid;
	int rc;

	while ((row = folder_rows_peek(&u->rows, &uid, &rc))) {
		rc = note_named(u, uid, row);
		if (rc != 0)
			break;
		folder_rows_skip(&u->rows);
	}
	return rc;
}

static void show(struct undelete *u, uint32_t uid, const struct message_row *row)
{
	struct recall *r = &u->recall;
	const struct pstn_call_ops *call = r->store->host->call;
	char flags[64], when[WHEN_TEXT];

	if (u->shown++ >= u->limit)
		return;
	call->open_object(r->call, NULL);
	call->text(r->call, "folder", r->folder->name);
	call->integer(r->call, "uid", uid);
	call->text(r->call, "uidl", row->uidl);
	call->integer(r->call, "octets", (int64_t)row->octets);
	when_text(row->stored, when);
	call->text(r->call, "delivered", when);
	when_text(row->expunged_at, when);
	call->text(r->call, "expunged", when);
	command_flags_text(row->flags, flags);
	call->text(r->call, "flags", flags);
	call->close(r->call);
}

static bool undelete_one(struct undelete *u, uint32_t uid, const struct message_row *row)
{
	struct recall *r = &u->recall;
	uint64_t before = r->folder->restored;
	uint32_t latest;
	int rc;

	if (folder_rows_damaged(&u->rows)) {
		if (!u->uidls)
			recall_lose(r, uid, row, PSTN_E_DAMAGED);
		return true;
	}
	if (!is_wanted(u, row))
		return true;
	rc = burials_find(&u->named, row->uidl, &latest);
	if (rc != 0) {
		r->status = index_status(rc);
		return false;
	}
	if (latest > uid)
		return true;
	if (!recall_message(r, uid, row, row->flags, row->keywords))
		return false;
	if (r->dry_run && r->folder->restored > before)
		show(u, uid, row);
	return true;
}

static void begin_rows(struct undelete *u)
{
	struct recall *r = &u->recall;

	folder_rows_begin(&u->rows, r->store, r->store->index.tombstones, r->account.id,
			  r->folder->id, 1);
}

static void undelete_folder(struct undelete *u, struct recall_folder *f)
{
	struct recall *r = &u->recall;
	const struct message_row *row;
	uint32_t uid;
	int rc;

	recall_begin_folder(r, f);
	if (r->status != PSTN_OK)
		return;
	burials_begin(&u->named, r->store, r->account.id, f->id);
	begin_rows(u);
	rc = note_all_named(u);
	begin_rows(u);
	while (rc == 0 && (row = folder_rows_peek(&u->rows, &uid, &rc)) &&
	       undelete_one(u, uid, row) && recall_step(r))
		folder_rows_skip(&u->rows);
	if (rc != 0)
		r->status = index_status(rc);
	burials_free(&u->named);
	recall_end_folder(r);
}

/* ---- the command ---- */

static void answer_not_found(struct undelete *u)
{
	const struct pstn_call_ops *call = u->recall.store->host->call;

	call->open_array(u->recall.call, "not_found");
	for (size_t i = 0; i < u->nwanted; i++) {
		if (u->wanted[i].found)
			continue;
		call->open_object(u->recall.call, NULL);
		call->text(u->recall.call, "uidl", u->wanted[i].uidl);
		call->close(u->recall.call);
	}
	call->close(u->recall.call);
}

static bool all_found(const struct undelete *u)
{
	for (size_t i = 0; i < u->nwanted; i++) {
		if (!u->wanted[i].found)
			return false;
	}
	return true;
}

static void undelete_all(struct undelete *u)
{
	struct recall *r = &u->recall;
	const struct pstn_call_ops *call = r->store->host->call;

	call->open_object(r->call, NULL);
	call->text(r->call, "account", r->account.name);
	call->boolean(r->call, "dry_run", r->dry_run);
	if (r->dry_run)
		call->open_array(r->call, "messages");
	for (uint32_t i = 0; r->status == PSTN_OK && i < r->nfolders; i++)
		undelete_folder(u, &r->folders[i]);
	if (r->dry_run)
		call->close(r->call);
	if (r->status != PSTN_OK || r->unreadable) {
		recall_fail(r);
		return;
	}
	if (!all_found(u))
		answer_not_found(u);
	recall_answer(r);
	call->close(r->call);
}

static int prepare(struct undelete *u)
{
	struct recall *r = &u->recall;
	const struct pstn_call_ops *call = r->store->host->call;
	const char *uidls = call->arg(r->call, "uidl"), *folder = command_folder(r->store, r->call);
	bool all = call->arg(r->call, "all-folders") != NULL;
	int status;

	if (!folder || !command_moment(r->store, r->call, "since", &u->since) ||
	    !command_limit(r->store, r->call, SHOWN, &u->limit))
		return PSTN_E_INVALID;
	if (all && call->arg(r->call, "folder")) {
		call->fail(r->call, "--folder and --all-folders exclude each other.");
		return PSTN_E_INVALID;
	}
	status = recall_find_folders(r, all ? NULL : folder);
	if (status == PSTN_OK && uidls && !split_uidls(u, uidls))
		status = PSTN_E_NO_MEMORY;
	if (status != PSTN_OK)
		call->fail(r->call, "%s of %s cannot be looked through: %s.", folder,
			   r->account.name, command_reason(status));
	return status;
}

void command_undelete(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct undelete *u = store_alloc(st, sizeof(*u));

	if (!u) {
		st->host->call->fail(c, "There is not enough memory.");
		return;
	}
	if (recall_begin(&u->recall, st, c, "undelete") && prepare(u) == PSTN_OK)
		undelete_all(u);
	recall_end(&u->recall);
	store_free(st, u->uidls);
	store_free(st, u->wanted);
	store_free(st, u);
}
