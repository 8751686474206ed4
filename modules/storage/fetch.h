/*
 * fetch.h - a message's text from its segment.
 */
#ifndef STORAGE_FETCH_H
#define STORAGE_FETCH_H

#include "rows.h"

#include <postern/module.h>

#define FETCH_COPY_MAX 65536 /* larger texts are handed out as a part of the file */

struct store;

struct fetch_key {
	uint64_t account;
	uint32_t folder, uid;
};

/* enum pstn_status, or VIEW_COLD. */
int fetch(struct store *, const struct fetch_key *, const struct message_row *, bool may_block,
	  struct pstn_content *out);

#endif
