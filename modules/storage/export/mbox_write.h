/*
 * mbox_write.h - messages to an mbox file (mboxrd): what mbox.h reads, octet by octet. Pure; fuzzed.
 *
 * Behind the "From " line stand lines of our own, which mbox.h takes out again and mail programs take
 * for header lines; "status" is how many follow:
 *
 *	X-Postern: 1 received=SECONDS uidl=UIDL status=3
 *	Status: RO
 *	X-Status: AFTD
 *	X-Keywords: NAME NAME        only if there are any; several if one would be too long
 */
#ifndef STORAGE_MBOX_WRITE_H
#define STORAGE_MBOX_WRITE_H

#include "import/mbox.h"

struct mbox_writer {
	bool (*out)(void *arg, const char *bytes, size_t n); /* false: stop */
	void *arg;
	/* its own */
	uint64_t quotes;  /* of the line that begins, not written yet */
	unsigned matched; /* octets of "From " behind them, likewise */
	bool line_start, stopped;
};

bool mbox_write_begin(struct mbox_writer *, uint64_t received, uint32_t flags, const char *uidl,
		      const struct keyword_list *);
/* Text as it stands in files (unwire.h), in pieces. */
bool mbox_write_text(struct mbox_writer *, const char *bytes, size_t n);
bool mbox_write_end(struct mbox_writer *);

#endif
