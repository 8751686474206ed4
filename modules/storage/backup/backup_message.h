/*
 * backup_message.h - a message of a snapshot on its way into the store.
 */
#ifndef STORAGE_BACKUP_MESSAGE_H
#define STORAGE_BACKUP_MESSAGE_H

#include "backup.h"
#include "format/rows.h"

#include <postern/delivery.h>

#define MESSAGE_FILES 8

struct message_reader {
	const struct backup *backup;
	const struct manifest *manifest;
	struct {
		const struct backup_segment *segment; /* NULL: none */
		int fd;
		uint64_t used;
	} files[MESSAGE_FILES];
	uint64_t uses;
	unsigned char *window, *piece;
};

/* false: no memory. message_reader_end() in any case. */
bool message_reader_begin(struct message_reader *, const struct backup *, const struct manifest *);
void message_reader_end(struct message_reader *);
/* Begins a delivery and writes the text to it, if it is as it was: PSTN_OK, PSTN_E_DAMAGED,
 * PSTN_E_TOO_LARGE, or what else went wrong. */
int message_deliver(struct message_reader *, const struct pstn_delivery_request *,
		    const struct message_row *, struct pstn_delivery **out);

#endif
