/*
 * batch.h - the records of one group, encoded for the place where they will stand.
 */
#ifndef STORAGE_BATCH_H
#define STORAGE_BATCH_H

#include "format/record.h"

#include <sys/uio.h>

struct store;
struct batch_chunk;

struct batch {
	struct store *store;
	uint64_t base, seed; /* of the segment */
	uint64_t length;     /* octets so far */
	uint64_t sequence, time;
	uint32_t records;
	struct iovec *vectors;
	size_t used, room;
	struct batch_chunk *chunks; /* memory of heads and small bodies */
};

void batch_begin(struct batch *, struct store *, uint64_t base, uint64_t seed, uint64_t sequence);
void batch_end(struct batch *);
/* Memory that lives as long as the batch; NULL: none. */
void *batch_alloc(struct batch *, size_t n);
/* Append a record. body and dots stay the caller's until the batch was written. What is damaged
 * (RECORD_DAMAGED) fails its checksum here too. 0 or ENOMEM. */
int batch_add(struct batch *, struct record *, const void *body, const uint64_t *dots,
	      uint64_t *offset);
/* Encode a record that stands elsewhere, in a segment of its own. */
void batch_stamp(const struct batch *, struct record *, uint64_t group);

#endif
