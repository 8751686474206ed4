/*
 * restore.c - mailbox restore: a mailbox as it stood at a moment, in its place or in another
 * account.
 *
 * In place, what was there and is gone comes back, and what came later stays, unless the mailbox
 * has to be exactly as it was (restore_exact.c). Into another account goes all that was there.
 */
#include "restore.h"

#include "open/maintenance.h"
#include "store.h"
#include "when.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- one folder ---- */

/* Whether it was there at the moment cannot be told. */
static bool leave_damaged(struct restore *s, uint32_t uid, const struct message_row *row, bool live)
{
	if (live && !s->elsewhere && !s->exact)
		s->recall.folder->kept++;
	else
		recall_lose(&s->recall, uid, row, PSTN_E_DAMAGED);
	return true;
}

static bool bring(struct restore *s, uint32_t uid, const struct message_row *row)
{
	uint32_t flags;
	uint64_t keywords;

	if (!past_held(&s->past, row))
		return true;
	if (!s->elsewhere && !row->expunged_change) {
		s->recall.folder->kept++;
		return true;
	}
	past_flags_of(&s->past, uid, row, &flags, &keywords);
	return recall_message(&s->recall, uid, row, flags, keywords);
}

/* What is there and what was expunged, in the order in which it came. */
static int bring_all(struct restore *s)
{
	int rc = 0;

	for (;;) {
		uint32_t live_uid = UINT32_MAX, dead_uid = UINT32_MAX;
		const struct message_row *live = NULL, *dead;
		bool go;

		dead = folder_rows_peek(&s->dead, &dead_uid, &rc);
		if (rc == 0)
			live = folder_rows_peek(&s->live, &live_uid, &rc);
		if (rc != 0 || (!dead && !live))
			return rc;
		if (live_uid < dead_uid) {
			go = folder_rows_damaged(&s->live) ? leave_damaged(s, live_uid, live, true)
							   : bring(s, live_uid, live);
			folder_rows_skip(&s->live);
		} else {
			go = folder_rows_damaged(&s->dead) ? leave_damaged(s, dead_uid, dead, false)
							   : bring(s, dead_uid, dead);
			folder_rows_skip(&s->dead);
		}
		if (!go || !recall_step(&s->recall))
			return 0;
	}
}

static void restore_folder(struct restore *s, struct recall_folder *f)
{
	struct recall *r = &s->recall;
	struct index *ix = &r->store->index;
	int rc;

	recall_begin_folder(r, f);
	if (r->status == PSTN_OK && s->exact)
		r->status = restore_exact_begin(s);
	if (r->status == PSTN_OK)
		r->status = past_fill(&s->past, r->store, r->account.id, f->id, s->moment);
	if (r->status == PSTN_OK) {
		folder_rows_begin(&s->dead, r->store, ix->tombstones, r->account.id, f->id, 1);
		folder_rows_begin(&s->live, r->store, ix->messages, r->account.id, f->id, 1);
		rc = bring_all(s);
		if (rc != 0)
			r->status = index_status(rc);
		recall_end_folder(r);
	}
	/* What came later goes when all that was there is. */
	if (r->status == PSTN_OK && s->exact && !r->unreadable)
		restore_exact(s);
	restore_exact_end(s);
	past_free(&s->past);
}

/* ---- whether the moment can be told ---- */

static bool judge_folder(struct restore *s, const struct recall_folder *f)
{
	struct recall *r = &s->recall;
	char text[WHEN_TEXT];
	uint64_t earliest;
	int status = past_earliest(r->store, r->account.id, f->id, &earliest);

	if (status != PSTN_OK)
		r->store->host->call->fail(r->call, "Folder %s of %s cannot be read: %s.", f->name,
					   r->account.name, command_reason(status));
	if (status != PSTN_OK || s->moment >= earliest)
		return status == PSTN_OK;
	when_text(earliest, text);
	r->store->host->call->fail(
	    r->call,
	    "What folder %s of %s held then is not known any more: some of it was deleted longer "
	    "ago than `retention` and has been given up. The earliest moment is %s; `mailbox "
	    "undelete %s` brings back all that is left.",
	    f->name, r->account.name, text, r->account.name);
	return false;
}

static bool judge_moment(struct restore *s)
{
	struct recall *r = &s->recall;
	const struct pstn_call_ops *call = r->store->host->call;
	char text[WHEN_TEXT];

	s->moment = UINT64_MAX;
	if (!command_moment(r->store, r->call, "at", &s->moment))
		return false;
	if (s->moment == UINT64_MAX) {
		call->fail(r->call, "Say which moment with --at: " WHEN_EXAMPLES ".");
		return false;
	}
	when_text(s->moment, text);
	if (s->moment > store_time()) {
		call->fail(r->call, "%s is still to come.", text);
		return false;
	}
	for (uint32_t i = 0; i < r->nfolders; i++) {
		if (!judge_folder(s, &r->folders[i]))
			return false;
	}
	return true;
}

/* ---- into another account ---- */

static bool find_target(struct restore *s)
{
	struct recall *r = &s->recall;
	const struct pstn_call_ops *call = r->store->host->call;
	const char *into = call->arg(r->call, "into");
	int status;

	if (!into)
		return true;
	s->elsewhere = true;
	status = r->store->directory->lookup(r->store->directory_inst, into, &r->target);
	command_over_quota(r->store, r->call, &r->target);
	if (status != PSTN_OK)
		call->fail(r->call,
			   "There is no account \"%s\" to restore into; `account add` makes "
			   "one.",
			   into);
	else if (r->target.id == r->account.id)
		call->fail(r->call,
			   "%s is the account itself; without --into it is restored in "
			   "place.",
			   into);
	else if (s->exact)
		call->fail(r->call, "--exact sets the mailbox itself back and does not go with "
				    "--into, which only adds.");
	return status == PSTN_OK && r->target.id != r->account.id && !s->exact;
}

/* ---- the command ---- */

static bool find_folders(struct restore *s)
{
	struct recall *r = &s->recall;
	const char *name = r->store->host->call->arg(r->call, "folder");
	int status;

	if (name && !command_folder(r->store, r->call))
		return false;
	status = recall_find_folders(r, name);
	if (status != PSTN_OK)
		r->store->host->call->fail(r->call, "%s of %s cannot be restored: %s.",
					   name ? name : "The mailbox", r->account.name,
					   command_reason(status));
	return status == PSTN_OK;
}

static void restore_all(struct restore *s)
{
	struct recall *r = &s->recall;
	const struct pstn_call_ops *call = r->store->host->call;
	char text[WHEN_TEXT];

	for (uint32_t i = 0; r->status == PSTN_OK && i < r->nfolders; i++)
		restore_folder(s, &r->folders[i]);
	if (r->status != PSTN_OK || r->unreadable) {
		recall_fail(r);
		return;
	}
	when_text(s->moment, text);
	call->open_object(r->call, NULL);
	call->text(r->call, "account", r->account.name);
	call->text(r->call, "into", r->target.name);
	call->text(r->call, "at", text);
	call->boolean(r->call, "dry_run", r->dry_run);
	recall_answer(r);
	call->close(r->call);
}

static bool gives_up(void *arg)
{
	const struct recall *r = arg;

	return r->store->host->call->cancelled(r->call);
}

/* What is set back exactly is told from what was there before by rows that must not go meanwhile. */
static void restore_undisturbed(struct restore *s)
{
	struct recall *r = &s->recall;
	bool alone = s->exact && !r->dry_run;

	if (alone && !maintenance_wait(r->store, r->call, gives_up, r)) {
		r->store->host->call->fail(r->call, "Nothing was restored: it was cancelled while "
						    "compaction or a backup was at work.");
		return;
	}
	restore_all(s);
	if (alone)
		maintenance_end(r->store);
}

void command_restore(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct restore *s = store_alloc(st, sizeof(*s));

	if (!s) {
		st->host->call->fail(c, "There is not enough memory.");
		return;
	}
	if (recall_begin(&s->recall, st, c, "restore")) {
		s->exact = st->host->call->arg(c, "exact") != NULL;
		s->recall.live_too = true;
		if (find_target(s) && find_folders(s) && judge_moment(s))
			restore_undisturbed(s);
	}
	recall_end(&s->recall);
	store_free(st, s);
}
