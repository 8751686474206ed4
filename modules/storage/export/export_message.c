/*
 * export_message.c - a message's text on its way out, and the files that take it: opened by
 * posternctl, written and synced here.
 */
#include "command/commands.h"
#include "export.h"
#include "format/unwire.h"
#include "segment/fetch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE 256

void export_fail(struct export *ex, const char *fmt, ...)
{
	va_list ap;

	if (ex->status != PSTN_OK)
		return;
	ex->status = PSTN_E_TEMPORARY;
	va_start(ap, fmt);
	vsnprintf(ex->fault, sizeof(ex->fault), fmt, ap);
	va_end(ap);
}

/* ---- files ---- */

bool export_create(struct export *ex, const char *path)
{
	const struct pstn_call_ops *call = ex->store->host->call;
	struct export_file *f = &ex->file;

	snprintf(f->path, sizeof(f->path), "%s", path);
	f->used = 0;
	f->fd = call->file(ex->call, "directory", path, PSTN_FILE_CREATE);
	/* One that an export left which was killed. */
	if (f->fd < 0 && errno == EEXIST && call->remove(ex->call, "directory", path) == 0)
		f->fd = call->file(ex->call, "directory", path, PSTN_FILE_CREATE);
	if (f->fd < 0)
		export_fail(ex, "%.300s cannot be made: %s.", path, strerror(errno));
	return f->fd >= 0;
}

static bool flush(struct export *ex)
{
	struct export_file *f = &ex->file;
	size_t done = 0;

	while (done < f->used) {
		ssize_t n = write(f->fd, ex->buffer + done, f->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			export_fail(ex, "%.300s cannot be written: %s.", f->path, strerror(errno));
			return false;
		}
		done += (size_t)n;
	}
	f->used = 0;
	return true;
}

bool export_write(struct export *ex, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t piece = EXPORT_PIECE - ex->file.used;

		if (piece > n)
			piece = n;
		memcpy(ex->buffer + ex->file.used, bytes, piece);
		ex->file.used += piece;
		bytes += piece;
		n -= piece;
		if (ex->file.used == EXPORT_PIECE && !flush(ex))
			return false;
	}
	return true;
}

bool export_close(struct export *ex, uint64_t time)
{
	struct timespec times[2] = {{.tv_sec = (time_t)time}, {.tv_sec = (time_t)time}};
	struct export_file *f = &ex->file;

	if (!flush(ex)) {
		export_abandon(ex);
		return false;
	}
	/* The file is another user's unless posternctl runs as the server's; its name has the time. */
	if (time && futimens(f->fd, times) != 0)
		ex->undated++;
	if (fsync(f->fd) != 0)
		export_fail(ex, "%.300s cannot be written: %s.", f->path, strerror(errno));
	if (close(f->fd) != 0)
		export_fail(ex, "%.300s cannot be written: %s.", f->path, strerror(errno));
	f->fd = -1;
	return ex->status == PSTN_OK;
}

void export_abandon(struct export *ex)
{
	if (ex->file.fd < 0)
		return;
	close(ex->file.fd);
	ex->file.fd = -1;
	ex->store->host->call->remove(ex->call, "directory", ex->file.path);
}

bool export_rename(struct export *ex, const char *from, const char *to)
{
	if (ex->store->host->call->rename(ex->call, "directory", from, to) == 0)
		return true;
	export_fail(ex, "%.300s cannot be renamed: %s.", from, strerror(errno));
	return false;
}

bool export_directory(struct export *ex, const char *path)
{
	int fd = ex->store->host->call->file(ex->call, "directory", path, PSTN_FILE_DIRECTORY);

	if (fd < 0)
		export_fail(ex, "The directory %.300s cannot be made: %s.", path, strerror(errno));
	else
		close(fd);
	return fd >= 0;
}

bool export_sync_directory(struct export *ex, const char *path)
{
	int fd = ex->store->host->call->file(ex->call, "directory", path, PSTN_FILE_READ);

	if (fd < 0 || fsync(fd) != 0)
		export_fail(ex, "The directory %.300s cannot be synced: %s.",
			    *path ? path : "itself", strerror(errno));
	if (fd >= 0)
		close(fd);
	return ex->status == PSTN_OK;
}

/* ---- texts ---- */

struct passing {
	struct fetch_key key;
	struct message_row row;
	struct pstn_content content;
	struct unwire unwire;
	bool looking;
	bool (*take)(void *arg, const char *bytes, size_t n);
	void *arg;
};

static int open_content(struct export *ex, struct passing *p)
{
	struct index *ix = &ex->store->index;
	const struct fetch_key *key = &p->key;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = index_message(ix, txn, key->account, key->folder, key->uid, &p->row);
	index_read_end(ix, txn);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? PSTN_E_GONE : index_status(rc);
	return fetch(ex->store, key, &p->row, true, &p->content);
}

/* Octets from `at` on in ex->piece; 0: the segment ends there, -1: they cannot be read. */
static ssize_t read_piece(struct export *ex, const struct pstn_content *c, uint64_t at)
{
	uint64_t left = c->length - at;
	size_t n = left < EXPORT_PIECE ? (size_t)left : EXPORT_PIECE;
	ssize_t got;

	if (c->bytes) {
		memcpy(ex->piece, c->bytes + at, n);
		return (ssize_t)n;
	}
	do
		got = pread(c->fd, ex->piece, n, (off_t)(c->offset + at));
	while (got < 0 && errno == EINTR);
	return got;
}

/* PSTN_OK also when the taker stopped, which then has stopped the export. */
static int pass(struct export *ex, struct passing *p)
{
	const struct pstn_content *c = &p->content;

	for (uint64_t at = 0; at < c->length && ex->status == PSTN_OK;) {
		ssize_t got = read_piece(ex, c, at);
		size_t n = got > 0 ? (size_t)got : 0;

		if (got < 0)
			return fetch_unreadable(ex->store, &p->key, &p->row, errno);
		if (n == 0)
			return PSTN_E_DAMAGED;
		at += n;
		if (p->looking) {
			unwire_look(&p->unwire, ex->piece, n);
			continue;
		}
		n = unwire_feed(&p->unwire, ex->piece, n, ex->text);
		if (!p->take(p->arg, ex->text, n))
			return PSTN_OK;
		if (ex->store->host->call->cancelled(ex->call))
			ex->status = PSTN_E_CANCELLED;
	}
	return PSTN_OK;
}

static bool concerns_one(int status)
{
	return status == PSTN_E_DAMAGED || status == PSTN_E_GONE || status == PSTN_E_TEMPORARY;
}

bool export_text(struct export *ex, const struct pstn_message *m, int *why,
		 bool (*take)(void *arg, const char *bytes, size_t n), void *arg)
{
	struct passing p = {.key = {ex->view.account, ex->view.folder, m->uid},
			    .looking = true,
			    .take = take,
			    .arg = arg};
	size_t n;
	int status = open_content(ex, &p);

	*why = status;
	if (status != PSTN_OK) {
		if (!concerns_one(status))
			ex->status = status;
		return false;
	}
	status = pass(ex, &p);
	p.looking = false;
	if (status == PSTN_OK)
		status = pass(ex, &p);
	if (status == PSTN_OK && ex->status == PSTN_OK) {
		n = unwire_end(&p.unwire, ex->text);
		take(arg, ex->text, n);
	}
	p.content.release(p.content.ref);
	*why = status;
	if (status == PSTN_OK)
		ex->unreadable_in_row = 0;
	return status == PSTN_OK && ex->status == PSTN_OK;
}

static void leave_unreadable(struct export *ex, const char *folder, const struct pstn_message *m)
{
	if (ex->unreadable++ < 5)
		ex->store->host->call->note(
		    ex->call, "The message %s of %s is left out: the disk does not give it (%s).",
		    m->uidl, folder, command_reason(PSTN_E_TEMPORARY));
	if (++ex->unreadable_in_row == COMMAND_UNREADABLE_MAX)
		ex->status = PSTN_E_TEMPORARY;
}

void export_left_out(struct export *ex, const char *folder, const struct pstn_message *m, int why)
{
	if (why == PSTN_E_TEMPORARY) {
		leave_unreadable(ex, folder, m);
		return;
	}
	ex->unreadable_in_row = 0;
	if (ex->damaged++ < 5)
		ex->store->host->call->note(
		    ex->call,
		    "The message %s of %s is left out: it is damaged or has "
		    "just been removed; the log says more.",
		    m->uidl, folder);
}

bool export_each(struct export *ex,
		 bool (*each)(struct export *, void *arg, const struct pstn_message *), void *arg)
{
	struct pstn_message *rows = store_alloc(ex->store, AT_ONCE * sizeof(*rows));
	uint32_t count = 0;
	bool going = true;

	ex->status = rows ? view_map(&ex->view, true) : PSTN_E_NO_MEMORY;
	for (uint32_t first = 1; going && ex->status == PSTN_OK; first += count) {
		ex->status = view_list(&ex->view, first, rows, AT_ONCE, true, &count);
		if (ex->status != PSTN_OK || count == 0)
			break;
		for (uint32_t i = 0; i < count && going && ex->status == PSTN_OK; i++)
			going = rows[i].zombie || each(ex, arg, &rows[i]);
	}
	store_free(ex->store, rows);
	return ex->status == PSTN_OK;
}
