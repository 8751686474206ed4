/*
 * mend.h - a message's row that fails its checksum is made right again on the spot.
 *
 * One wrong octet is found by the row's own check; what comes out counts only if the segment holds
 * the record that it tells of. So a folder with a damaged row can be used: nobody has to wait for a
 * repair of the whole store. What cannot be mended so is left as it is, and named in the log once.
 *
 * The first two: 0 and the row; MDB_NOTFOUND: there is no such message; MDB_CORRUPTED: it stays damaged;
 * errno or another MDB_*: it could not be tried.
 */
#ifndef STORAGE_MEND_H
#define STORAGE_MEND_H

#include "apply.h"

/* In a write transaction that is under way. */
int mend_row(struct apply *, bool expunged, uint64_t account, uint32_t folder, uint32_t uid,
	     struct message_row *);
/* In a transaction of its own; blocks, and no read transaction may be open in the thread. */
int mend_now(struct index *, bool expunged, uint64_t account, uint32_t folder, uint32_t uid,
	     struct message_row *);

/* The folder does not hold as many messages as its row says: the log hears of it once. */
void mend_tell_total(struct index *, MDB_txn *, uint64_t account, uint32_t folder, uint64_t total);

#endif
