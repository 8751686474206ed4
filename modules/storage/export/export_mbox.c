/*
 * export_mbox.c - a folder as an mbox file. It gets its name when it is whole; one that is there is
 * left as it is.
 */
#include "export.h"
#include "mbox_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".mbox"

struct writing {
	struct export *ex;
	const char *folder;
	struct mbox_writer writer;
};

static bool to_file(void *arg, const char *bytes, size_t n)
{
	struct writing *w = arg;

	return export_write(w->ex, bytes, n);
}

static bool to_mbox(void *arg, const char *bytes, size_t n)
{
	struct writing *w = arg;

	return mbox_write_text(&w->writer, bytes, n);
}

/* What was begun of a message that cannot be read is no message: the file goes back to before. */
static void take_back(struct export *ex, off_t size, size_t used)
{
	off_t now = lseek(ex->file.fd, 0, SEEK_CUR);

	/* `used` octets of before were in the buffer; they may have been written since. */
	if (now == size) {
		ex->file.used = used;
		return;
	}
	ex->file.used = 0;
	size += (off_t)used;
	if (ftruncate(ex->file.fd, size) != 0 || lseek(ex->file.fd, size, SEEK_SET) != size)
		export_fail(ex, "%.300s cannot be written: %s.", ex->file.path, strerror(errno));
}

static bool each(struct export *ex, void *arg, const struct pstn_message *m)
{
	struct writing *w = arg;
	off_t size = lseek(ex->file.fd, 0, SEEK_CUR);
	size_t used = ex->file.used;
	uint64_t bits;
	int why;

	if (!export_keywords_of(ex, m, &bits))
		return false;
	keywords_list(&ex->keywords, bits, &ex->names);
	if (size < 0) {
		export_fail(ex, "%.300s cannot be written: %s.", ex->file.path, strerror(errno));
		return false;
	}
	mbox_write_begin(&w->writer, m->received, m->flags, m->uidl, &ex->names);
	if (export_text(ex, m, &why, to_mbox, w)) {
		mbox_write_end(&w->writer);
		ex->exported++;
		ex->octets += m->octets;
	} else if (why != PSTN_OK && ex->status == PSTN_OK) {
		export_left_out(ex, w->folder, m, why);
		take_back(ex, size, used);
	}
	ex->store->host->call->progress(ex->call, ++ex->done, ex->total, "messages");
	return ex->status == PSTN_OK;
}

static bool is_there(struct export *ex, const char *path)
{
	int fd = ex->store->host->call->file(ex->call, "directory", path, PSTN_FILE_READ);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void export_mbox(struct export *ex, const char *folder)
{
	struct writing w = {.ex = ex, .folder = folder, .writer = {.out = to_file}};
	char path[FOLDER_NAME_MAX + 16], unfinished[FOLDER_NAME_MAX + 32];

	w.writer.arg = &w;
	if (strlen(folder) + strlen(SUFFIX ".part") > 255) {
		export_fail(ex,
			    "The folder \"%s\" has too long a name for an mbox file; export "
			    "with --format maildir.",
			    folder);
		return;
	}
	snprintf(path, sizeof(path), "%s" SUFFIX, folder);
	snprintf(unfinished, sizeof(unfinished), "%s.part", path);
	if (is_there(ex, path)) {
		ex->skipped += ex->view.messages;
		ex->done += ex->view.messages;
		return;
	}
	if (!export_create(ex, unfinished))
		return;
	if (!export_each(ex, each, &w)) {
		export_abandon(ex);
		return;
	}
	if (export_close(ex, 0) && export_rename(ex, unfinished, path))
		export_sync_directory(ex, "");
}
