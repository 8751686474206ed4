/*
 * apply_parts.h - what the files of apply share.
 */
#ifndef STORAGE_APPLY_PARTS_H
#define STORAGE_APPLY_PARTS_H

#include "apply.h"

int apply_put_row(struct apply *, MDB_dbi, const unsigned char *key, size_t n, const void *row,
		  size_t length);
/* Deletes what may not be there. */
int apply_drop_row(struct apply *, MDB_dbi, const unsigned char *key, size_t n);
/* Deletes all rows whose keys begin so. */
int apply_drop_prefix(struct apply *, MDB_dbi, const unsigned char *prefix, size_t n);
/* A folder that has no row yet takes its place at hand; the row is put with the others. */
int apply_new_folder(struct apply *, uint64_t account, uint32_t folder, const struct folder_row *);
int apply_put_message(struct apply *, MDB_dbi, const unsigned char key[KEY_MESSAGE],
		      const struct message_row *);
int apply_put_change(struct apply *, uint64_t account, uint32_t folder, uint64_t change,
		     uint32_t uid, const struct change_row *);
/* A message that is there. A row that fails its checksum is mended where it is met. */
int apply_look_up(struct apply *, uint64_t account, uint32_t folder, uint32_t uid,
		  struct message_row *);
/* The folder has seen this record's change. */
void apply_advance(struct folder_row *, const struct record *);
/* A total that damage made too low stays at zero and does not become huge; a repair makes it right. */
void apply_count(uint64_t *total, int64_t change);
/* Octets of a message's record. */
uint64_t apply_row_length(const struct message_row *);

#endif
