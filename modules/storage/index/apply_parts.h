/*
 * apply_parts.h - what apply.c and apply_account.c share.
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
/* The folder has seen this record's change. */
void apply_advance(struct folder_row *, const struct record *);
/* Octets of a message's record. */
uint64_t apply_row_length(const struct message_row *);

#endif
