/*
 * fetch.h - a message's text from its segment.
 */
#ifndef STORAGE_FETCH_H
#define STORAGE_FETCH_H

#include "format/rows.h"

#include <postern/module.h>

#include <stdatomic.h>

#define FETCH_COPY_MAX 65536 /* larger texts are handed out as a part of the file */

#define FETCH_POOL 32 /* memory for texts that is kept: 2 MiB */

struct store;
struct fetched;

struct fetch_pool {
	_Atomic(struct fetched *) idle[FETCH_POOL];
	atomic_uint made; /* idle or in use */
};

struct fetch_key {
	uint64_t account;
	uint32_t folder, uid;
};

/* enum pstn_status, or VIEW_COLD. */
int fetch(struct store *, const struct fetch_key *, const struct message_row *, bool may_block,
	  struct pstn_content *out);
/* Gives back what is kept. */
void fetch_clear(struct store *);

/* For job threads, in fetch_whole.c. */

/* The head of the message's record: who brought it, its checksums. */
int fetch_head(struct store *, const struct fetch_key *, const struct message_row *,
	       struct record *out);
/* The whole text in pieces, until one is not answered with PSTN_OK; whatever its size, its checksum
 * is verified: PSTN_E_DAMAGED may come after the last piece. */
int fetch_text(struct store *, const struct fetch_key *, const struct message_row *,
	       int (*piece)(void *arg, const char *bytes, size_t n), void *arg);

/* The segment is not there: compaction may have moved the message and removed it since the row was
 * read. The row as it is now; PSTN_E_GONE: the message is not there either. */
int fetch_moved(struct store *, const struct fetch_key *, struct message_row *);
/* Says in the log what is wrong, and answers PSTN_E_DAMAGED. */
int fetch_damaged(struct store *, const struct fetch_key *, const struct message_row *,
		  const char *what);
/* The same of an errno with which reading it failed, and answers PSTN_E_TEMPORARY. */
int fetch_unreadable(struct store *, const struct fetch_key *, const struct message_row *,
		     int error);

#endif
