/*
 * checksum.h - XXH3-64, in one go or piece by piece. Compiled in, so that the state can stand on
 * the stack and short inputs cost no call. Long ones go to the library where that knows how to use
 * the processor's wider registers: twice as fast.
 */
#ifndef STORAGE_CHECKSUM_H
#define STORAGE_CHECKSUM_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
/* That header cannot stand beside the functions compiled in. */
XXH64_hash_t XXH3_64bits_withSeed_dispatch(const void *p, size_t n, XXH64_hash_t seed);
#define CHECKSUM_LONG(p, n, seed) XXH3_64bits_withSeed_dispatch(p, n, seed)
#else
#define CHECKSUM_LONG(p, n, seed) XXH3_64bits_withSeed(p, n, seed)
#endif
#define CHECKSUM_LONG_MIN 512 /* octets */

static inline uint64_t checksum(const void *p, size_t n, uint64_t seed)
{
	return n < CHECKSUM_LONG_MIN ? XXH3_64bits_withSeed(p, n, seed) : CHECKSUM_LONG(p, n, seed);
}

#endif
