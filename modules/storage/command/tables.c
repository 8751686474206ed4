/*
 * tables.c - commands that show what the store holds: mailbox list, mailbox show, storage status.
 */
#include "commands.h"

#include "format/bytes.h"
#include "gone.h"
#include "index/keywords.h"
#include "maildrop/view.h"
#include "open/facts.h"
#include "open/home.h"
#include "segment/sums.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define SHOW_LIMIT   100
#define SHOW_AT_ONCE 256

struct shown_keywords {
	struct keywords known; /* of the folder */
	struct keyword_list list;
};

struct listing {
	struct store *store;
	struct pstn_call *call;
	MDB_txn *txn;
	struct shown_keywords *keywords; /* of mailbox show */
};

/* ---- folders of an account ---- */

typedef void each_folder(struct listing *, const char *account, uint32_t id,
			 const struct folder_row *);

static int walk_folders(struct listing *l, uint64_t account, const char *name, each_folder *each)
{
	unsigned char key[KEY_FOLDER];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	int count = 0;

	key_folder(key, account, 0);
	if (mdb_cursor_open(l->txn, l->store->index.folders, &c) != 0)
		return 0;
	for (MDB_cursor_op op = MDB_SET_RANGE; mdb_cursor_get(c, &k, &v, op) == 0; op = MDB_NEXT) {
		struct folder_row row;

		if (k.mv_size != KEY_FOLDER || get64be(k.mv_data) != account)
			break;
		if (!folder_row_get(&row, k.mv_data, v.mv_data, v.mv_size) ||
		    row.flags & FOLDER_DELETED)
			continue;
		each(l, name, get32be((unsigned char *)k.mv_data + 8), &row);
		count++;
	}
	mdb_cursor_close(c);
	return count;
}

/* ---- mailbox list ---- */

static void list_row(struct listing *l, const char *account, const struct folder_row *f,
		     const char *note)
{
	const struct pstn_call_ops *call = l->store->host->call;

	call->open_object(l->call, NULL);
	call->text(l->call, "account", account);
	call->text(l->call, "folder", f->name);
	call->integer(l->call, "messages", (int64_t)f->messages);
	call->integer(l->call, "octets", (int64_t)f->octets);
	call->integer(l->call, "unseen", (int64_t)f->unseen);
	call->text(l->call, "note", note);
	call->close(l->call);
}

static void list_folder(struct listing *l, const char *account, uint32_t id,
			const struct folder_row *f)
{
	(void)id;
	list_row(l, account, f, "");
}

static void list_gone(struct listing *l, const char *account, uint32_t id,
		      const struct folder_row *f)
{
	(void)id;
	list_row(l, account, f, "the account is gone");
}

static bool list_gone_account(void *arg, uint64_t account, const struct account_row *row)
{
	walk_folders(arg, account, row->name, list_gone);
	return true;
}

static bool list_account(void *arg, const struct pstn_account *account)
{
	static const struct folder_row empty = {.name = "INBOX"};
	struct listing *l = arg;

	if (walk_folders(l, account->id, account->name, list_folder) == 0)
		list_row(l, account->name, &empty, "");
	return !l->store->host->call->cancelled(l->call);
}

void command_list(void *inst, struct pstn_call *c)
{
	struct listing l = {.store = inst, .call = c};
	const struct pstn_call_ops *call = l.store->host->call;
	int rc = index_read(&l.store->index, &l.txn);

	if (rc != 0) {
		call->fail(c, "The index cannot be read: %s.", index_error(rc));
		return;
	}
	call->open_array(c, NULL);
	l.store->directory->each(l.store->directory_inst, list_account, &l);
	(void)gone_each(l.store, l.txn, list_gone_account, &l);
	call->close(c);
	index_read_end(&l.store->index, l.txn);
}

/* ---- mailbox show ---- */

static void time_text(uint64_t seconds, char out[32])
{
	time_t when = (time_t)seconds;
	struct tm t;

	out[0] = '\0';
	if (gmtime_r(&when, &t))
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
}

/* Names with spaces between; a folder without keywords is not asked. */
static void show_keywords(struct listing *l, const struct view *v, uint32_t uid)
{
	struct index *ix = &l->store->index;
	struct message_row row = {.keywords = 0};
	struct keyword_list *names = &l->keywords->list;
	MDB_txn *txn;

	if (l->keywords->known.taken && index_read(ix, &txn) == 0) {
		index_message(ix, txn, v->account, v->folder, uid, &row);
		index_read_end(ix, txn);
	}
	keywords_list(&l->keywords->known, row.keywords, names);
	for (size_t i = 0; i < names->used; i++) {
		if (names->text[i] == '\n')
			names->text[i] = i + 1 < names->used ? ' ' : '\0';
	}
	l->store->host->call->text(l->call, "keywords", names->text);
}

static void show_message(struct listing *l, const struct view *v, const struct pstn_message *m)
{
	const struct pstn_call_ops *call = l->store->host->call;
	char flags[64], received[32];

	command_flags_text(m->flags, flags);
	time_text(m->received, received);
	call->open_object(l->call, NULL);
	call->integer(l->call, "number", m->number);
	call->integer(l->call, "uid", m->uid);
	call->text(l->call, "uidl", m->uidl);
	call->integer(l->call, "octets", (int64_t)m->octets);
	call->text(l->call, "received", received);
	call->text(l->call, "flags", flags);
	show_keywords(l, v, m->uid);
	call->close(l->call);
}

static int read_keywords(struct listing *l, const struct view *v)
{
	struct index *ix = &l->store->index;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = keywords_read(ix, txn, v->account, v->folder, &l->keywords->known);
	index_read_end(ix, txn);
	return index_status(rc);
}

static int show_messages(struct listing *l, struct view *v, uint32_t limit)
{
	struct store *st = l->store;
	struct pstn_message *rows = store_alloc(st, SHOW_AT_ONCE * sizeof(*rows));
	uint32_t count = 0;
	int status = PSTN_E_NO_MEMORY;

	l->keywords = store_alloc(st, sizeof(*l->keywords));
	if (rows && l->keywords)
		status = read_keywords(l, v);
	if (status == PSTN_OK)
		status = view_map(v, true);
	for (uint32_t first = 1; status == PSTN_OK && first <= limit; first += count) {
		uint32_t left = limit - first + 1;

		status = view_list(v, first, rows, left < SHOW_AT_ONCE ? left : SHOW_AT_ONCE, true,
				   &count);
		if (count == 0 || st->host->call->cancelled(l->call))
			break;
		for (uint32_t i = 0; i < count; i++)
			show_message(l, v, &rows[i]);
	}
	store_free(st, l->keywords);
	store_free(st, rows);
	return status;
}

static void show_folder(struct listing *l, const char *account, uint32_t id,
			const struct folder_row *f)
{
	const struct pstn_call_ops *call = l->store->host->call;

	(void)account;
	call->open_object(l->call, NULL);
	call->text(l->call, "folder", f->name);
	call->integer(l->call, "id", id);
	call->integer(l->call, "messages", (int64_t)f->messages);
	call->integer(l->call, "octets", (int64_t)f->octets);
	call->integer(l->call, "unseen", (int64_t)f->unseen);
	call->integer(l->call, "uidvalidity", f->uidvalidity);
	call->integer(l->call, "uidnext", f->uidnext);
	call->integer(l->call, "change", (int64_t)f->change);
	call->close(l->call);
}

static int show_folders(struct listing *l, uint64_t account)
{
	int rc = index_read(&l->store->index, &l->txn);

	if (rc != 0)
		return index_status(rc);
	l->store->host->call->open_array(l->call, "folders");
	walk_folders(l, account, "", show_folder);
	l->store->host->call->close(l->call);
	index_read_end(&l->store->index, l->txn);
	return PSTN_OK;
}

void command_show(void *inst, struct pstn_call *c)
{
	struct listing l = {.store = inst, .call = c};
	const struct pstn_call_ops *call = l.store->host->call;
	const char *folder = command_folder(l.store, c);
	struct pstn_account account;
	struct view v;
	uint32_t limit;
	int status;

	if (!folder || !command_limit(l.store, c, SHOW_LIMIT, &limit) ||
	    !command_account(l.store, c, &account))
		return;
	status = view_open(&v, l.store, account.id, folder);
	if (status != PSTN_OK) {
		call->fail(c, "%s of %s cannot be shown: %s.", folder, account.name,
			   command_reason(status));
		view_close(&v);
		return;
	}
	call->open_object(c, NULL);
	call->text(c, "account", account.name);
	call->text(c, "folder", folder);
	call->integer(c, "messages", v.messages);
	call->integer(c, "octets", (int64_t)v.octets);
	status = show_folders(&l, account.id);
	call->open_array(c, "list");
	if (status == PSTN_OK)
		status = show_messages(&l, &v, limit);
	call->close(c);
	call->close(c);
	view_close(&v);
	if (status != PSTN_OK)
		call->fail(c, "%s of %s cannot be shown: %s.", folder, account.name,
			   command_reason(status));
}

/* ---- storage status ---- */

static void answer_status(struct listing *l, const struct sums *s)
{
	struct store *st = l->store;
	const struct pstn_call_ops *call = st->host->call;
	struct pstn_call *c = l->call;
	struct stat index = {0};
	struct statvfs fs = {0};

	fstat(st->checkpoint.data, &index);
	fstatvfs(st->segment_dir, &fs);
	call->open_object(c, NULL);
	call->text(c, "path", st->path);
	call->integer(c, "format", STORE_FORMAT);
	call->text(c, "durability", durability_names[st->options.durability]);
	call->text(c, "durability_means", durability_meaning(st->options.durability));
	call->boolean(c, "writable", !st->commit.broken && st->log.fd >= 0);
	call->integer(c, "folders", (int64_t)s->folders);
	call->integer(c, "messages", (int64_t)s->messages);
	call->integer(c, "message_octets", (int64_t)s->message_octets);
	call->integer(c, "expunged_messages", (int64_t)s->tombstones);
	call->integer(c, "expunged_octets", (int64_t)s->tombstone_octets);
	call->integer(c, "segments", (int64_t)s->segments);
	call->integer(c, "segment_octets", (int64_t)s->octets);
	call->integer(c, "segment_octets_live", (int64_t)s->live);
	call->integer(c, "segment_octets_dead", (int64_t)s->dead);
	compact_status(st, c);
	call->integer(c, "index_octets", (int64_t)index.st_blocks * 512);
	call->integer(c, "disk_octets_free", (int64_t)(fs.f_bavail * fs.f_frsize));
	call->integer(c, "records_recovered_at_start", (int64_t)st->recovered_records);
	call->boolean(c, "index_rebuilt_at_start", st->rebuilt);
	scrub_answer(st, c);
	call->close(c);
}

void command_status(void *inst, struct pstn_call *c)
{
	struct listing l = {.store = inst, .call = c};
	struct sums sums = {0};
	int rc = index_read(&l.store->index, &l.txn);

	if (rc != 0) {
		l.store->host->call->fail(c, "The index cannot be read: %s.", index_error(rc));
		return;
	}
	sums_make(l.store, l.txn, &sums);
	index_read_end(&l.store->index, l.txn);
	answer_status(&l, &sums);
}

/* ---- storage rebuild-index ---- */

void command_rebuild(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	const struct pstn_call_ops *call = st->host->call;
	int rc = home_ask_rebuild(st);

	if (rc != 0) {
		call->fail(c, "%s/index/rebuild cannot be written: %s.", st->path, index_error(rc));
		return;
	}
	facts_rebuild_asked(st);
	call->open_object(c, NULL);
	call->text(c, "path", st->path);
	call->text(c, "index",
		   call->start_again(c)
		       ? "made anew from the segments"
		       : "will be made anew from the segments at the next start of the server "
			 "(a reload is not enough: the old generation uses the index)");
	call->close(c);
}
