/*
 * source_parts.h - what source.c and source_end.c share.
 */
#ifndef STORAGE_SOURCE_PARTS_H
#define STORAGE_SOURCE_PARTS_H

#include "source.h"

void recovery_tell(struct recovery *, int level, const char *event, const struct source *,
		   uint64_t from, uint64_t to);
/* Opens the file; 0, or -1 and a sentence. */
int source_reopen(struct recovery *, struct source *);
/* File and memory go. */
void source_close(struct recovery *, struct source *);
/* No record follows: what stands behind the last is cut, kept, or left to source_settle(). */
int source_finish(struct recovery *, struct source *);

#endif
