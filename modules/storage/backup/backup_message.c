/*
 * backup_message.c - a message of a snapshot on its way into the store: verified, then delivered.
 */
#include "backup_message.h"

#include "delivery/delivery.h"
#include "segment/scan.h"
#include "store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)

bool message_reader_begin(struct message_reader *r, const struct backup *b,
			  const struct manifest *m)
{
	*r = (struct message_reader){.backup = b,
				     .manifest = m,
				     .window = store_alloc(b->store, SCAN_WINDOW),
				     .piece = store_alloc(b->store, PIECE)};
	return r->window && r->piece;
}

void message_reader_end(struct message_reader *r)
{
	for (int i = 0; i < MESSAGE_FILES; i++)
		if (r->files[i].segment)
			close(r->files[i].fd);
	store_free(r->backup->store, r->window);
	store_free(r->backup->store, r->piece);
}

/* -1 and errno. The one used longest ago makes room. */
static int open_segment(struct message_reader *r, const struct backup_segment *s)
{
	char path[BACKUP_PATH];
	int at = 0;

	for (int i = 0; i < MESSAGE_FILES; i++) {
		if (r->files[i].segment == s) {
			r->files[i].used = ++r->uses;
			return r->files[i].fd;
		}
		if (r->files[i].used < r->files[at].used)
			at = i;
	}
	if (r->files[at].segment)
		close(r->files[at].fd);
	r->files[at].segment = NULL;
	backup_segment_path(s, path);
	r->files[at].fd = backup_open(r->backup, path, PSTN_FILE_READ);
	if (r->files[at].fd < 0)
		return -1;
	r->files[at].segment = s;
	r->files[at].used = ++r->uses;
	return r->files[at].fd;
}

static int write_text(struct message_reader *r, int fd, uint64_t at, uint64_t octets,
		      struct pstn_delivery *d)
{
	int status = PSTN_OK;

	while (status == PSTN_OK && octets > 0) {
		size_t want = octets < PIECE ? (size_t)octets : PIECE;
		ssize_t n = pread(fd, r->piece, want, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return PSTN_E_DAMAGED;
		status = delivery_write(d, (const char *)r->piece, (size_t)n);
		at += (uint64_t)n;
		octets -= (uint64_t)n;
	}
	return status;
}

int message_deliver(struct message_reader *r, const struct pstn_delivery_request *q,
		    const struct message_row *row, struct pstn_delivery **out)
{
	const struct backup_segment *segment = manifest_find(r->manifest, row->segment);
	int fd = segment ? open_segment(r, segment) : -1, status;
	struct scan s;

	if (fd < 0)
		return segment && errno != ENOENT ? PSTN_E_TEMPORARY : PSTN_E_DAMAGED;
	scan_begin(&s, fd, segment->length, segment->seed, row->offset, r->window);
	if (scan_next(&s) != SCAN_RECORD || s.record.type != RECORD_MESSAGE ||
	    strcmp(s.record.uidl, row->uidl) != 0 || !scan_verify(&s))
		return PSTN_E_DAMAGED;
	status = delivery_begin(r->backup->store, q, NULL, out);
	if (status != PSTN_OK)
		return status;
	status = write_text(r, fd, row->offset + s.record.head_length, s.record.body_length, *out);
	if (status != PSTN_OK)
		delivery_free(*out);
	return status;
}
