/*
 * import.c - mailbox import: an mbox, a Maildir, or a directory with a message in each file.
 *
 * Each message carries a key made from where it comes from, which the index keeps: a second run,
 * also after the first one was killed, skips what is there. Messages are committed many at once.
 */
#include "import.h"
#include "commands.h"
#include "mbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- mbox ---- */

static bool mbox_begins(void *arg, const struct mbox_message *m)
{
	return import_begin(arg, m->received, 0);
}

static bool mbox_text(void *arg, const char *bytes, size_t n)
{
	return import_text(arg, bytes, n);
}

static bool mbox_ends(void *arg, const struct mbox_message *m)
{
	struct import *im = arg;
	unsigned char key[16];
	char identity[32];
	int n = snprintf(identity, sizeof(identity), "mbox %llu", (unsigned long long)m->offset);

	import_key(im, identity, (size_t)n, key);
	return import_end(im, key, m->flags);
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
		n = read(fd, im->piece, IMPORT_PIECE);
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
	import_drop(im);
	store_free(im->store, m);
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
	im->piece = store_alloc(im->store, IMPORT_PIECE);
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
	im->bundle = (struct bundle){.store = st, .settled = import_settled, .arg = im};
	command_origin(st, c, "import", im->origin);
	if (command_account(st, c, &im->account)) {
		im->status = make_buffers(im) ? PSTN_OK : PSTN_E_NO_MEMORY;
		if (im->status == PSTN_OK)
			import_source(im, st->host->call->fd(c, "source"));
		import_flush(im);
		answer(im);
	}
	store_free(st, im->piece);
	store_free(st, im->hash_memory);
	store_free(st, im);
}
