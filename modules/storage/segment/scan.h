/*
 * scan.h - reading a segment record by record, past whatever is damaged in it.
 */
#ifndef STORAGE_SCAN_H
#define STORAGE_SCAN_H

#include "format/record.h"

#include <sys/types.h>

#define SCAN_WINDOW ((size_t)256 << 10)

enum scan_result {
	SCAN_RECORD, /* *record, its place in `at`; body() and verify() may be asked */
	SCAN_GAP,    /* [at, next) is no sound record, but one follows */
	SCAN_END,    /* no sound record from `at` on */
	SCAN_UNKNOWN /* a record of a later format at `at` that must not be left out */
};

struct scan {
	int fd;
	uint64_t size; /* of the file, or where the caller wants to end */
	uint64_t seed;
	uint64_t at;       /* of what was returned last */
	uint64_t next;     /* where to go on */
	uint64_t sequence; /* of the record returned last: it never falls within a segment */
	struct record record;
	unsigned char *window; /* SCAN_WINDOW octets, the caller's */
	uint64_t window_at;
	size_t window_length;
	bool failed;  /* the file could not be read; errno told why */
	bool stopped; /* read() said so: what was returned since says nothing of the file */
	/* To be set after scan_begin(): told of each window that is read; false: stop. */
	bool (*read)(void *arg, size_t octets);
	void *arg;
	bool leave_no_pages; /* the page cache is left as it was found */
};

void scan_begin(struct scan *, int fd, uint64_t size, uint64_t seed, uint64_t from,
		unsigned char *window);
enum scan_result scan_next(struct scan *);
/* Whether body and tail of the record returned last have their checksums. */
bool scan_verify(struct scan *);
/* The body of a small record returned last; NULL if it cannot be read. */
const unsigned char *scan_body(struct scan *);
/* Whether everything from `at` on is zeros: a clean end. */
bool scan_clean_end(struct scan *);

#endif
