/*
 * backup_restore.c - backup restore: what a snapshot has and the store has not is delivered, with
 * its unique id, date and flags. Nothing that is there is touched, so it can be repeated.
 */
#include "backup_restore.h"

#include "command/commands.h"
#include "format/bytes.h"
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool restore_stopped(const struct restore *r)
{
	return r->status != PSTN_OK || r->backup.ops->cancelled(r->backup.call);
}

/* ---- one message ---- */

static void settled(void *arg, const struct pending *p, uint64_t tag)
{
	struct restore *r = arg;

	(void)tag;
	switch (p->status) {
	case PSTN_OK:
		r->restored++;
		r->octets += p->deliver.record.octets;
		r->keywords_left_out += (uint64_t)__builtin_popcountll(p->deliver.no_bit);
		break;
	case PSTN_E_EXISTS:
		r->present++;
		break;
	case PSTN_E_QUOTA:
		r->no_quota = true;
		r->refused_here++;
		break;
	default:
		if (r->status == PSTN_OK)
			r->status = p->status;
	}
}

static void tell_damaged(struct restore *r, const struct message_row *row)
{
	r->damaged++;
	r->backup.ops->note(r->backup.call,
			    "%s, %s: message %s is damaged in the backup and left out",
			    r->target.name, r->folder, row->uidl);
}

static void deliver(struct restore *r, const struct message_row *row)
{
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .flags = row->flags,
					  .received = row->received,
					  .expected = row->octets,
					  .account = &r->target,
					  .folder = r->folder,
					  .uidl = row->uidl};
	struct pstn_delivery *d;
	struct pending *p;
	int status = message_deliver(&r->reader, &q, row, &d);

	if (status == PSTN_E_DAMAGED) {
		tell_damaged(r, row);
		return;
	}
	if (status == PSTN_E_TOO_LARGE || status == PSTN_E_QUOTA || status == PSTN_E_INVALID) {
		r->no_quota = r->no_quota || status == PSTN_E_QUOTA;
		r->refused_here++;
		return;
	}
	if (status != PSTN_OK) {
		r->status = status;
		return;
	}
	keywords_list(&r->keywords, row->keywords, &r->names);
	r->status = delivery_keywords(d, r->names.text);
	p = r->status == PSTN_OK ? delivery_seal(d, &r->status) : NULL;
	if (!p) {
		delivery_free(d);
		return;
	}
	p->deliver.known_free = true;
	memcpy(p->origin, r->origin, sizeof(p->origin));
	if (bundle_add(&r->bundle, d, p, 0))
		bundle_commit(&r->bundle);
}

static void take_message(struct restore *r, const struct message_row *row)
{
	bool held = false;

	if (r->message && strcmp(row->uidl, r->message) != 0)
		return;
	r->seen++;
	r->backup.ops->progress(r->backup.call, r->seen, r->total, "messages");
	if (r->target.id) {
		int status = uidl_set_holds(&r->there, row->uidl, &held);

		if (status != PSTN_OK)
			r->status = status;
	}
	if (held) {
		r->present++;
	} else if (r->no_quota) {
		r->refused_here++;
	} else if (r->dry_run) {
		r->restored++;
		r->octets += row->octets;
	} else if (r->status == PSTN_OK) {
		deliver(r, row);
	}
}

/* ---- a folder, an account ---- */

static void take_messages(struct restore *r, uint64_t account, uint32_t folder)
{
	struct index *ix = &r->replay.index;
	unsigned char prefix[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(r->txn, ix->messages, &c);

	key_message(prefix, account, folder, 0);
	if (rc != 0) {
		r->status = index_status(rc);
		return;
	}
	for (MDB_cursor_op op = MDB_SET_RANGE;
	     !restore_stopped(r) && mdb_cursor_get(c, &k, &v, op) == 0; op = MDB_NEXT) {
		struct message_row row;

		if (k.mv_size != KEY_MESSAGE || memcmp(k.mv_data, prefix, KEY_FOLDER) != 0)
			break;
		if (message_row_get(&row, k.mv_data, ix->tag, v.mv_data, v.mv_size))
			take_message(r, &row);
		else
			r->status = PSTN_E_DAMAGED;
	}
	mdb_cursor_close(c);
	bundle_commit(&r->bundle);
}

/* One that is not here comes back also if it is empty. */
static int make_folder(struct restore *r, const char *name)
{
	int status = PSTN_OK;

	if (r->message || r->there.folder != 0)
		return PSTN_OK;
	if (r->target.id && !r->dry_run)
		status = delivery_folder(r->backup.store, &r->target, name);
	r->folders_added += status == PSTN_OK;
	return status;
}

static void take_folder(struct restore *r, uint64_t account, uint32_t folder, const char *name)
{
	int status = PSTN_OK;

	r->folder = name;
	if (r->target.id)
		status = uidl_set_fill(&r->there, r->backup.store, r->target.id, name);
	if (status == PSTN_OK)
		status = make_folder(r, name);
	if (status == PSTN_OK)
		status = index_status(
		    keywords_read(&r->replay.index, r->txn, account, folder, &r->keywords));
	if (status == PSTN_OK)
		take_messages(r, account, folder);
	else
		r->status = status;
	uidl_set_free(&r->there);
}

static void take_folders(struct restore *r, uint64_t account)
{
	struct index *ix = &r->replay.index;
	unsigned char key[KEY_FOLDER];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(r->txn, ix->folders, &c);

	key_folder(key, account, 0);
	if (rc != 0) {
		r->status = index_status(rc);
		return;
	}
	for (MDB_cursor_op op = MDB_SET_RANGE;
	     !restore_stopped(r) && mdb_cursor_get(c, &k, &v, op) == 0; op = MDB_NEXT) {
		struct folder_row row;

		if (k.mv_size != KEY_FOLDER || get64be(k.mv_data) != account)
			break;
		if (folder_row_get(&row, k.mv_data, v.mv_data, v.mv_size) &&
		    !(row.flags & FOLDER_DELETED))
			take_folder(r, account, get32be((unsigned char *)k.mv_data + 8), row.name);
	}
	mdb_cursor_close(c);
}

/* Where its mail goes; false: nowhere. */
static bool find_target(struct restore *r, const struct account_row *account)
{
	struct store *st = r->backup.store;
	const char *name = r->into ? r->into : account->name;
	int status;

	r->target = (struct pstn_account){.size = sizeof(r->target)};
	status = st->directory->lookup(st->directory_inst, name, &r->target);
	command_over_quota(st, r->backup.call, &r->target);
	if (status == PSTN_OK)
		return true;
	if (status == PSTN_E_NOT_FOUND && r->dry_run) {
		r->target = (struct pstn_account){.size = sizeof(r->target)};
		snprintf(r->target.name, sizeof(r->target.name), "%s", name);
		return true;
	}
	if (status != PSTN_E_NOT_FOUND && status != PSTN_E_INVALID)
		r->status = status;
	r->backup.ops->note(r->backup.call,
			    "%s: there is no such account; its %" PRIu64 " messages are left out",
			    name, account->messages);
	r->left_out += account->messages;
	return false;
}

static void take_account(struct restore *r, uint64_t id, const struct account_row *account)
{
	if (!find_target(r, account))
		return;
	r->no_quota = false;
	r->refused_here = 0;
	take_folders(r, id);
	r->refused += r->refused_here;
	if (r->refused_here)
		r->backup.ops->note(r->backup.call, "%s: %" PRIu64 " messages are left out: %s",
				    r->target.name, r->refused_here,
				    r->no_quota ? "its quota or its domain's is used up; raise it "
						  "and run the command again, or give --over-quota"
						: "they are larger than message_size_limit or "
						  "cannot be delivered there");
}

/* ---- the command ---- */

static bool read_options(struct restore *r)
{
	const struct pstn_call_ops *ops = r->backup.ops;
	struct pstn_call *c = r->backup.call;

	r->user = ops->arg(c, "user");
	r->into = ops->arg(c, "into");
	r->message = ops->arg(c, "message");
	r->dry_run = ops->arg(c, "dry-run") != NULL;
	command_origin(r->backup.store, c, "restore", r->origin);
	return restore_check_into(r);
}

static void restore_mail(struct restore *r)
{
	int rc = index_read(&r->replay.index, &r->txn);

	if (rc != 0) {
		r->status = index_status(rc);
		return;
	}
	if (message_reader_begin(&r->reader, &r->backup, &r->manifest) &&
	    restore_gather_owners(r)) {
		restore_each_account(r, take_account);
	} else if (r->status == PSTN_OK) {
		r->status = PSTN_E_NO_MEMORY;
	}
	message_reader_end(&r->reader);
	store_free(r->backup.store, r->owners);
	index_read_end(&r->replay.index, r->txn);
}

static void answer(const struct restore *r)
{
	const struct pstn_call_ops *ops = r->backup.ops;
	struct pstn_call *c = r->backup.call;

	if (r->status != PSTN_OK || ops->cancelled(c)) {
		ops->fail(c,
			  "The restore stopped after %" PRIu64 " messages (%" PRIu64
			  " were there already): %s. Run it again to go on; nothing is restored "
			  "twice.",
			  r->restored, r->present,
			  command_reason(r->status == PSTN_OK ? PSTN_E_CANCELLED : r->status));
		return;
	}
	if ((r->message && r->seen == 0) || (r->user && r->wanted == 0)) {
		ops->fail(c, "Snapshot %s has no %s%s%s%s.", r->manifest.name,
			  r->message ? "message " : "mail", r->message ? r->message : "",
			  r->user ? " of " : "", r->user ? r->user : "");
		return;
	}
	if (r->refused || r->damaged || r->replay.damaged) {
		ops->fail(c,
			  "%" PRIu64 " messages were restored, %" PRIu64
			  " were there already; %" PRIu64 " were refused, %" PRIu64
			  " are damaged in the backup, and %" PRIu64
			  " places in it could not be read, as told above.",
			  r->restored, r->present, r->refused, r->damaged, r->replay.damaged);
		return;
	}
	ops->open_object(c, NULL);
	ops->text(c, "snapshot", r->manifest.name);
	ops->boolean(c, "dry_run", r->dry_run);
	ops->integer(c, "accounts_added", (int64_t)r->accounts_added);
	ops->integer(c, "folders_added", (int64_t)r->folders_added);
	ops->integer(c, "restored", (int64_t)r->restored);
	ops->integer(c, "octets", (int64_t)r->octets);
	ops->integer(c, "there_already", (int64_t)r->present);
	ops->integer(c, "left_out", (int64_t)r->left_out);
	ops->integer(c, "keywords_left_out", (int64_t)r->keywords_left_out);
	ops->close(c);
}

void command_backup_restore(void *inst, struct pstn_call *c)
{
	struct restore *r = store_alloc(inst, sizeof(*r));

	if (!r) {
		((struct store *)inst)->host->call->fail(c, "There is not enough memory.");
		return;
	}
	manifest_begin(&r->manifest, inst);
	r->replay.lock = -1;
	r->bundle = (struct bundle){.store = inst, .settled = settled, .arg = r};
	if (backup_begin(&r->backup, inst, c, BACKUP_READ)) {
		if (read_options(r) && backup_chosen_manifest(&r->backup, &r->manifest) &&
		    replay_begin(&r->replay, &r->backup, &r->manifest) &&
		    restore_prepare_accounts(r)) {
			restore_mail(r);
			answer(r);
		}
		replay_end(&r->replay, inst);
		manifest_clear(&r->manifest);
		backup_end(&r->backup);
	}
	store_free(inst, r);
}
