/*
 * audit.h - whether an index file can be given to LMDB, which believes what it reads.
 *
 * LMDB follows page numbers and offsets without a check of its own: a flipped bit can end the
 * process. Before the first opening the whole tree is walked: every page reachable once and inside
 * the file, every node inside its page, keys in order, rows with their checksums.
 */
#ifndef STORAGE_AUDIT_H
#define STORAGE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct checkpoint_state;

#define AUDIT_OCTETS_MAX ((uint64_t)256 << 20) /* a larger index is walked only when asked for */

enum audit_result {
	AUDIT_SOUND,
	AUDIT_DAMAGED,
	AUDIT_FAILED, /* it could not be looked at: no memory, or it cannot be read */
	AUDIT_SKIPPED /* it is larger than that, and `all` was not said */
};

/* A sentence in err tells what is wrong. Nobody may have the index open. */
enum audit_result audit_index(struct store *, const char *index_path,
			      const struct checkpoint_state *, bool all, char *err, size_t n);

#endif
