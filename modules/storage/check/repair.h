/*
 * repair.h - makes the index right again where a check found it wrong, from what the segments say.
 *
 * Each repair is a transaction of its own under the write lock, looks again whether there is
 * something to mend, and can be repeated. Segments are never changed.
 */
#ifndef STORAGE_REPAIR_H
#define STORAGE_REPAIR_H

#include "fault.h"
#include "index/apply.h"

struct checker;

struct repair {
	struct checker *checker;
	bool dry_run;
	bool drop_damaged; /* messages that cannot be read are expunged or their rows removed */
	bool last_round;   /* what the segments did not tell by now is lost */
	uint64_t mended;
	uint64_t left; /* rows that a record may still be found for */
};

/* What became of it, or would; a short text. Outside of any transaction. */
const char *repair_fault(struct repair *, const struct fault *);
/* Brings what was mended to disk. */
void repair_end(struct repair *);

/* ---- repair_totals.c: each sets a row to what the rows below it say; 0, errno or MDB_* ---- */
int repair_folder_totals(struct apply *, const struct fault *);
int repair_account_totals(struct apply *, const struct fault *);
int repair_domain_totals(struct apply *, const struct fault *);
int repair_segment_totals(struct apply *, const struct checker *);

#endif
