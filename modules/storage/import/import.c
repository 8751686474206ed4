/*
 * import.c - mailbox import: what the source is, and the answer.
 *
 * Each message carries a key made from where it comes from, which the index keeps: a second run,
 * also after the first one was killed, skips what is there. Messages are committed many at once.
 */
#include "import.h"
#include "command/commands.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the source ---- */

static bool begins_as_mbox(int fd)
{
	char begin[5];

	return pread(fd, begin, sizeof(begin), 0) == (ssize_t)sizeof(begin) &&
	       memcmp(begin, "From ", 5) == 0;
}

static void import_one(struct import *im, int fd)
{
	struct import_message m = {.received = 0};
	struct stat info;

	if (fstat(fd, &info) != 0) {
		im->status = PSTN_E_INVALID;
		return;
	}
	if (!import_folder(im, im->wanted ? im->wanted : "INBOX"))
		return;
	m.received = (uint64_t)info.st_mtime;
	if (!S_ISREG(info.st_mode))
		import_mbox(im, fd, 0);
	else if (begins_as_mbox(fd))
		import_mbox(im, fd, (uint64_t)info.st_size);
	else if (info.st_size > 0)
		import_file(im, fd, "message", 7, true, &m);
}

static void import_source(struct import *im)
{
	const struct pstn_call_ops *call = im->store->host->call;
	int fd = call->fd(im->call, "source");

	if (!import_uidls_given(im))
		return;
	if (fd >= 0)
		import_one(im, fd);
	else if (call->arg(im->call, "source"))
		import_directory(im);
	else
		im->status = PSTN_E_INVALID;
}

/* ---- the answer ---- */

static void fail(struct import *im)
{
	char reason[600];

	snprintf(reason, sizeof(reason), "%s%s",
		 *im->fault ? im->fault : command_reason(im->status), *im->fault ? "" : ".");
	im->store->host->call->fail(
	    im->call,
	    "The import stopped after %llu messages (%llu were there already): %s Run it again to "
	    "go on; nothing is imported twice.",
	    (unsigned long long)im->imported, (unsigned long long)im->skipped, reason);
}

static void answer_unreadable(struct import *im)
{
	im->store->host->call->fail(
	    im->call,
	    "%llu of the files or directories cannot be read with your rights; the first is %s. "
	    "Run the import again as a user who may. Imported: %llu, there already: %llu.",
	    (unsigned long long)im->unreadable, im->first_unreadable,
	    (unsigned long long)im->imported, (unsigned long long)im->skipped);
}

static void answer(struct import *im)
{
	const struct pstn_call_ops *call = im->store->host->call;

	if (im->status != PSTN_OK) {
		fail(im);
		return;
	}
	if (im->unreadable) {
		answer_unreadable(im);
		return;
	}
	if (im->keywords_lost)
		call->note(
		    im->call,
		    "%llu keywords of messages are left out: their letter has no name in "
		    "dovecot-keywords, they are longer than 127 octets, or a message has more "
		    "than 64.",
		    (unsigned long long)im->keywords_lost);
	call->open_object(im->call, NULL);
	call->text(im->call, "account", im->account.name);
	call->integer(im->call, "folders", (int64_t)im->folders);
	call->integer(im->call, "imported", (int64_t)im->imported);
	call->integer(im->call, "octets", (int64_t)im->octets);
	call->integer(im->call, "with_uidl", (int64_t)im->with_uidl);
	call->integer(im->call, "new_uidl", (int64_t)im->new_uidl);
	call->integer(im->call, "with_keywords", (int64_t)im->with_keywords);
	call->integer(im->call, "keywords_left_out", (int64_t)im->keywords_left_out);
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

static void import(struct import *im)
{
	im->status = make_buffers(im) ? PSTN_OK : PSTN_E_NO_MEMORY;
	if (im->status == PSTN_OK)
		import_source(im);
	import_drop(im);
	import_flush(im);
	answer(im);
	uidl_set_free(&im->held);
	import_uidls_free(im, &im->given);
	import_uidls_free(im, &im->found);
	import_keywords_free(im);
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
	im->wanted = st->host->call->arg(c, "folder");
	im->unit = "messages";
	im->bundle = (struct bundle){.store = st, .settled = import_settled, .arg = im};
	command_origin(st, c, "import", im->origin);
	if (command_account(st, c, &im->account)) {
		command_over_quota(st, c, &im->account);
		import(im);
	}
	store_free(st, im->piece);
	store_free(st, im->hash_memory);
	store_free(st, im);
}
