/*
 * bench_holes.h - segments of a store that is larger than the disk: the texts of its messages are
 * holes in the files.
 */
#ifndef BENCH_HOLES_H
#define BENCH_HOLES_H

#include <stdint.h>

/*
 * Makes directory/storage/segments, for a store that is not there yet: messages of `octets` zeros
 * each, `each` to an account, accounts 200000 and on (names as account_name() gives them), in
 * segments of about 64 MiB. Heads and checksums are right. Returns how many messages; 0: failed.
 */
uint64_t make_holes(const char *directory, uint64_t total, uint64_t octets, uint64_t each);

#define HOLES_FIRST 200000 /* the first account */

#endif
