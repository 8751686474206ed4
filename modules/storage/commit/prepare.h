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
/* Whether an import has brought this delivery before; *rc as above. */
bool prepare_imported(struct apply *, const struct pending *p, int *rc);
/* Whether it can have the unique id that it brings, or can be given one: p->status. folder 0: there is
 * none yet. 0 or MDB_*. */
int prepare_uidl(struct apply *, struct pending *p, uint32_t folder);

#endif
