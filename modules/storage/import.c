/*
 * import.c - mailbox import: an mbox, a Maildir, or a directory with a message in each file.
 *
 * Each message carries a key made from where it comes from, which the index keeps: a second run,
 * also after the first one was killed, skips what is there. Messages are committed many at once.
 */
#include "commands.h"

#include "checksum.h"
#include "delivery.h"
#include "maildir.h"
#include "mbox.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE          ((size_t)64 << 10)
#define BATCH_MESSAGES 64
#define BATCH_OCTETS   ((uint64_t)4 << 20)

struct import {
	struct store *store;
	struct pstn_call *call;
	struct pstn_account account;
	const char *folder;
	char *piece; /* PIECE octets to read into */
	/* the message being read */
	struct pstn_delivery *current;
	XXH3_state_t *hash;
	void *hash_memory;
	bool first_piece;
	/* complete ones, to be committed together */
	struct pstn_delivery *batch[BATCH_MESSAGES];
	struct pending *pending[BATCH_MESSAGES];
	unsigned batched;
	uint64_t batched_octets;
	/* the result */
	uint64_t imported, skipped, refused, octets;
	uint64_t unreadable;
	char first_unreadable[512]; /* file or directory, and why */
	uint64_t done, total;       /* for progress */
	const char *unit;
	int status; /* not PSTN_OK: stop */
};

struct entry { /* a file of a directory */
	uint64_t time;
	const char *directory; /* below the source; "" for itself */
	char *name;
};

/* ---- committing ---- */

static void settle_one(struct import *im, unsigned i)
{
	int status = im->pending[i]->status;

	if (status == PSTN_OK) {
		im->imported++;
		im->octets += im->pending[i]->deliver.record.octets;
		delivery_committed(im->batch[i]);
	} else if (status == PSTN_E_EXISTS) {
		im->skipped++;
	} else if (im->status == PSTN_OK) {
		im->status = status;
	}
	delivery_free(im->batch[i]);
}

static void flush(struct import *im)
{
	for (unsigned i = 0; i < im->batched; i++)
		im->pending[i]->next = i + 1 < im->batched ? im->pending[i + 1] : NULL;
	if (im->batched)
		commit_wait(im->store, im->pending[0]);
	for (unsigned i = 0; i < im->batched; i++)
		settle_one(im, i);
	im->batched = 0;
	im->batched_octets = 0;
	im->store->host->call->progress(im->call, im->done, im->total, im->unit);
	if (im->status == PSTN_OK && im->store->host->call->cancelled(im->call))
		im->status = PSTN_E_CANCELLED;
}

/* ---- one message ---- */

static bool begin_message(struct import *im, uint64_t received, uint32_t flags)
{
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &im->account,
					  .folder = im->folder,
					  .received = received,
					  .flags = flags};
	int status = delivery_begin(im->store, &q, NULL, &im->current);

	XXH3_128bits_reset(im->hash);
	im->first_piece = true;
	if (status != PSTN_OK)
		im->status = status;
	return status == PSTN_OK;
}

static bool add_text(struct import *im, const char *bytes, size_t n)
{
	int status = delivery_write(im->current, bytes, n);

	XXH3_128bits_update(im->hash, bytes, n);
	/* A message that is too large is left out; the others are not its fault. */
	if (status == PSTN_OK || status == PSTN_E_TOO_LARGE)
		return true;
	im->status = status;
	return false;
}

static void drop_message(struct import *im)
{
	if (im->current)
		delivery_free(im->current);
	im->current = NULL;
}

static bool is_there(struct import *im, const unsigned char import_key[16])
{
	unsigned char key[KEY_IMPORT];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_txn *txn;
	int rc = index_read(&im->store->index, &txn);

	if (rc != 0)
		return false; /* the commit looks again */
	key_import(key, im->account.id, import_key);
	rc = mdb_get(txn, im->store->index.imports, &k, &v);
	index_read_end(&im->store->index, txn);
	return rc == 0;
}

static void make_key(struct import *im, const void *identity, size_t n, unsigned char out[16])
{
	XXH128_canonical_t canonical;

	XXH3_128bits_update(im->hash, identity, n);
	XXH3_128bits_update(im->hash, im->folder, strlen(im->folder));
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(im->hash));
	memcpy(out, canonical.digest, 16);
	out[0] |= 1; /* never all zero: that means not imported */
}

static bool end_message(struct import *im, const unsigned char key[16], uint32_t flags)
{
	struct pending *p;
	int status;

	if (is_there(im, key)) {
		im->skipped++;
		drop_message(im);
		return true;
	}
	p = delivery_seal(im->current, &status);
	if (!p) {
		im->refused++;
		if (status != PSTN_E_TOO_LARGE)
			im->status = status;
		drop_message(im);
		return im->status == PSTN_OK;
	}
	memcpy(p->deliver.record.import_key, key, 16);
	p->deliver.record.message_flags |= flags;
	im->batch[im->batched] = im->current;
	im->pending[im->batched++] = p;
	im->batched_octets += p->deliver.record.octets;
	im->current = NULL;
	if (im->batched == BATCH_MESSAGES || im->batched_octets >= BATCH_OCTETS)
		flush(im);
	return im->status == PSTN_OK;
}

/* ---- mbox ---- */

static bool mbox_begins(void *arg, const struct mbox_message *m)
{
	return begin_message(arg, m->received, 0);
}

static bool mbox_text(void *arg, const char *bytes, size_t n)
{
	return add_text(arg, bytes, n);
}

static bool mbox_ends(void *arg, const struct mbox_message *m)
{
	struct import *im = arg;
	unsigned char key[16];
	char identity[32];
	int n = snprintf(identity, sizeof(identity), "mbox %llu", (unsigned long long)m->offset);

	make_key(im, identity, (size_t)n, key);
	return end_message(im, key, m->flags);
}

static void import_mbox(struct import *im, int fd, uint64_t size)
{
	struct mbox *m = store_alloc(im->store, sizeof(*m));
	ssize_t n = 1;

	if (!m) {
		im->status = PSTN_E_NO_MEMORY;
		return;
	}
	m->begin = mbox_begins;
	m->text = mbox_text;
	m->end = mbox_ends;
	m->arg = im;
	im->total = size;
	im->unit = "octets";
	while (im->status == PSTN_OK && n > 0) {
		n = read(fd, im->piece, PIECE);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			im->status = PSTN_E_TEMPORARY;
		else if (n > 0)
			mbox_feed(m, im->piece, (size_t)n);
		im->done += n > 0 ? (uint64_t)n : 0;
	}
	if (im->status == PSTN_OK)
		mbox_end(m);
	drop_message(im);
	store_free(im->store, m);
}

/* ---- a file with one message ---- */

/* A leading "From " line is the mbox's, not the message's. It is within the first piece. */
static size_t from_line(const char *piece, size_t n, uint64_t *received)
{
	const char *lf;
	uint64_t date;

	if (n < 5 || memcmp(piece, "From ", 5) != 0)
		return 0;
	lf = memchr(piece, '\n', n);
	if (!lf)
		return 0;
	if (mbox_is_from(piece, (size_t)(lf - piece), &date) && date)
		*received = date;
	return (size_t)(lf - piece) + 1;
}

static bool read_file(struct import *im, int fd, uint64_t received, uint32_t flags)
{
	bool first = true;

	for (;;) {
		ssize_t n = read(fd, im->piece, PIECE);
		size_t skip = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			im->status = PSTN_E_TEMPORARY;
			return false;
		}
		if (first) {
			skip = from_line(im->piece, (size_t)n, &received);
			if (!begin_message(im, received, flags))
				return false;
			first = false;
		}
		if (n == 0)
			return true;
		if (!add_text(im, im->piece + skip, (size_t)n - skip))
			return false;
	}
}

static void import_file(struct import *im, int fd, const char *identity, size_t n, bool content,
			uint64_t received, uint32_t flags)
{
	unsigned char key[16];

	if (!content) {
		/* The name alone tells who it is: what is there need not be read. */
		XXH3_128bits_reset(im->hash);
		make_key(im, identity, n, key);
		if (is_there(im, key)) {
			im->skipped++;
			return;
		}
	}
	if (!read_file(im, fd, received, flags)) {
		drop_message(im);
		return;
	}
	if (content)
		make_key(im, identity, n, key);
	end_message(im, key, 0);
}

/* ---- directories ---- */

static int by_time(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return strcmp(a->name, b->name);
}

struct entries {
	struct entry *list;
	size_t used, room;
};

static bool add_entry(struct import *im, struct entries *es, const char *directory,
		      const char *name, uint64_t when)
{
	size_t n = strlen(name) + 1;
	struct entry *larger;
	char *copy;

	if (es->used == es->room) {
		size_t room = es->room ? es->room * 2 : 256;

		larger = store_alloc(im->store, room * sizeof(*larger));
		if (!larger)
			return false;
		if (es->used)
			memcpy(larger, es->list, es->used * sizeof(*larger));
		store_free(im->store, es->list);
		es->list = larger;
		es->room = room;
	}
	copy = store_alloc(im->store, n);
	if (!copy)
		return false;
	memcpy(copy, name, n);
	es->list[es->used++] = (struct entry){when, directory, copy};
	return true;
}

static int open_below(int dir, const char *directory)
{
	return openat(dir, *directory ? directory : ".",
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What is not there any more was moved by a mail program; all else has to be told. */
static void cannot_read(struct import *im, const char *path)
{
	if (errno == ENOENT)
		return;
	if (im->unreadable++ == 0)
		snprintf(im->first_unreadable, sizeof(im->first_unreadable), "%.400s: %s", path,
			 strerror(errno));
}

/* Names of the regular files in a directory below the source. */
static void read_entries(struct import *im, struct entries *es, int source, const char *directory)
{
	int fd = open_below(source, directory);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		cannot_read(im, *directory ? directory : "the directory");
		if (fd >= 0)
			close(fd);
		return;
	}
	while (im->status == PSTN_OK && (e = readdir(dir)) != NULL) {
		struct stat info;
		uint64_t when = maildir_time(e->d_name);

		if (e->d_name[0] == '.' ||
		    fstatat(fd, e->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(info.st_mode))
			continue;
		if (!when)
			when = (uint64_t)info.st_mtime;
		if (!add_entry(im, es, directory, e->d_name, when))
			im->status = PSTN_E_NO_MEMORY;
	}
	closedir(dir);
}

static void import_entry(struct import *im, int source, const struct entry *e, bool maildir)
{
	char path[512];
	struct stat info;
	int fd, n;

	n = snprintf(path, sizeof(path), "%s%s%s", e->directory, *e->directory ? "/" : "", e->name);
	errno = ENAMETOOLONG;
	fd = n < 0 || (size_t)n >= sizeof(path)
		 ? -1
		 : openat(source, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) != 0) {
		cannot_read(im, path);
		im->refused++;
		if (fd >= 0)
			close(fd);
		return;
	}
	if (maildir) {
		n = snprintf(path, sizeof(path), "maildir %.*s", (int)maildir_base(e->name),
			     e->name);
		import_file(im, fd, path, (size_t)n, false, (uint64_t)info.st_mtime,
			    strcmp(e->directory, "cur") == 0 ? maildir_flags(e->name) : 0);
	} else {
		n = snprintf(path, sizeof(path), "file %s", e->name);
		import_file(im, fd, path, (size_t)n, true, (uint64_t)info.st_mtime, 0);
	}
	close(fd);
}

static void import_directory(struct import *im, int source)
{
	struct entries es = {.list = NULL};
	bool maildir;

	read_entries(im, &es, source, "cur");
	read_entries(im, &es, source, "new");
	maildir = faccessat(source, "cur", F_OK, 0) == 0 || faccessat(source, "new", F_OK, 0) == 0;
	if (!maildir)
		read_entries(im, &es, source, "");
	if (es.used)
		qsort(es.list, es.used, sizeof(*es.list), by_time);
	im->total = es.used;
	im->unit = "messages";
	for (size_t i = 0; i < es.used; i++) {
		if (im->status == PSTN_OK)
			import_entry(im, source, &es.list[i], maildir);
		im->done++;
		store_free(im->store, es.list[i].name);
	}
	store_free(im->store, es.list);
}

/* ---- the command ---- */

static void import_source(struct import *im, int fd)
{
	struct stat info;
	char begin[5];
	ssize_t n;

	if (fd < 0 || fstat(fd, &info) != 0) {
		im->status = PSTN_E_INVALID;
		return;
	}
	if (S_ISDIR(info.st_mode)) {
		import_directory(im, fd);
		return;
	}
	n = pread(fd, begin, sizeof(begin), 0);
	if (n == (ssize_t)sizeof(begin) && memcmp(begin, "From ", 5) == 0)
		import_mbox(im, fd, (uint64_t)info.st_size);
	else if (S_ISREG(info.st_mode) && n > 0)
		import_file(im, fd, "message", 7, true, (uint64_t)info.st_mtime, 0);
	else if (!S_ISREG(info.st_mode))
		import_mbox(im, fd, 0);
}

static void answer_unreadable(struct import *im)
{
	im->store->host->call->fail(
	    im->call,
	    "The server, which reads a directory as its own user and not as you, cannot read "
	    "%llu of the files or directories; the first is %s. Let it read them (setfacl -R -m "
	    "u:USER:rX DIRECTORY), then run the import again. Imported: %llu, there already: %llu.",
	    (unsigned long long)im->unreadable, im->first_unreadable,
	    (unsigned long long)im->imported, (unsigned long long)im->skipped);
}

static void answer(struct import *im)
{
	const struct pstn_call_ops *call = im->store->host->call;

	if (im->status != PSTN_OK) {
		call->fail(
		    im->call,
		    "The import stopped after %llu messages (%llu were there already): %s. Run "
		    "it again to go on; nothing is imported twice.",
		    (unsigned long long)im->imported, (unsigned long long)im->skipped,
		    command_reason(im->status));
		return;
	}
	if (im->unreadable) {
		answer_unreadable(im);
		return;
	}
	call->open_object(im->call, NULL);
	call->text(im->call, "account", im->account.name);
	call->text(im->call, "folder", im->folder);
	call->integer(im->call, "imported", (int64_t)im->imported);
	call->integer(im->call, "octets", (int64_t)im->octets);
	call->integer(im->call, "skipped", (int64_t)im->skipped);
	call->integer(im->call, "refused", (int64_t)im->refused);
	call->close(im->call);
}

static bool make_buffers(struct import *im)
{
	im->piece = store_alloc(im->store, PIECE);
	im->hash_memory = store_alloc(im->store, sizeof(*im->hash) + 64);
	if (!im->piece || !im->hash_memory)
		return false;
	im->hash = (XXH3_state_t *)(((uintptr_t)im->hash_memory + 63) & ~(uintptr_t)63);
	return true;
}

void command_import(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct import *im = store_alloc(st, sizeof(*im));
	const char *folder = command_folder(st, c);

	if (!im || !folder) {
		if (folder)
			st->host->call->fail(c, "There is not enough memory.");
		store_free(st, im);
		return;
	}
	im->store = st;
	im->call = c;
	im->folder = folder;
	im->unit = "messages";
	if (command_account(st, c, &im->account)) {
		im->status = make_buffers(im) ? PSTN_OK : PSTN_E_NO_MEMORY;
		if (im->status == PSTN_OK)
			import_source(im, st->host->call->fd(c, "source"));
		flush(im);
		answer(im);
	}
	store_free(st, im->piece);
	store_free(st, im->hash_memory);
	store_free(st, im);
}
