/*
 * fuzz_segment.c - any octets as a segment: the scan ends, reads nothing outside, goes forward only.
 *
 * Most inputs would fail at the first checksum. The first octet says how many heads are given a
 * right one before the scan sees them, so that what is behind checksums is reached too.
 */
#include "modules/storage/format/bytes.h"
#include "modules/storage/format/checksum.h"
#include "modules/storage/segment/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEED   42
#define SUM_AT 88

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_segment: %s\n", what);
	abort();
}

static void seal(unsigned char *p, size_t n, uint64_t offset)
{
	uint32_t length = get32(p + 8);
	uint64_t first;

	if (length < RECORD_HEAD || length > n || length > RECORD_HEAD_MAX)
		return;
	memcpy(p, "PREC", 4);
	first = checksum(p, SUM_AT, SEED ^ offset);
	put64(p + SUM_AT, length == RECORD_HEAD
			      ? first
			      : checksum(p + RECORD_HEAD, length - RECORD_HEAD, first));
}

static void walk(int fd, size_t n, unsigned char *window)
{
	struct scan s;
	uint64_t before = 0;

	scan_begin(&s, fd, n, SEED, 0, window);
	for (;;) {
		enum scan_result result = scan_next(&s);

		must(s.at >= before && s.at <= n, "the scan went back or out");
		if (result == SCAN_END || result == SCAN_UNKNOWN)
			break;
		must(s.next > s.at && s.next <= n, "no step forward");
		before = s.next;
		if (result != SCAN_RECORD)
			continue;
		scan_verify(&s);
		scan_body(&s);
	}
	scan_clean_end(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	static int fd = -1;
	static unsigned char *window;
	unsigned char *copy;

	if (n < 2)
		return 0;
	if (fd < 0) {
		fd = memfd_create("segment", 0);
		window = malloc(SCAN_WINDOW);
	}
	copy = malloc(n - 1);
	memcpy(copy, octets + 1, n - 1);
	for (size_t i = 0; i < octets[0] % 8U && i * 200 + RECORD_HEAD <= n - 1; i++)
		seal(copy + i * 200, n - 1 - i * 200, i * 200);
	must(ftruncate(fd, 0) == 0 && pwrite(fd, copy, n - 1, 0) == (ssize_t)(n - 1),
	     "the file cannot be written");
	walk(fd, n - 1, window);
	free(copy);
	return 0;
}
