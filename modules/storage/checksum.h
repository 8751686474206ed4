/*
 * checksum.h - XXH3-64, in one go or piece by piece. Compiled in, so that the state can stand on
 * the stack and short inputs cost no call.
 */
#ifndef STORAGE_CHECKSUM_H
#define STORAGE_CHECKSUM_H

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t checksum(const void *p, size_t n, uint64_t seed)
{
	return XXH3_64bits_withSeed(p, n, seed);
}

#endif
