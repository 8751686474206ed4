/*
 * folder_rows.h - the messages of a folder, or its tombstones, one after the other in the order of
 * uids. They are read some at a time, so that no transaction lasts as long as the walk; what comes
 * or goes meanwhile is met or not. A row that fails its checksum is mended where it is met; one that
 * cannot be is handed out as damaged and hides no other.
 */
#ifndef STORAGE_FOLDER_ROWS_H
#define STORAGE_FOLDER_ROWS_H

#include "index/index.h"

#define FOLDER_ROWS_AT_ONCE 64

struct folder_rows {
	struct store *store;
	MDB_dbi table; /* messages or tombstones of the index */
	uint64_t account;
	uint32_t folder;
	uint32_t from; /* where to read on */
	bool end;      /* nothing more in the table */
	bool stopped;  /* at a row that fails its checksum, with the uid `from` */
	unsigned count, at;
	uint32_t uids[FOLDER_ROWS_AT_ONCE];
	bool damaged[FOLDER_ROWS_AT_ONCE];
	struct message_row rows[FOLDER_ROWS_AT_ONCE];
};

/* From the uid on. */
void folder_rows_begin(struct folder_rows *, struct store *, MDB_dbi table, uint64_t account,
		       uint32_t folder, uint32_t from);
/* The next row without taking it, until the walk goes on; NULL at the end or with *rc (0, MDB_*).
 * Blocks; no read transaction may be open in the thread. */
const struct message_row *folder_rows_peek(struct folder_rows *, uint32_t *uid, int *rc);
/* Whether that row is damaged: nothing is in it but the unique id "damaged-UID". */
bool folder_rows_damaged(const struct folder_rows *);
/* Takes it. */
void folder_rows_skip(struct folder_rows *);

#endif
