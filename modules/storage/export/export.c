/*
 * export.c - mailbox export: an account's folders to a Maildir++ or to mbox files. What mailbox import
 * makes of them again is the same in text, flags, keywords, dates, folders and unique ids.
 */
#include "export.h"
#include "command/commands.h"
#include "format/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK ".postern-export"

/* ---- the directory ---- */

static void mark_text(const struct export *ex, bool mbox, char out[512])
{
	snprintf(out, 512, "postern export 1\naccount %s\nformat %s\n", ex->account.name,
		 mbox ? "mbox" : "maildir");
}

static bool is_empty(struct export *ex)
{
	int fd = ex->store->host->call->file(ex->call, "directory", "", PSTN_FILE_READ);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool empty = true;
	struct dirent *e;

	if (!dir) {
		export_fail(ex, "The directory cannot be read: %s.", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (empty && (e = readdir(dir)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

/* An empty directory, or one that an export of the same account has begun to fill. */
static bool take_directory(struct export *ex, bool mbox)
{
	char mark[512], there[512];
	int fd = ex->store->host->call->file(ex->call, "directory", MARK, PSTN_FILE_READ);
	ssize_t n;

	mark_text(ex, mbox, mark);
	if (fd >= 0) {
		n = read(fd, there, sizeof(there));
		close(fd);
		if (n == (ssize_t)strlen(mark) && memcmp(there, mark, (size_t)n) == 0)
			return true;
		if (n < 0 || n > (ssize_t)strlen(mark) || memcmp(there, mark, (size_t)n) != 0) {
			export_fail(ex, "The directory has an export of another account or format; "
					"choose an empty one.");
			return false;
		}
		/* Its begin: for more there was no space, and nothing else has been written yet. */
	} else if (!is_empty(ex)) {
		export_fail(ex, "The directory is not empty, and no export of this account; choose "
				"an empty one.");
		return false;
	}
	return export_create(ex, MARK) && export_write(ex, mark, strlen(mark)) &&
	       export_close(ex, 0);
}

/* ---- folders ---- */

struct folders {
	char (*names)[FOLDER_NAME_MAX + 1];
	size_t used, room;
};

static bool add_folder(struct export *ex, struct folders *fs, const struct folder_row *row)
{
	char(*larger)[FOLDER_NAME_MAX + 1];

	if (fs->used == fs->room) {
		size_t room = fs->room ? fs->room * 2 : 32;

		larger = store_alloc(ex->store, room * sizeof(*larger));
		if (!larger)
			return false;
		if (fs->used)
			memcpy(larger, fs->names, fs->used * sizeof(*larger));
		store_free(ex->store, fs->names);
		fs->names = larger;
		fs->room = room;
	}
	memcpy(fs->names[fs->used++], row->name, sizeof(row->name));
	ex->total += row->messages;
	return true;
}

static int gather(struct export *ex, struct folders *fs, MDB_txn *txn)
{
	unsigned char key[KEY_FOLDER];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ex->store->index.folders, &c);

	if (rc != 0)
		return rc;
	key_folder(key, ex->account.id, 0);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_FOLDER && get64be(k.mv_data) == ex->account.id) {
		struct folder_row row;

		if (!folder_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			rc = MDB_CORRUPTED;
		else if (!(row.flags & FOLDER_DELETED) && !add_folder(ex, fs, &row))
			rc = ENOMEM;
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void find_folders(struct export *ex, struct folders *fs)
{
	MDB_txn *txn;
	int rc = index_read(&ex->store->index, &txn);

	if (rc == 0) {
		rc = gather(ex, fs, txn);
		index_read_end(&ex->store->index, txn);
	}
	ex->status = index_status(rc);
}

static uint32_t uidvalidity_of(struct export *ex)
{
	struct folder_row row = {.uidvalidity = 1};
	MDB_txn *txn;

	if (index_read(&ex->store->index, &txn) != 0)
		return 1;
	index_folder(&ex->store->index, txn, ex->view.account, ex->view.folder, &row);
	index_read_end(&ex->store->index, txn);
	return row.uidvalidity;
}

static void export_folder(struct export *ex, const char *folder, bool mbox)
{
	ex->status = view_open(&ex->view, ex->store, ex->account.id, folder);
	if (ex->status == PSTN_E_NOT_FOUND)
		export_fail(ex, "There is no folder \"%s\".", folder);
	if (ex->status != PSTN_OK)
		return;
	ex->uidvalidity = uidvalidity_of(ex);
	ex->status = export_keywords_read(ex);
	if (ex->status != PSTN_OK) {
		view_close(&ex->view);
		return;
	}
	if (mbox)
		export_mbox(ex, folder);
	else
		export_maildir(ex, folder);
	view_close(&ex->view);
	ex->folders++;
}

/* ---- the command ---- */

/* The rest is out, but whoever asked has to know that it is not all. */
static void fail_for_unreadable(struct export *ex, bool mbox)
{
	ex->store->host->call->fail_as(
	    ex->call, PSTN_E_TEMPORARY,
	    "The export left out %llu messages that the disk does not give (%s); %llu were "
	    "exported, %llu were there already, %llu are damaged. Run it again to try those once "
	    "more%s.",
	    (unsigned long long)ex->unreadable, command_reason(PSTN_E_TEMPORARY),
	    (unsigned long long)ex->exported, (unsigned long long)ex->skipped,
	    (unsigned long long)ex->damaged,
	    mbox ? ", without the mbox files that are to be written anew" : "");
}

static void answer(struct export *ex, bool mbox)
{
	const struct pstn_call_ops *call = ex->store->host->call;

	if (ex->status != PSTN_OK) {
		call->fail(ex->call,
			   "The export stopped after %llu messages (%llu were there already): %s%s "
			   "Run it again to go on.",
			   (unsigned long long)ex->exported, (unsigned long long)ex->skipped,
			   *ex->fault ? ex->fault : command_reason(ex->status),
			   *ex->fault ? "" : ".");
		return;
	}
	if (ex->unreadable) {
		fail_for_unreadable(ex, mbox);
		return;
	}
	if (ex->undated)
		call->note(ex->call, "The files' times could not be set, since they are not the "
				     "server's; their names have the dates.");
	if (ex->beyond_letters)
		call->note(ex->call,
			   "%llu messages have keywords beyond the 26 that file names have letters "
			   "for; those stand in courierimapkeywords alone.",
			   (unsigned long long)ex->beyond_letters);
	call->open_object(ex->call, NULL);
	call->text(ex->call, "account", ex->account.name);
	call->integer(ex->call, "folders", (int64_t)ex->folders);
	call->integer(ex->call, "exported", (int64_t)ex->exported);
	call->integer(ex->call, "octets", (int64_t)ex->octets);
	call->integer(ex->call, "with_keywords", (int64_t)ex->with_keywords);
	call->integer(ex->call, "skipped", (int64_t)ex->skipped);
	call->integer(ex->call, "damaged", (int64_t)ex->damaged);
	call->close(ex->call);
}

static void export_all(struct export *ex, const char *wanted, bool mbox)
{
	struct folders fs = {.names = NULL};

	if (!take_directory(ex, mbox))
		return;
	if (wanted) {
		export_folder(ex, wanted, mbox);
		return;
	}
	find_folders(ex, &fs);
	for (size_t i = 0; i < fs.used && ex->status == PSTN_OK; i++)
		export_folder(ex, fs.names[i], mbox);
	store_free(ex->store, fs.names);
}

/* "maildir" (also if it is not given) or "mbox". */
static bool take_format(struct store *st, struct pstn_call *c, bool *mbox)
{
	const char *format = st->host->call->arg(c, "format");

	*mbox = format && strcmp(format, "mbox") == 0;
	if (!format || *mbox || strcmp(format, "maildir") == 0)
		return true;
	st->host->call->fail(c, "There is no format \"%s\"; maildir and mbox are.", format);
	return false;
}

void command_export(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	const char *folder = command_folder(st, c);
	struct export *ex = store_alloc(st, sizeof(*ex));
	bool mbox;

	if (!ex && folder)
		st->host->call->fail(c, "There is not enough memory.");
	if (!ex || !folder || !take_format(st, c, &mbox)) {
		store_free(st, ex);
		return;
	}
	ex->store = st;
	ex->call = c;
	ex->file.fd = -1;
	ex->piece = store_alloc(st, EXPORT_PIECE);
	ex->text = store_alloc(st, EXPORT_PIECE + 1);
	ex->buffer = store_alloc(st, EXPORT_PIECE);
	if (command_account(st, c, &ex->account)) {
		ex->status = ex->piece && ex->text && ex->buffer ? PSTN_OK : PSTN_E_NO_MEMORY;
		if (ex->status == PSTN_OK)
			export_all(ex, st->host->call->arg(c, "folder"), mbox);
		answer(ex, mbox);
	}
	store_free(st, ex->piece);
	store_free(st, ex->text);
	store_free(st, ex->buffer);
	store_free(st, ex);
}
