/*
 * import_mbox.c - an mbox file to messages of a folder.
 */
#include "import.h"
#include "mbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct reading {
	struct import *im;
	enum import_uidls how;
	uint64_t messages; /* so far */
};

/* ---- to the folder ---- */

static bool begins(void *arg, const struct mbox_message *m)
{
	struct reading *r = arg;
	struct import_message message = {.received = m->received, .flags = m->flags};

	if (*m->uidl && !r->im->no_uidls)
		message.uidl = m->uidl;
	if (r->how == IMPORT_UIDLS_ORDER)
		message.uidl = import_uidls_nth(r->im, r->messages);
	r->messages++;
	return import_begin(r->im, &message);
}

static bool text(void *arg, const char *bytes, size_t n)
{
	struct reading *r = arg;

	return import_text(r->im, bytes, n);
}

static bool ends(void *arg, const struct mbox_message *m)
{
	struct reading *r = arg;
	unsigned char key[16];
	char identity[32];
	int n = snprintf(identity, sizeof(identity), "mbox %llu", (unsigned long long)m->offset);

	import_key(r->im, identity, (size_t)n, key);
	return import_end(r->im, key, m->flags, m->keywords);
}

/* ---- counting alone ---- */

static bool counts(void *arg, const struct mbox_message *m)
{
	struct reading *r = arg;

	(void)m;
	r->messages++;
	return true;
}

static bool passes(void *arg, const char *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	(void)n;
	return true;
}

static bool ends_counted(void *arg, const struct mbox_message *m)
{
	(void)arg;
	(void)m;
	return true;
}

/* ---- reading ---- */

/* From the file's begin, or where a pipe is. */
static void read_mbox(struct import *im, int fd, struct mbox *m, bool progress)
{
	ssize_t n = 1;

	while (im->status == PSTN_OK && n > 0 && !m->stopped) {
		n = read(fd, im->piece, IMPORT_PIECE);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			im->status = PSTN_E_TEMPORARY;
		else if (n > 0)
			mbox_feed(m, im->piece, (size_t)n);
		if (progress)
			im->done += n > 0 ? (uint64_t)n : 0;
	}
	if (im->status == PSTN_OK)
		mbox_end(m);
}

/* By their order, ids go to messages only if there are as many. */
static bool prepare(struct import *im, int fd, struct reading *r, struct mbox *m)
{
	if (!im->given)
		return true;
	*m = (struct mbox){.begin = counts, .text = passes, .end = ends_counted, .arg = r};
	if (lseek(fd, 0, SEEK_SET) != 0) {
		import_fail(im, "With --uidls the messages are counted first, and a pipe can be "
				"read only once; give a file.");
		return false;
	}
	read_mbox(im, fd, m, false);
	if (im->status == PSTN_OK && lseek(fd, 0, SEEK_SET) != 0)
		im->status = PSTN_E_TEMPORARY;
	if (im->status != PSTN_OK)
		return false;
	r->how = IMPORT_UIDLS_ORDER;
	if (im->given->count != r->messages)
		import_fail(im,
			    "The listing of unique ids has %zu messages and the mbox %llu: ids "
			    "would go to the wrong ones.",
			    im->given->count, (unsigned long long)r->messages);
	uidl_list_by_order(im->given);
	r->messages = 0;
	return im->status == PSTN_OK;
}

void import_mbox(struct import *im, int fd, uint64_t size)
{
	struct mbox *m = store_alloc(im->store, sizeof(*m));
	struct reading r = {.im = im};

	if (!m) {
		im->status = PSTN_E_NO_MEMORY;
		return;
	}
	im->total += size;
	im->unit = "octets";
	if (prepare(im, fd, &r, m)) {
		*m = (struct mbox){.begin = begins, .text = text, .end = ends, .arg = &r};
		read_mbox(im, fd, m, true);
	}
	import_drop(im);
	store_free(im->store, m);
}

bool import_is_mbox(struct import *im, int fd)
{
	ssize_t n = pread(fd, im->piece, MBOX_LINE, 0);
	const char *lf = n > 0 ? memchr(im->piece, '\n', (size_t)n) : NULL;
	uint64_t date;

	return lf && mbox_is_from(im->piece, (size_t)(lf - im->piece), &date);
}
