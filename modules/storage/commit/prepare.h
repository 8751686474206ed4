/*
 * prepare.h - a change that waits becomes a record and is applied to the index.
 */
#ifndef STORAGE_PREPARE_H
#define STORAGE_PREPARE_H

#include "batch.h"
#include "commit.h"
#include "index/apply.h"

/*
 * Gives uid, change number and unique id, adds the records to the batch that will stand in segment
 * `log`, applies them. p->status tells what concerns this change alone; the return value (errno or
 * MDB_*) makes the whole group fail.
 */
int prepare(struct apply *, struct batch *, uint32_t log, struct pending *p);
/* Of a delivery whose folder is known: its keywords' bits, into its record. 0, errno or MDB_*. */
int prepare_keywords(struct apply *, struct batch *, struct pending *p);

#endif
