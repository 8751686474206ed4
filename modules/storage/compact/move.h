/*
 * move.h - records of a segment that is being emptied are written again, as part of a group.
 */
#ifndef STORAGE_MOVE_H
#define STORAGE_MOVE_H

#include "commit/batch.h"
#include "commit/commit.h"
#include "index/apply.h"

struct move {
	struct record record; /* as it stands in the old segment; of a folder: which one */
	uint64_t offset;      /* there */
	/* A message's text, NULL if it is not expected to be needed; the ranges or entries of an
	 * expunge or of flags that are expected to be needed, record.count of them. */
	void *body;
	uint64_t *dots;
	bool loaded; /* the message's text and dots are there */
	bool whole;  /* nothing of an expunge or of flags was left out yet */
};

/* As prepare() does with other changes. */
int prepare_move(struct apply *, struct batch *, uint32_t log, struct pending *);
int prepare_segments(struct apply *, struct batch *, uint32_t log, struct pending *);

#endif
